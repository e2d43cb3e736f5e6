//! A resolver of others on the road: unbound, which writes names in random case
//! and minds that they come back so, asks for no more of a name than it must
//! (RFC 9156, strictly), and tries to validate.

use std::{
    fmt::Write as _,
    net::{SocketAddr, UdpSocket as StdSocket},
    process::{Child, Command, Stdio},
    time::Duration,
};

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::RecordType::{self, A, AAAA, CAA, TXT},
};
use tempfile::TempDir;
use tokio::time::Instant;

use super::{Stand, client, data, question, received, tools::skipped};
use crate::rig::PATIENCE;

struct Unbound {
    address: SocketAddr,
    child: Child,
    files: TempDir,
}

impl Drop for Unbound {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Road {
    Udp,
    Tcp,
}

impl Unbound {
    /// Resolves our zones at `server`, and a customer's zone from a file. `None`,
    /// with a word on it, where it is not installed.
    async fn start(server: SocketAddr, road: Road) -> Option<Self> {
        // A port that is free when it is drawn may be another test's when it is bound.
        for _ in 0..5 {
            let unbound = Self::launch(server, road)?;
            if unbound.answers().await {
                return Some(unbound);
            }
        }
        panic!("unbound does not start");
    }

    fn launch(server: SocketAddr, road: Road) -> Option<Self> {
        let files = tempfile::tempdir().unwrap();
        let free = StdSocket::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        std::fs::write(files.path().join("client.zone"), CUSTOMER).unwrap();
        let configuration = files.path().join("unbound.conf");
        std::fs::write(&configuration, configured(&files, address, server, road)).unwrap();
        let run = |program| {
            Command::new(program)
                .args(["-d", "-c"])
                .arg(&configuration)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
        };
        // Debian keeps it where only root's PATH leads.
        let Ok(child) = run("unbound").or_else(|_| run("/usr/sbin/unbound")) else {
            skipped("unbound", "unbound");
            return None;
        };
        Some(Self {
            address,
            child,
            files,
        })
    }

    /// True once it, and nobody else, answers; false if it has ended.
    async fn answers(&self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let socket = client(self.address).await;
            // Refused while nothing listens.
            let sent = socket.send(&recursive("ns.client.example.", A)).await;
            let mut buffer = [0; 512];
            let answer = tokio::time::timeout(Duration::from_millis(100), socket.recv(&mut buffer));
            if let (Ok(_), Ok(Ok(length))) = (sent, answer.await) {
                // Whoever took its port does not know the customer's zone.
                let message = Message::from_vec(&buffer[..length]).unwrap();
                return data(&message) == ["192.0.2.1"];
            }
        }
        panic!("unbound does not answer: {}", self.log());
    }

    async fn resolve(&self, name: &str, kind: RecordType) -> Message {
        let socket = client(self.address).await;
        let asked = recursive(name, kind);
        socket.send(&asked).await.unwrap();
        let answer = received(&socket, PATIENCE).await;
        let answer = answer.unwrap_or_else(|| panic!("{name} {kind}: {}", self.log()));
        if !answer.truncation {
            return answer;
        }
        let mut stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
        super::tell(&mut stream, &asked).await;
        super::hear(&mut stream).await.unwrap()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.files.path().join("log")).unwrap_or_default()
    }
}

/// A question that the resolver is to pursue.
fn recursive(name: &str, kind: RecordType) -> Vec<u8> {
    let mut question = question(name, kind);
    question[2] |= 1;
    question
}

/// What customers set once.
const CUSTOMER: &str = "\
$ORIGIN client.example.
@ 60 IN SOA ns hostmaster 1 3600 600 604800 60
@ 60 IN NS ns
ns 60 IN A 192.0.2.1
shop 60 IN CNAME tenant.edge.example.
_acme-challenge.shop 60 IN CNAME busy.acme.edge.example.
_acme-challenge.idle 60 IN CNAME idle.acme.edge.example.
_acme-challenge.gone 60 IN CNAME gone.acme.edge.example.
_acme-challenge.long 60 IN CNAME long.acme.edge.example.
";

fn configured(files: &TempDir, address: SocketAddr, server: SocketAddr, road: Road) -> String {
    let folder = files.path().display();
    let tcp = if road == Road::Tcp { "yes" } else { "no" };
    let mut text = format!(
        r#"server:
  directory: "{folder}"
  logfile: "{folder}/log"
  verbosity: 2
  use-syslog: no
  username: ""
  chroot: ""
  pidfile: ""
  do-daemonize: no
  num-threads: 1
  interface: {ip}
  port: {port}
  do-ip6: no
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  module-config: "validator iterator"
  # A chain of trust that our unsigned zones cannot continue: it asks us for DNSKEY
  # and DS, and must get an answer that it can use.
  trust-anchor: "edge.example. DS 12345 13 2 {digest}"
  val-permissive-mode: yes
  use-caps-for-id: yes
  qname-minimisation: yes
  qname-minimisation-strict: yes
  harden-below-nxdomain: yes
  harden-referral-path: no
  cache-min-ttl: 0
  cache-max-negative-ttl: 1
  tcp-upstream: {tcp}
  edns-buffer-size: 1232
remote-control:
  control-enable: no
auth-zone:
  name: "client.example"
  zonefile: "client.zone"
  for-downstream: no
  for-upstream: yes
  fallback-enabled: no
"#,
        ip = address.ip(),
        port = address.port(),
        digest = "0".repeat(64),
    );
    // Both zones, or it would go on at port 53 of the name servers that it learns of.
    for zone in ["edge.example", "acme.edge.example"] {
        let _ = write!(
            text,
            "stub-zone:\n  name: \"{zone}\"\n  stub-addr: {}@{}\n  stub-prime: no\n",
            server.ip(),
            server.port()
        );
    }
    text
}

