//! What all of our TLS has in common: version 1.3 only, our clock, no resumption
//! (a resumed session would not be verified anew).

use std::{sync::Arc, time::Duration};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, ServerConfig, SignatureScheme,
    client::{
        ResolvesClientCert, Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature},
    pki_types::{CertificateDer, UnixTime},
    server::{NoServerSessionStorage, ResolvesServerCert, danger::ClientCertVerifier},
    time_provider::TimeProvider,
    version::TLS13,
};
use state::ports::Clock;

/// Our clock, as rustls asks for it.
#[derive(Clone, Debug)]
pub(crate) struct ClockTime(pub(crate) Arc<dyn Clock>);

impl TimeProvider for ClockTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(self.0.now()))
    }
}

/// A moment as certificates count it.
pub(crate) fn unix_time(at: state::Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(at.as_secs()))
}

/// Verifies the signatures of handshakes: the same everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Signatures(Arc<CryptoProvider>);

impl Signatures {
    pub(crate) fn new() -> Self {
        Self(Arc::new(aws_lc_rs::default_provider()))
    }

    pub(crate) fn verify_tls13(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    pub(crate) fn refuse_tls12(&self) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken".to_owned()))
    }

    pub(crate) fn schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A server that verifies its callers by `verifier`.
pub(crate) fn server_config(
    signatures: &Signatures,
    clock: &Arc<dyn Clock>,
    verifier: Arc<dyn ClientCertVerifier>,
    credential: Arc<dyn ResolvesServerCert>,
    protocol: &[u8],
) -> Result<ServerConfig, Error> {
    let time = Arc::new(ClockTime(clock.clone()));
    let mut config = ServerConfig::builder_with_details(signatures.0.clone(), time)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(credential);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(config)
}

/// A client that verifies whom it calls by `verifier`.
pub(crate) fn client_config(
    signatures: &Signatures,
    clock: &Arc<dyn Clock>,
    verifier: Arc<dyn ServerCertVerifier>,
    credential: Arc<dyn ResolvesClientCert>,
    protocol: &[u8],
) -> Result<ClientConfig, Error> {
    let time = Arc::new(ClockTime(clock.clone()));
    let mut config = ClientConfig::builder_with_details(signatures.0.clone(), time)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(credential);
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(config)
}
