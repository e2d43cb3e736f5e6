//! From the first byte to the end of the handshake.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use edge::Limits;
use rustls::{AlertDescription, ClientConnection, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::rig::{HOST, Options, PATIENCE, Parts, Rig, eventually, read_for};

const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
const INTERNAL_ERROR: [u8; 7] = [21, 3, 3, 0, 2, 2, 80];

/// The bytes of a real ClientHello.
fn hello(rig: &Rig, name: &str) -> Vec<u8> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(rig.ca.client(&["h2"])), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

/// All that the edge says to `bytes` before it closes.
async fn said(rig: &Rig, bytes: &[u8]) -> Vec<u8> {
    rig.settled().await;
    let mut stream = TcpStream::connect(rig.https()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut read = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut read))
        .await
        .unwrap()
        .unwrap();
    read
}

fn fault(error: &std::io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

#[tokio::test]
async fn both_versions_are_served_and_alpn_is_obeyed() {
    let rig = Rig::start();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for (offered, expected) in [
            (&["h2", "http/1.1"][..], Some("h2")),
            (&["http/1.1"], Some("http/1.1")),
            (&["http/1.1", "h2"], Some("h2")),
            (&["acme-tls/1", "http/1.1"], Some("http/1.1")),
            (&[], None),
        ] {
            let stream = rig
                .connect(HOST, rig.ca.client_of(offered, &[version]))
                .await
                .unwrap();
            let session = stream.get_ref().1;
            assert_eq!(session.protocol_version(), Some(version.version));
            assert_eq!(
                session.alpn_protocol(),
                expected.map(str::as_bytes),
                "{offered:?}"
            );
        }
    }
}

#[tokio::test]
async fn without_a_common_protocol_there_is_no_connection() {
    let rig = Rig::start();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let error = rig
            .connect(HOST, rig.ca.client_of(&["h3"], &[version]))
            .await
            .unwrap_err();
        let expected = rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol);
        assert_eq!(fault(&error), Some(&expected));
    }
}