async fn resolved(road: Road) {
    let stand = Stand::start();
    let Some(unbound) = Unbound::start(stand.address(), road).await else {
        return;
    };
    let shop = "_acme-challenge.shop.client.example.";
    // Not there yet, and soon after it is: absence is remembered for a second.
    let missing = unbound.resolve(shop, TXT).await;
    assert_eq!(
        missing.response_code,
        ResponseCode::NXDomain,
        "{}",
        unbound.log()
    );
    let values = stand.book.place("busy", 2);
    let deadline = Instant::now() + PATIENCE;
    let found = loop {
        let answer = unbound.resolve(shop, TXT).await;
        if answer.answers.len() > 1 || Instant::now() > deadline {
            break answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    // A CNAME, and both values: a wildcard's and its base's.
    assert_eq!(found.answers.len(), 3, "{found}\n{}", unbound.log());
    assert_eq!(texts(&found), values);
    several(&stand, &unbound).await;
    let metrics = stand.server.metrics();
    match road {
        Road::Udp => assert!(
            metrics.datagrams > 0 && metrics.connections <= 2,
            "{metrics:?}"
        ),
        Road::Tcp => assert!(
            metrics.datagrams == 0 && metrics.connections > 0,
            "{metrics:?}"
        ),
    }
    assert_eq!(
        (metrics.malformed, metrics.refused, metrics.limited),
        (0, 0, 0)
    );
}

/// The values behind the CNAME.
fn texts(message: &Message) -> Vec<String> {
    let mut values = data(message);
    values.retain(|value| !value.ends_with('.'));
    values
}

/// Each kind of answer, once.
async fn several(stand: &Stand, unbound: &Unbound) {
    // More than a datagram holds: it comes back by TCP.
    let long = stand.book.place("long", 40);
    let found = unbound
        .resolve("_acme-challenge.long.client.example.", TXT)
        .await;
    assert_eq!(texts(&found), long, "{}", unbound.log());
    stand.book.place("idle", 0);
    for (name, kind, code, answers) in [
        // No order at present: the CNAME alone.
        (
            "_acme-challenge.idle.client.example.",
            TXT,
            ResponseCode::NoError,
            1,
        ),
        (
            "_acme-challenge.gone.client.example.",
            TXT,
            ResponseCode::NXDomain,
            1,
        ),
        ("shop.client.example.", A, ResponseCode::NoError, 2),
        ("shop.client.example.", AAAA, ResponseCode::NoError, 2),
        ("shop.client.example.", CAA, ResponseCode::NoError, 2),
        ("tenant.edge.example.", TXT, ResponseCode::NoError, 0),
        // Nothing but what is below it.
        ("in.edge.example.", A, ResponseCode::NoError, 0),
        ("ns1.in.edge.example.", A, ResponseCode::NoError, 1),
        ("nobody.edge.example.", A, ResponseCode::NXDomain, 0),
        (
            "acme.edge.example.",
            RecordType::NS,
            ResponseCode::NoError,
            2,
        ),
        (
            "acme.edge.example.",
            RecordType::SOA,
            ResponseCode::NoError,
            1,
        ),
        (
            "acme.edge.example.",
            RecordType::DS,
            ResponseCode::NoError,
            0,
        ),
        (
            "acme.edge.example.",
            RecordType::DNSKEY,
            ResponseCode::NoError,
            0,
        ),
    ] {
        let answer = unbound.resolve(name, kind).await;
        assert_eq!(
            (answer.response_code, answer.answers.len()),
            (code, answers),
            "{name} {kind}: {answer}\n{}",
            unbound.log()
        );
    }
    // A node that may lack the newest values never denies them.
    stand.book.fall_behind(true);
    let unsure = unbound.resolve("other.acme.edge.example.", TXT).await;
    assert_eq!(unsure.response_code, ResponseCode::ServFail);
    stand.book.fall_behind(false);
}

#[tokio::test]
async fn a_strict_resolver_finds_everything_by_udp() {
    resolved(Road::Udp).await;
}

#[tokio::test]
async fn a_strict_resolver_finds_everything_by_tcp() {
    resolved(Road::Tcp).await;
}
