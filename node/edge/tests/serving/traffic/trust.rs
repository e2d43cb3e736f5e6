//! TLS with origins: whom we believe, and what we show.

use std::sync::Arc;

use aws_lc_rs::digest;
use bytes::Bytes;
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};
use state::{
    KeyPurpose, Origin, Traffic,
    ports::Seal,
    sealed::SealContext,
    testing::MaskSeal,
    traffic::{OriginIdentity, OriginName, OriginTrust, Switch},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;

use super::list;
use crate::{
    origin::{App, Speaks},
    parts::Ca,
    rig::{HOST, Rig},
};

fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, bytes)
        .as_ref()
        .try_into()
        .unwrap()
}

/// An origin that says who its client was, and tells which name it was asked for.
struct Origins {
    at: Origin,
    names: mpsc::UnboundedReceiver<Option<String>>,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pin: [u8; 32],
}

impl Origins {
    async fn start(ca: &Ca, name: &str, clients: Option<&Ca>) -> Self {
        let (leaf, key) = ca.issue(name);
        let (_, parsed) = x509_parser::parse_x509_certificate(&leaf).unwrap();
        let pin = sha256(parsed.public_key().raw);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots
                    .add(CertificateDer::from(clients.der().to_vec()))
                    .unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
                builder.with_client_cert_verifier(verifier.unwrap())
            }
        };
        let chain = vec![CertificateDer::from(leaf.to_vec())];
        let key = PrivateKeyDer::Pkcs8(key.into());
        let config = builder.with_single_cert(chain, key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, names) = mpsc::unbounded_channel();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let session = stream.get_ref().1;
                let _ = tell.send(session.server_name().map(ToOwned::to_owned));
                let shown = session.peer_certificates().map_or(0, <[_]>::len);
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                let text = format!("shown {shown}");
                let length = text.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}"
                );
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self {
            at: format!("https://localhost:{port}").parse().unwrap(),
            names,
            pin,
        }
    }
}

fn trusting(origin: &Origin, trust: OriginTrust) -> Traffic {
    Traffic {
        origins: Some(list(&[origin])),
        origin_trust: Some(trust),
        ..Traffic::default()
    }
}

#[tokio::test]
async fn an_origin_is_believed_as_is_decided() {
    let rig = Rig::start();
    let theirs = Ca::new();
    let origin = Origins::start(&theirs, "localhost", None).await;
    let roots = |ca: &Ca| {
        let roots: [Bytes; 1] = [ca.der()];
        OriginTrust::Roots(roots.into())
    };
    for (what, trust, status) in [
        ("the node's roots", OriginTrust::System, 502),
        ("its own CA", roots(&theirs), 200),
        ("another CA", roots(&Ca::new()), 502),
        (
            "its key",
            OriginTrust::Pins([[0; 32], origin.pin].into()),
            200,
        ),
        ("another key", OriginTrust::Pins([[0; 32]].into()), 502),
        ("nobody in particular", OriginTrust::Off, 200),
    ] {
        rig.own(trusting(&origin.at, trust)).await;
        assert_eq!(rig.get("/").await.0.status.as_u16(), status, "{what}");
    }
}

#[tokio::test]
async fn another_name_is_refused_by_roots_and_not_by_a_pin() {
    let rig = Rig::start();
    let origin = Origins::start(&rig.ca, "elsewhere.internal", None).await;
    rig.own(trusting(&origin.at, OriginTrust::System)).await;
    assert_eq!(rig.get("/").await.0.status, 502);
    rig.own(trusting(&origin.at, OriginTrust::Pins([origin.pin].into())))
        .await;
    assert_eq!(rig.get("/").await.0.status, 200);
    rig.own(Traffic {
        origin_sni: Some(OriginName::Fixed("elsewhere.internal".into())),
        ..trusting(&origin.at, OriginTrust::System)
    })
    .await;
    assert_eq!(rig.get("/").await.0.status, 200, "by the name that it has");
}

#[tokio::test]
async fn an_origin_is_told_the_name_that_is_decided() {
    let rig = Rig::start();
    rig.serve("other.example");
    let mut origin = Origins::start(&rig.ca, "x.example", None).await;
    for (sni, expected) in [
        (None, "localhost"),
        (Some(OriginName::Origin), "localhost"),
        (Some(OriginName::Client), HOST),
        (
            Some(OriginName::Fixed("app.internal".into())),
            "app.internal",
        ),
    ] {
        rig.own(Traffic {
            origin_sni: sni,
            ..trusting(&origin.at, OriginTrust::Off)
        })
        .await;
        assert_eq!(rig.get("/").await.0.status, 200);
        assert_eq!(
            origin.names.recv().await.unwrap().as_deref(),
            Some(expected)
        );
    }
}

#[tokio::test]
async fn a_certificate_is_shown_to_origins_that_ask() {
    let rig = Rig::start();
    let clients = Ca::new();
    let origin = Origins::start(&rig.ca, "localhost", Some(&clients)).await;
    rig.own(trusting(&origin.at, OriginTrust::System)).await;
    assert_eq!(rig.get("/").await.0.status, 502, "without one");
    let identity = |context: &SealContext, leaf: &Bytes, key: &[u8]| {
        let key = MaskSeal.seal(KeyPurpose::Serving, context, key).unwrap();
        let chain = vec![leaf.clone()];
        Some(Switch::On(Arc::new(OriginIdentity { chain, key })))
    };
    let (leaf, key) = clients.issue("edge.example");
    let right = SealContext::OriginIdentity(sha256(&leaf));
    rig.own(Traffic {
        origin_identity: identity(&right, &leaf, &key),
        ..trusting(&origin.at, OriginTrust::System)
    })
    .await;
    let (head, text) = rig.get("/").await;
    assert_eq!((head.status.as_u16(), text.as_str()), (200, "shown 1"));
    // A key that was sealed for another certificate cannot be opened for this one.
    let wrong = SealContext::OriginIdentity([0; 32]);
    rig.own(Traffic {
        origin_identity: identity(&wrong, &leaf, &key),
        ..trusting(&origin.at, OriginTrust::System)
    })
    .await;
    assert_eq!(rig.get("/").await.0.status, 502);
}

#[tokio::test]
async fn trust_never_leaks_from_one_hostname_to_another() {
    let rig = Rig::start();
    rig.serve("other.example");
    let theirs = Ca::new();
    let app = App::start(Speaks::Tls(&["h2"]), &theirs).await;
    rig.own(trusting(&app.at, OriginTrust::Off)).await;
    // A connection stands that the other must not share.
    assert_eq!(rig.get("/").await.0.status, 200);
    rig.decide(
        Some("other.example"),
        trusting(&app.at, OriginTrust::System),
    )
    .await;
    let stream = rig
        .connect("other.example", rig.ca.client(&["http/1.1"]))
        .await
        .unwrap();
    let mut stream = stream;
    let request = b"GET / HTTP/1.1\r\nhost: other.example\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await.unwrap();
    let text = String::from_utf8_lossy(&read);
    assert!(text.starts_with("HTTP/1.1 502"), "{text}");
}
