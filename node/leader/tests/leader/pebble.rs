//! The same road to Let's Encrypt's own test CA, which refuses nonces at will. Skipped,
//! loudly, where it is not installed.

use std::{
    net::{SocketAddr, TcpListener as StdListener},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use leader::issuance::acme::{AcmeAuthorities, Tcp};
use rcgen::{CertificateParams, KeyPair};
use state::Timestamp;
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, sleep},
};

use crate::{
    development_ca::{Elsewhere, serve},
    doubles::Steady,
    world::{Process, World},
};

/// Pebble and its DNS; both end with it.
struct Pebble {
    world: World,
    directory: String,
    root: String,
    log: std::path::PathBuf,
    children: [Child; 2],
    _files: TempDir,
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A port that was free a moment ago.
fn free() -> SocketAddr {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

impl Pebble {
    /// `None`, with a word on it, where it is not installed.
    async fn start(refused_nonces: u32) -> Option<Self> {
        let files = tempfile::tempdir().unwrap();
        let (acme, management, dns) = (free(), free(), free());
        let edge = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = edge.local_addr().unwrap().port();
        let root = write(files.path(), acme, management, port);
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
        let pebble = Command::new("pebble")
            .args(["-strict", "-config", "pebble.json"])
            .args(["-dnsserver", &dns.to_string()])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_WFE_NONCEREJECT", refused_nonces.to_string())
            .env("PEBBLE_AUTHZREUSE", "0")
            .current_dir(files.path())
            .stdout(std::fs::File::create(&log).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .expect("pebble comes with pebble-challtestsrv");
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let world = World::at(Timestamp::from_secs(u64::try_from(now).unwrap()));
        tokio::spawn(serve(edge, world.states.subscribe()));
        listens(acme).await;
        Some(Self {
            world,
            directory: format!("https://{acme}/dir"),
            root,
            log,
            children: [names, pebble],
            _files: files,
        })
    }

    fn lead(&self) -> Process {
        let lease = Arc::new(Steady(self.world.term.clone()));
        self.world.lead_at(Arc::new(Elsewhere {
            acme: AcmeAuthorities::new(Arc::new(Tcp), lease, self.world.clock.clone()),
            directory: self.directory.clone(),
            root: self.root.clone(),
        }))
    }

    fn issued(&self) -> usize {
        let log = std::fs::read_to_string(&self.log).unwrap();
        log.matches("Issued certificate").count()
    }
}

/// Writes what Pebble reads, and answers with the root of its HTTPS.
fn write(files: &Path, acme: SocketAddr, management: SocketAddr, http: u16) -> String {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    std::fs::write(files.join("tls.pem"), &certificate).unwrap();
    std::fs::write(files.join("tls.key"), key.serialize_pem()).unwrap();
    let config = format!(
        r#"{{"pebble":{{"listenAddress":"{acme}","managementListenAddress":"{management}",
        "certificate":"tls.pem","privateKey":"tls.key","httpPort":{http},"tlsPort":{http},
        "certificateValidityPeriod":7776000}}}}"#
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

async fn orders(refused_nonces: u32, hostnames: usize) {
    let Some(pebble) = Pebble::start(refused_nonces).await else {
        return;
    };
    let names: Vec<String> = (0..hostnames).map(|at| format!("n{at}.example")).collect();
    for name in &names {
        pebble.world.alone.authorize(name);
    }
    let mut leader = pebble.lead();
    let all = |state: &state::State| {
        state.certificates().count() == hostnames && state.order_count() == 0
    };
    leader.until(all).await;
    assert_eq!(pebble.issued(), hostnames);
    assert_eq!(leader.running.metrics().failed, [0; 5]);
}

#[tokio::test]
async fn every_hostname_gets_one_certificate_of_pebble() {
    orders(0, 10).await;
}

#[tokio::test]
async fn also_when_it_refuses_most_nonces() {
    orders(60, 5).await;
}

#[tokio::test]
async fn successive_leaders_get_one_certificate_of_pebble() {
    let Some(pebble) = Pebble::start(5).await else {
        return;
    };
    pebble.world.alone.authorize("shop.example");
    let served = crate::world::served("shop.example");
    for stage in ["admitted", "prepared", "ready-intent", "finalize-intent"] {
        let mut leader = pebble.lead();
        leader
            .until(|state| {
                let mut orders = state.orders();
                orders.any(|order| order.stage.as_str() == stage) || served(state)
            })
            .await;
    }
    let mut heir = pebble.lead();
    heir.until(&served).await;
    assert_eq!(pebble.issued(), 1);
}
