//! TLS with clients.

use bytes::Bytes;
use http::Request;
use rustls::{
    CipherSuite, ClientConfig, HandshakeKind, ProtocolVersion, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use state::{
    Traffic,
    traffic::{Ciphers, Switch, TlsVersion},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::served;
use crate::{
    parts::Ca,
    resumption,
    rig::{HOST, PATIENCE, Rig, empty, whole},
};

#[tokio::test]
async fn a_lowest_version_is_held() {
    let (rig, _app) = served().await;
    let old = || rig.ca.client_of(&["http/1.1"], &[&rustls::version::TLS12]);
    assert!(rig.connect(HOST, old()).await.is_ok());
    rig.own(Traffic {
        min_tls: Some(TlsVersion::V13),
        ..Traffic::default()
    })
    .await;
    assert!(rig.connect(HOST, old()).await.is_err());
    let new = rig.connect(HOST, rig.ca.client(&["h2"])).await.unwrap();
    let session = new.get_ref().1;
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(session.alpn_protocol(), Some(&b"h2"[..]));
    // Of that hostname alone.
    rig.serve("other.example");
    assert!(rig.connect("other.example", old()).await.is_ok());
}

#[tokio::test]
async fn ciphers_are_those_that_are_decided() {
    let (rig, _app) = served().await;
    let only = |suite: CipherSuite| {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        provider.cipher_suites.retain(|it| it.suite() == suite);
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from(rig.ca.der().to_vec()))
            .unwrap();
        ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    };
    for (choice, refused, accepted) in [
        (
            Ciphers::Strong,
            CipherSuite::TLS13_AES_128_GCM_SHA256,
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        ),
        (
            Ciphers::Aes,
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
            CipherSuite::TLS13_AES_128_GCM_SHA256,
        ),
        (
            Ciphers::Strong,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        ),
    ] {
        rig.own(Traffic {
            ciphers: Some(choice),
            ..Traffic::default()
        })
        .await;
        assert!(
            rig.connect(HOST, only(refused)).await.is_err(),
            "{choice:?}"
        );
        assert!(
            rig.connect(HOST, only(accepted)).await.is_ok(),
            "{choice:?}"
        );
    }
}

#[tokio::test]
async fn http2_is_offered_unless_it_is_off() {
    let (rig, _app) = served().await;
    rig.own(Traffic {
        http2: Some(false),
        ..Traffic::default()
    })
    .await;
    let stream = rig
        .connect(HOST, rig.ca.client(&["h2", "http/1.1"]))
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert!(rig.connect(HOST, rig.ca.client(&["h2"])).await.is_err());
}

/// A client's configuration with a certificate that `issuer` gave.
fn identified(rig: &Rig, issuer: &Ca, name: &str) -> ClientConfig {
    let (leaf, key) = issuer.issue(name);
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from(rig.ca.der().to_vec()))
        .unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let mut config = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(
            vec![CertificateDer::from(leaf.to_vec())],
            PrivateKeyDer::Pkcs8(key.into()),
        )
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

fn roots(ca: &Ca) -> Traffic {
    let roots: [Bytes; 1] = [ca.der()];
    Traffic {
        client_roots: Some(Switch::On(roots.into())),
        ..Traffic::default()
    }
}

/// What the origin saw of a request, or nothing if there was no connection. In TLS 1.3 a
/// client learns only by reading that its certificate was refused.
async fn ask(rig: &Rig, config: ClientConfig) -> Option<String> {
    let mut stream = rig.connect(HOST, config).await.ok()?;
    let request = format!(
        "GET / HTTP/1.1\r\nhost: {HOST}\r\nhostquorum-client-subject: forged\r\n\
         hostquorum-client-san: forged\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await.ok()?;
    Some(String::from_utf8(read).unwrap()).filter(|text| !text.is_empty())
}

#[tokio::test]
async fn client_certificates_are_required_and_told() {
    let (rig, _app) = served().await;
    let (tenant, stranger) = (Ca::new(), Ca::new());
    rig.own(roots(&tenant)).await;
    assert_eq!(
        ask(&rig, rig.ca.client(&["http/1.1"])).await,
        None,
        "none shown"
    );
    assert_eq!(
        ask(&rig, identified(&rig, &stranger, "a.example")).await,
        None,
        "of a stranger"
    );
    let told = ask(&rig, identified(&rig, &tenant, "robot.tenant.example"))
        .await
        .unwrap();
    assert!(
        told.contains("\nhostquorum-client-san: DNS:robot.tenant.example\n"),
        "{told}"
    );
    assert!(
        told.contains("\nhostquorum-client-subject: CN=rcgen"),
        "{told}"
    );
    assert!(told.contains("\nhostquorum-client-fingerprint: "), "{told}");
    assert!(!told.contains("forged"), "{told}");
    // Other hostnames do not ask.
    rig.serve("other.example");
    assert!(
        rig.connect("other.example", rig.ca.client(&["h2"]))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn sessions_are_not_resumed_where_certificates_are_required() {
    let (rig, _app) = served().await;
    let tenant = Ca::new();
    let config = identified(&rig, &tenant, "robot.tenant.example");
    let resumes = async || {
        let mut stream = rig.connect(HOST, config.clone()).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
        stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
    };
    rig.tickets.send_replace(Some(resumption::secrets(1)));
    let begun = timeout(PATIENCE, async { while !resumes().await {} });
    assert!(begun.await.is_ok(), "elsewhere they are resumed");
    rig.own(roots(&tenant)).await;
    for _ in 0..3 {
        assert!(!resumes().await);
    }
}

#[tokio::test]
async fn who_was_let_in_before_certificates_were_required_is_sent_back() {
    let (rig, _app) = served().await;
    let mut before = rig.http1().await;
    let get = || {
        Request::get("/")
            .header("host", HOST)
            .body(empty())
            .unwrap()
    };
    assert_eq!(before.send_request(get()).await.unwrap().status(), 200);
    rig.own(roots(&Ca::new())).await;
    before.ready().await.unwrap();
    let (head, _) = whole(before.send_request(get()).await.unwrap()).await;
    assert_eq!(head.status, 421);
    assert_eq!(head.headers["hostquorum-error"], "client_unverified");
    assert_eq!(head.headers["connection"], "close");
}