#[tokio::test]
async fn a_protocol_is_never_guessed_from_bytes() {
    let rig = Rig::start();
    let mut h2 = rig.secure(&["h2"]).await;
    h2.write_all(format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let answer = read_for(&mut h2, Duration::from_millis(300)).await;
    assert!(!answer.contains("HTTP/1.1"), "{answer:?}");
    for alpn in [&["http/1.1"][..], &[]] {
        let mut h1 = rig.secure(alpn).await;
        h1.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
            .await
            .unwrap();
        let answer = read_for(&mut h1, Duration::from_millis(300)).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn an_unknown_name_is_refused_by_its_alert_and_without_reading_the_store() {
    let rig = Rig::start();
    rig.alone.authorize("pending.client.example");
    for name in [
        "unknown.example",
        "pending.client.example",
        "sub.shop.client.example",
        "127.0.0.1",
        "xn--a.example",
    ] {
        assert_eq!(
            said(&rig, &hello(&rig, name)).await,
            UNRECOGNIZED_NAME,
            "{name}"
        );
    }
    assert_eq!(rig.store.reads.load(Ordering::Relaxed), 0);
    let metrics = rig.edge.metrics();
    assert_eq!(
        (metrics.names_unknown, metrics.names_without_certificate),
        (4, 1)
    );
    let error = rig
        .connect("unknown.example", rig.ca.client(&[]))
        .await
        .unwrap_err();
    assert_eq!(
        fault(&error),
        Some(&rustls::Error::AlertReceived(
            AlertDescription::UnrecognisedName
        ))
    );
}

#[tokio::test]
async fn what_is_no_tls_is_closed_without_a_word() {
    let rig = Rig::start();
    assert_eq!(said(&rig, b"GET / HTTP/1.1\r\n\r\n").await, b"");
    assert_eq!(
        said(&rig, b"\x16\x03\x01\x00\x04\x02\x00\x00\x00").await,
        [21, 3, 3, 0, 2, 2, 50]
    );
}

#[tokio::test]
async fn a_hello_may_come_in_many_pieces() {
    let rig = Rig::start();
    rig.settled().await;
    let whole = hello(&rig, HOST);
    let message = &whole[5..];
    let mut bytes = Vec::new();
    for fragment in message.chunks(message.len().div_ceil(20)) {
        bytes.extend_from_slice(&[22, 3, 1]);
        bytes.extend_from_slice(&u16::try_from(fragment.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(fragment);
    }
    let mut stream = TcpStream::connect(rig.https()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in bytes.chunks(97) {
        stream.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut record = [0; 6];
    timeout(PATIENCE, stream.read_exact(&mut record))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((record[0], record[5]), (22, 2), "a ServerHello");
}

#[tokio::test]
async fn the_next_handshake_sees_a_new_certificate() {
    let rig = Rig::start();
    let leaf =
        |stream: &crate::rig::Secure| stream.get_ref().1.peer_certificates().unwrap()[0].clone();
    let first = leaf(&rig.secure(&[]).await);
    assert_eq!(leaf(&rig.secure(&[]).await), first);
    rig.renew(HOST);
    assert_ne!(leaf(&rig.secure(&[]).await), first);
}

#[tokio::test]
async fn names_one_label_below_a_wildcard_are_served_with_its_certificate() {
    let rig = Rig::start();
    rig.serve_wildcard("wild.test.example");
    let trusting = rig.ca.client(&["http/1.1"]);
    for name in ["wild.test.example", "any.wild.test.example"] {
        let served = rig.connect(name, trusting.clone()).await;
        assert!(served.is_ok(), "{name}: {:?}", served.err());
    }
    for name in ["an.other.wild.test.example", "wild.test.example.example"] {
        let answer = said(&rig, &hello(&rig, name)).await;
        assert_eq!(answer, UNRECOGNIZED_NAME, "{name}");
    }
    // Authorized by itself: by the wildcard until it has its own, then by that.
    let leaf = |stream: &crate::rig::Secure| {
        let certificates = stream.get_ref().1.peer_certificates();
        certificates.unwrap()[0].clone()
    };
    rig.alone.authorize("own.wild.test.example");
    rig.settled().await;
    let name = "own.wild.test.example";
    let before = leaf(&rig.connect(name, trusting.clone()).await.unwrap());
    rig.install(name);
    rig.settled().await;
    let after = leaf(&rig.connect(name, trusting).await.unwrap());
    assert_ne!(before, after);
}

#[tokio::test]
async fn a_revoked_name_is_refused_at_once() {
    let rig = Rig::start();
    rig.secure(&[]).await;
    let hostname = state::testing::host(HOST);
    rig.alone.apply(
        state::Actor::operator("test"),
        None,
        state::Change::RemoveHostname {
            hostname,
            revision: None,
        },
    );
    assert_eq!(said(&rig, &hello(&rig, HOST)).await, UNRECOGNIZED_NAME);
}

#[tokio::test]
async fn the_cache_of_keys_keeps_its_bound() {
    let limits = Limits {
        keys: 2,
        ..Limits::default()
    };
    let rig = Rig::with(Options {
        limits,
        cores: 1,
        ..Options::default()
    });
    let names: Vec<String> = (0..5)
        .map(|number| format!("n{number}.client.example"))
        .collect();
    for name in &names {
        rig.serve(name);
    }
    for _ in 0..2 {
        for name in &names {
            rig.connect(name, rig.ca.client(&[])).await.unwrap();
        }
    }
    eventually("ten handshakes", || rig.edge.metrics().handshakes == 10).await;
    let metrics = rig.edge.metrics();
    assert_eq!(metrics.keys_held, 2);
    assert_eq!(metrics.keys_opened, metrics.keys_evicted + 2);
}

#[tokio::test]
async fn a_key_is_opened_once_however_many_wait_for_it() {
    let rig = Rig::with(Options {
        cores: 1,
        ..Options::default()
    });
    rig.settled().await;
    rig.store.close();
    let mut clients = JoinSet::new();
    for _ in 0..10 {
        let (address, config) = (rig.https(), Arc::new(rig.ca.client(&[])));
        clients.spawn(async move {
            let stream = TcpStream::connect(address).await.unwrap();
            let name = ServerName::try_from(HOST).unwrap();
            tokio_rustls::TlsConnector::from(config)
                .connect(name, stream)
                .await
                .map(|_| ())
        });
    }
    eventually("ten connections", || rig.edge.metrics().connections == 10).await;
    eventually("a read", || rig.store.reads.load(Ordering::Relaxed) == 1).await;
    // The cores go on while the store hangs.
    assert_eq!(
        said(&rig, &hello(&rig, "unknown.example")).await,
        UNRECOGNIZED_NAME
    );
    rig.store.open();
    for result in clients.join_all().await {
        result.unwrap();
    }
    assert_eq!(rig.edge.metrics().keys_opened, 1);
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_an_internal_error() {
    let rig = Rig::start();
    rig.alone.authorize("broken.client.example");
    let (leaf, _) = rig.ca.issue("broken.client.example");
    let (_, other_key) = rig.ca.issue("broken.client.example");
    rig.install_key("broken.client.example", leaf, &other_key);
    assert_eq!(
        said(&rig, &hello(&rig, "broken.client.example")).await,
        INTERNAL_ERROR
    );
    let reads = rig.store.reads.load(Ordering::Relaxed);
    assert_eq!(
        said(&rig, &hello(&rig, "broken.client.example")).await,
        INTERNAL_ERROR
    );
    // It is not tried again at once, unless on another core.
    let metrics = rig.edge.metrics();
    assert!(metrics.keys_failed == 1 || rig.store.reads.load(Ordering::Relaxed) > reads);
    rig.secure(&[]).await;
}

#[tokio::test]
async fn a_handshake_has_its_time() {
    let limits = Limits {
        handshake: Duration::from_millis(400),
        ..Limits::default()
    };
    let rig = Rig::with(Options {
        limits,
        ..Options::default()
    });
    let whole = hello(&rig, HOST);
    for begun in [&b""[..], &whole[..40], &whole] {
        let started = Instant::now();
        said(&rig, begun).await;
        let took = started.elapsed();
        assert!(
            took >= Duration::from_millis(350) && took < Duration::from_secs(5),
            "{took:?}"
        );
    }
    eventually("three failures", || {
        rig.edge.metrics().handshakes_failed == 3
    })
    .await;
}

#[tokio::test]
async fn serving_needs_nobody() {
    let rig = Rig::start();
    rig.secure(&[]).await;
    // The replica is gone, and with it the states.
    let Rig { edge, parts, .. } = rig;
    let Parts {
        alone, ca, store, ..
    } = parts;
    let name = ServerName::try_from(HOST).unwrap();
    let published = *edge.published().borrow();
    drop((alone, store));
    for _ in 0..4 {
        let stream = TcpStream::connect(edge.addresses().https).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(ca.client(&["h2"])));
        connector.connect(name.clone(), stream).await.unwrap();
    }
    assert!(edge.health().is_ready());
    assert_eq!(edge.health().published, published);
}
