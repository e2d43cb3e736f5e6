//! Sessions that are resumed: on every node, and for nothing but what they were begun for.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Output, Stdio},
    sync::Arc,
    time::Duration,
};

use edge::Running;
use rustls::{
    ClientConfig, HandshakeKind, NamedGroup, SupportedProtocolVersion,
    client::{
        ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue,
        Tls13ClientSessionValue,
    },
    pki_types::ServerName,
    version::{TLS12, TLS13},
};
use state::{Secret, TicketSecrets, Timestamp, Traffic, traffic::Ciphers};
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

use crate::rig::{HOST, Options, PATIENCE, Rig, read_for};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// The secrets of a cluster, told apart by a number.
pub(crate) fn secrets(number: u8) -> Arc<TicketSecrets> {
    Arc::new(TicketSecrets {
        sealing: 5,
        opens_until: Timestamp(u64::MAX),
        secrets: (4..=6)
            .map(|epoch| (epoch, Secret::new(vec![number; 32])))
            .collect(),
    })
}

fn rig() -> Rig {
    Rig::with(Options {
        tickets: Some(secrets(1)),
        ..Options::default()
    })
}

/// A client's sessions, whatever the name was that they were begun for.
#[derive(Debug)]
struct AnyName(ClientSessionMemoryCache);

impl AnyName {
    fn name() -> ServerName<'static> {
        ServerName::try_from("any.example").unwrap()
    }
}

impl ClientSessionStore for AnyName {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(Self::name(), group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.kx_hint(&Self::name())
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.0.set_tls12_session(Self::name(), value);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.tls12_session(&Self::name())
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.0.remove_tls12_session(&Self::name());
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(Self::name(), value);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(&Self::name())
    }
}

fn client(rig: &Rig, version: &'static SupportedProtocolVersion) -> ClientConfig {
    let mut config = rig.ca.client_of(&["http/1.1"], &[version]);
    let sessions = AnyName(ClientSessionMemoryCache::new(8));
    config.resumption = Resumption::store(Arc::new(sessions));
    config.enable_early_data = true;
    config
}

/// Whether a visit resumed. It takes what tickets come, as any visit does.
async fn visit(rig: &Rig, edge: &Running, name: &str, config: &ClientConfig) -> bool {
    let mut stream = rig.connect_to(edge, name, config.clone()).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = read_for(&mut stream, PATIENCE).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
}

#[tokio::test]
async fn a_session_is_resumed_on_its_node_and_on_another() {
    let rig = rig();
    let another = rig.another();
    for version in VERSIONS {
        let config = client(&rig, version);
        let mut resumed = Vec::new();
        for edge in [&rig.edge, &rig.edge, &another, &another, &rig.edge] {
            resumed.push(visit(&rig, edge, HOST, &config).await);
        }
        assert_eq!(resumed, [false, true, true, true, true], "{version:?}");
    }
    let metrics = rig.edge.metrics();
    assert_eq!((metrics.handshakes, metrics.handshakes_resumed), (6, 4));
}

#[tokio::test]
async fn no_data_is_taken_before_the_handshake_ends() {
    let rig = rig();
    let config = client(&rig, &TLS13);
    visit(&rig, &rig.edge, HOST, &config).await;
    let name = ServerName::try_from(HOST).unwrap();
    let mut offering = rustls::ClientConnection::new(Arc::new(config.clone()), name).unwrap();
    assert!(offering.early_data().is_none(), "the ticket allows it");
    assert!(visit(&rig, &rig.edge, HOST, &config).await, "no ticket");
}

#[tokio::test]
async fn a_ticket_is_for_its_name_alone_even_under_one_certificate() {
    let rig = rig();
    rig.serve_wildcard("wild.test.example");
    for version in VERSIONS {
        let config = client(&rig, version);
        for (name, resumes) in [
            ("one.wild.test.example", false),
            ("two.wild.test.example", false),
            ("two.wild.test.example", true),
            ("wild.test.example", false),
            (HOST, false),
            (HOST, true),
        ] {
            let resumed = visit(&rig, &rig.edge, name, &config).await;
            assert_eq!(resumed, resumes, "{name} {version:?}");
        }
    }
}

