//! tls-alpn-01 (RFC 8737): what a CA sees, and nobody else.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use edge::{ChallengeSource, Unreachable};
use rustls::{
    AlertDescription, ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use state::{Hostname, challenge::alpn_digest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use x509_parser::{
    certificate::X509Certificate, extensions::GeneralName, oid_registry::asn1_rs::oid,
    prelude::FromDer,
};

use crate::rig::{HOST, Options, Rig, eventually};

const PROTOCOL: &str = "acme-tls/1";
const NEW: &str = "new.client.example";

/// A CA's client: it looks at the certificate itself.
#[derive(Debug)]
struct Look;

impl ServerCertVerifier for Look {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

fn ca(
    rig: &Rig,
    alpn: &[&str],
    version: &'static rustls::SupportedProtocolVersion,
) -> ClientConfig {
    let mut config = rig.ca.client_of(alpn, &[version]);
    config.dangerous().set_certificate_verifier(Arc::new(Look));
    config
}

/// The certificate shown to a validation, as its bytes; the alert otherwise.
async fn shown(rig: &Rig, name: &str) -> Result<Vec<u8>, AlertDescription> {
    let config = ca(rig, &[PROTOCOL], &rustls::version::TLS13);
    match rig.connect(name, config).await {
        Ok(stream) => Ok(stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()),
        Err(error) => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(Error::AlertReceived(alert)) => Err(*alert),
            other => panic!("{other:?}"),
        },
    }
}

/// What RFC 8737 section 3 asks for.
#[track_caller]
fn proves(der: &[u8], name: &str, digest: [u8; 32]) {
    let (rest, certificate) = X509Certificate::from_der(der).unwrap();
    assert!(rest.is_empty());
    certificate.verify_signature(None).unwrap();
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names, [GeneralName::DNSName(name)]);
    let identifier = oid!(1.3.6.1.5.5.7.1.31);
    let extension = certificate
        .get_extension_unique(&identifier)
        .unwrap()
        .unwrap();
    assert!(extension.critical);
    assert_eq!(extension.value, [&[4, 32][..], &digest].concat());
}

#[tokio::test]
async fn a_ca_sees_its_digest_and_the_end() {
    let rig = Rig::start();
    let digest = rig.ask_for_proof(NEW);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut stream = rig
            .connect(NEW, ca(&rig, &[PROTOCOL], version))
            .await
            .unwrap();
        let session = stream.get_ref().1;
        assert_eq!(session.alpn_protocol(), Some(PROTOCOL.as_bytes()));
        assert_eq!(session.protocol_version(), Some(version.version));
        let certificates = session.peer_certificates().unwrap().to_vec();
        assert_eq!(certificates.len(), 1);
        proves(&certificates[0], NEW, digest);
        // Closed with a word, without a request having been read.
        let _ = stream
            .write_all(format!("GET / HTTP/1.1\r\nhost: {NEW}\r\n\r\n").as_bytes())
            .await;
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said).await;
        assert_eq!(said, b"");
    }
    eventually("both are counted", || rig.edge.metrics().validations == 2).await;
    assert_eq!(rig.edge.metrics().requests, 0);
}

#[tokio::test]
async fn a_core_makes_its_proof_once() {
    let rig = Rig::start();
    let digest = rig.ask_for_proof(NEW);
    let mut certificates = BTreeSet::new();
    for _ in 0..20 {
        let certificate = shown(&rig, NEW).await.unwrap();
        proves(&certificate, NEW, digest);
        certificates.insert(certificate);
    }
    assert!(certificates.len() <= 2, "{}", certificates.len());
}

#[tokio::test]
async fn without_a_challenge_there_is_no_proof() {
    let rig = Rig::start();
    rig.ask_for_proof(NEW);
    let refused = AlertDescription::NoApplicationProtocol;
    assert_eq!(shown(&rig, HOST).await, Err(refused));
    let unknown = AlertDescription::UnrecognisedName;
    assert_eq!(shown(&rig, "unknown.example").await, Err(unknown));
    assert_eq!(shown(&rig, "sub.new.client.example").await, Err(unknown));
    assert!(shown(&rig, NEW).await.is_ok());
    let metrics = rig.edge.metrics();
    assert_eq!((metrics.validations_refused, metrics.names_unknown), (1, 2));
}

/// A leader that knows of one challenge.
struct Leader;

#[async_trait]
impl ChallengeSource for Leader {
    async fn key_authorization(
        &self,
        hostname: &Hostname,
        token: Option<&str>,
    ) -> Result<Option<String>, Unreachable> {
        assert_eq!(token, None);
        Ok((hostname.as_str() == HOST).then(|| "late.thumb".to_owned()))
    }
}

#[tokio::test]
async fn a_challenge_missing_here_is_asked_of_the_leader() {
    let rig = Rig::with(Options {
        leader: Arc::new(Leader),
        ..Options::default()
    });
    let shown_here = shown(&rig, HOST).await.unwrap();
    proves(&shown_here, HOST, alpn_digest("late.thumb"));
    rig.alone.authorize(NEW);
    rig.settled().await;
    let refused = AlertDescription::NoApplicationProtocol;
    assert_eq!(shown(&rig, NEW).await, Err(refused));
    let metrics = rig.edge.metrics();
    assert_eq!(
        (metrics.challenges_fetched, metrics.validations_refused),
        (1, 1)
    );
}

#[tokio::test]
async fn a_proof_ends_with_its_challenge() {
    let rig = Rig::start();
    rig.ask_for_proof(NEW);
    assert!(shown(&rig, NEW).await.is_ok());
    rig.remove(NEW);
    let unknown = AlertDescription::UnrecognisedName;
    assert_eq!(shown(&rig, NEW).await, Err(unknown));
}

#[tokio::test]
async fn who_offers_more_is_a_client() {
    let rig = Rig::start();
    rig.ask_for_proof(NEW);
    let offers: [&[&str]; 3] = [&[PROTOCOL, "h2"], &["h2", PROTOCOL], &["h2"]];
    for offer in offers {
        let config = ca(&rig, offer, &rustls::version::TLS13);
        assert!(rig.connect(NEW, config).await.is_err(), "{offer:?}");
    }
    // A name that is served and renewed meanwhile goes on being served.
    rig.ask_for_proof_again(HOST);
    let stream = rig.secure(&[PROTOCOL, "http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert!(shown(&rig, HOST).await.is_ok());
    assert_eq!(rig.edge.metrics().names_without_certificate, 3);
}
