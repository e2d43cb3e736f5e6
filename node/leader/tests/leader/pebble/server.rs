//! Pebble and its DNS, on loopback; both end with the value.

use std::{
    net::{SocketAddr, TcpListener as StdListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};

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

impl Server {
    /// `None`, with a word on it, where it is not installed.
    pub(crate) async fn start(manners: Manners) -> Option<Self> {
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
            .spawn();
        let Ok(names) = names else {
            println!("SKIPPED: pebble-challtestsrv is not installed (apt-get install pebble)");
            return None;
        };
        let mut pebble = Command::new("pebble");
        pebble
            .args(["-strict", "-config", "pebble.json"])
            .args(["-dnsserver", &dns.to_string()])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_WFE_NONCEREJECT", manners.refused_nonces.to_string())
            .env("PEBBLE_AUTHZREUSE", "0")
            .env(
                "PEBBLE_ALTERNATE_ROOTS",
                manners.alternate_roots.to_string(),
            )
            .current_dir(files.path())
            .stdout(std::fs::File::create(&log).unwrap())
            .stderr(Stdio::null());
        if manners.credulous {
            pebble.env("PEBBLE_VA_ALWAYS_VALID", "1");
        }
        let pebble = pebble.spawn();
        let pebble = pebble.expect("pebble comes with pebble-challtestsrv");
        listens(acme).await;
        Some(Self {
            directory: format!("https://{acme}/dir"),
            root_pem,
            log,
            children: [names, pebble],
            _files: files,
        })
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

/// It makes RSA keys before it listens.
async fn listens(address: SocketAddr) {
    let limit = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(address).await.is_err() {
        assert!(Instant::now() < limit, "pebble does not listen");
        sleep(Duration::from_millis(50)).await;
    }
}
