//! A node whose one hostname leads to the origins under test.

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use harness::{Cluster, Options, load, wait};
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Whose traffic it is.
pub(crate) const HOST: &str = "shop.customer.example";
const SOON: Duration = Duration::from_secs(10);
/// A node of an unoptimised build, alone, that tells of each request.
const SETTINGS: &str = "[edge]\nthreads = 1\nlame_duck = \"0s\"\ngrace = \"2s\"\nconnection_rate_per_client = 0\n[issuance]\nretry = \"1s\"\n[access_log]\nfile = \"access.log\"\nquery = true\n";
/// What the origin says that a cluster of tests has before it is told of another.
const BEFORE: &str = "demonstration origin";

/// It ends when it is dropped.
pub(crate) struct Edge {
    cluster: Cluster,
    pub(crate) roots: String,
}

impl Edge {
    /// Whose hostname is set so, and serves what that leads to.
    pub(crate) async fn set(settings: &[&str]) -> Self {
        let options = Options {
            nodes: 1,
            pebble: false,
            extra: SETTINGS.to_owned(),
            ..Options::default()
        };
        let cluster = Cluster::start(options).await;
        cluster.onboard(HOST).await;
        let line = [&["hostname", "set", HOST], settings].concat();
        cluster.cli.run(&line).await.ok();
        let edge = Self {
            roots: cluster.ca.issuing_root_pem().await,
            cluster,
        };
        wait::until("the settings hold", SOON, || async {
            let answer = edge.cluster.https.get(edge.address(), HOST, "/").await;
            let body = String::from_utf8_lossy(&answer.ok()?.body).into_owned();
            (!body.contains(BEFORE)).then_some(())
        })
        .await;
        edge
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.cluster.https_of(0)
    }

    /// Its roots in a file, as programs want them.
    pub(crate) fn roots_file(&self) -> PathBuf {
        let path = self.cluster.dir().join("roots.pem");
        fs::write(&path, &self.roots).unwrap();
        path
    }

    /// A connection that speaks `alpn`.
    pub(crate) async fn connect(&self, alpn: &str) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(self.address()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from(HOST).unwrap();
        let tls = load::trusting(&self.roots, alpn);
        tls.connect(name, stream).await.unwrap()
    }

    /// The lines of its access log.
    pub(crate) fn logged(&self) -> Vec<Value> {
        let folder = self.cluster.nodes[0].files.config();
        let text = fs::read_to_string(folder.with_file_name("access.log")).unwrap_or_default();
        // The last may be under way.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines = whole.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap()
    }
}