#[tokio::test]
async fn a_ticket_is_worth_nothing_after_another_claim_or_certificate() {
    let rig = rig();
    for version in VERSIONS {
        let config = client(&rig, version);
        let visits = || visit(&rig, &rig.edge, HOST, &config);
        assert_eq!((visits().await, visits().await), (false, true));
        // It comes back with the same certificate, but the claim is another.
        let certificate = || rig.alone.state().hostname(HOST).unwrap().certificate;
        let before = certificate();
        rig.remove(HOST);
        rig.alone.authorize(HOST);
        assert_eq!(certificate(), before);
        assert_eq!((visits().await, visits().await), (false, true));
        rig.renew(HOST);
        assert_eq!((visits().await, visits().await), (false, true));
    }
}

#[tokio::test]
async fn a_ticket_is_worth_nothing_after_other_settings_of_tls() {
    let rig = rig();
    for version in VERSIONS {
        rig.own(Traffic::default()).await;
        let config = client(&rig, version);
        let visits = || visit(&rig, &rig.edge, HOST, &config);
        assert_eq!((visits().await, visits().await), (false, true));
        rig.own(Traffic {
            ciphers: Some(Ciphers::Strong),
            ..Traffic::default()
        })
        .await;
        assert_eq!((visits().await, visits().await), (false, true));
        // Of no account to a session.
        rig.own(Traffic {
            ciphers: Some(Ciphers::Strong),
            http2: Some(false),
            ..Traffic::default()
        })
        .await;
        assert!(visits().await, "{version:?}");
    }
}

#[tokio::test]
async fn another_secret_costs_a_full_handshake_and_none_gives_no_tickets() {
    let rig = rig();
    for version in VERSIONS {
        let config = client(&rig, version);
        let visits = || visit(&rig, &rig.edge, HOST, &config);
        rig.tickets.send_replace(Some(secrets(1)));
        until(true, visits).await;
        rig.tickets.send_replace(Some(secrets(2)));
        until(false, visits).await;
        assert!(visits().await, "with the new one");
        rig.tickets.send_replace(None);
        until(false, visits).await;
        assert!(!visits().await);
    }
}

/// Visits until one ends so: the edge takes up a secret a moment after it is given.
async fn until<F: Future<Output = bool>>(resumed: bool, visits: impl Fn() -> F) {
    let visiting = timeout(PATIENCE, async { while visits().await != resumed {} });
    assert!(visiting.await.is_ok(), "never {resumed}");
}

#[tokio::test]
async fn a_session_ends_half_a_day_after_its_full_handshake() {
    let rig = rig();
    for version in VERSIONS {
        let config = client(&rig, version);
        let mut resumed = Vec::new();
        for _ in 0..4 {
            resumed.push(visit(&rig, &rig.edge, HOST, &config).await);
            rig.clock.advance(Duration::from_secs(5 * 3600));
        }
        assert_eq!(resumed, [false, true, true, false], "{version:?}");
    }
}

/// One visit by OpenSSL, with or without a session that it was told to keep.
async fn openssl(address: SocketAddr, version: &str, sessions: &[&str]) -> String {
    let mut command = Command::new("openssl");
    command
        .args(["s_client", "-connect", &address.to_string()])
        .args(["-servername", HOST, version, "-ign_eof"])
        .args(sessions)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let begun = command.spawn();
    let mut running = begun.unwrap_or_else(|error| panic!("openssl: {error}; install it"));
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    let mut input = running.stdin.take().unwrap();
    input.write_all(request.as_bytes()).await.unwrap();
    drop(input);
    let ended = timeout(PATIENCE, running.wait_with_output()).await;
    let Output { stdout, stderr, .. } = ended.unwrap().unwrap();
    let said = String::from_utf8_lossy(&stdout).into_owned();
    assert!(
        said.contains("HTTP/1.1 503"),
        "{said}{}",
        String::from_utf8_lossy(&stderr)
    );
    said
}

#[tokio::test]
async fn openssl_resumes_on_another_node() {
    let rig = rig();
    let another = rig.another();
    rig.settled().await;
    let folder = tempfile::tempdir().unwrap();
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let kept = folder.path().join(name);
        let kept = Path::to_str(&kept).unwrap();
        let first = openssl(rig.https(), version, &["-sess_out", kept]).await;
        assert!(first.contains(&format!("New, {name}")), "{first}");
        for address in [another.addresses().https, rig.https()] {
            let sessions = ["-sess_in", kept, "-sess_out", kept];
            let next = openssl(address, version, &sessions).await;
            assert!(next.contains(&format!("Reused, {name}")), "{next}");
        }
    }
}
