//! Pebble and its DNS, on loopback; both end with the value.

use std::{
    net::{SocketAddr, TcpListener as StdListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::client::{Client, new_key};

/// How Pebble behaves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manners {
    /// So many of a hundred nonces are refused.
    pub(crate) refused_nonces: u32,
    /// Where http-01 is looked for.
    pub(crate) http_port: u16,
    /// Every challenge is believed.
    pub(crate) credulous: bool,
    /// How many chains there are beside the first.
    pub(crate) alternate_roots: u32,
    /// The only external account, by id and HMAC key (base64url); then all must have one.
    pub(crate) external: Option<(&'static str, &'static str)>,
}

pub(crate) struct Server {
    pub(crate) directory: String,
    /// Of its HTTPS.
    pub(crate) root_pem: String,
    log: PathBuf,
    children: [Child; 2],
    _files: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// How often it is started with other ports: between their being free and its taking them
/// another test may.
const STARTS: usize = 5;

impl Server {
    /// `None`, with a word on it, where it is not installed.
    pub(crate) async fn start(manners: Manners) -> Option<Self> {
        for _ in 0..STARTS {
            let Some(mut server) = Self::spawn(manners) else {
                println!("SKIPPED: pebble-challtestsrv is not installed (apt-get install pebble)");
                return None;
            };
            if server.listens().await {
                return Some(server);
            }
        }
        panic!("pebble did not get its ports {STARTS} times in a row");
    }

    fn spawn(manners: Manners) -> Option<Self> {
        let files = tempfile::tempdir().unwrap();
        let (acme, management, dns) = (free(), free(), free());
        let root_pem = write(files.path(), acme, management, &manners);
        let log = files.path().join("log");
        let names = Command::new("pebble-challtestsrv")
            .args(["-http01", "", "-https01", "", "-tlsalpn01", ""])
            .args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""])
            .args(["-dns01", &dns.to_string()])
            .args(["-management", &free().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let (refused, roots) = (manners.refused_nonces, manners.alternate_roots);
        let mut pebble = Command::new("pebble");
        pebble
            .args(["-strict", "-config", "pebble.json"])
            .args(["-dnsserver", &dns.to_string()])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_WFE_NONCEREJECT", refused.to_string())
            .env("PEBBLE_AUTHZREUSE", "0")
            .env("PEBBLE_ALTERNATE_ROOTS", roots.to_string())
            .current_dir(files.path())
            .stdout(std::fs::File::create(&log).unwrap())
            .stderr(Stdio::null());
        if manners.credulous {
            pebble.env("PEBBLE_VA_ALWAYS_VALID", "1");
        }
        let pebble = pebble.spawn();
        let pebble = pebble.expect("pebble comes with pebble-challtestsrv");
        Some(Self {
            directory: format!("https://{acme}/dir"),
            root_pem,
            log,
            children: [names, pebble],
            _files: files,
        })
    }

    /// Until it is itself that answers, under its own certificate; it makes RSA keys
    /// before. False if one of the two has ended.
    async fn listens(&mut self) -> bool {
        let client = Client::now(&self.directory, &self.root_pem);
        let stranger = client.open(&new_key(), None);
        let limit = Instant::now() + Duration::from_secs(60);
        loop {
            let answers = stranger.directory().await.is_ok();
            let ended = |child: &mut Child| child.try_wait().unwrap().is_some();
            if self.children.iter_mut().any(ended) {
                return false;
            }
            if answers {
                return true;
            }
            assert!(Instant::now() < limit, "pebble does not listen");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// How many certificates it has issued.
    pub(crate) fn issued(&self) -> usize {
        self.logged("Issued certificate")
    }

    pub(crate) fn logged(&self, what: &str) -> usize {
        let log = std::fs::read_to_string(&self.log).unwrap();
        log.matches(what).count()
    }
}

/// A port that was free a moment ago.
fn free() -> SocketAddr {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Writes what Pebble reads, and answers with the root of its HTTPS.
fn write(files: &Path, acme: SocketAddr, management: SocketAddr, manners: &Manners) -> String {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    std::fs::write(files.join("tls.pem"), &certificate).unwrap();
    std::fs::write(files.join("tls.key"), key.serialize_pem()).unwrap();
    let port = manners.http_port;
    let external = manners.external.map_or_else(String::new, |(kid, hmac)| {
        format!(
            r#""externalAccountBindingRequired":true,"externalAccountMACKeys":{{"{kid}":"{hmac}"}},"#
        )
    });
    let config = format!(
        r#"{{"pebble":{{"listenAddress":"{acme}","managementListenAddress":"{management}",
        "certificate":"tls.pem","privateKey":"tls.key","httpPort":{port},"tlsPort":{port},
        {external}"certificateValidityPeriod":7776000}}}}"#
    );
    std::fs::write(files.join("pebble.json"), config).unwrap();
    certificate
}
