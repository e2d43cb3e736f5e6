//! Whom we believe to be an origin, and what we show it.

use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
};
use state::{
    ports::Seal,
    sealed::SealContext,
    traffic::{OriginIdentity, OriginTrust},
};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::destination::{Configs, OriginTls};

type Fault = Box<dyn std::error::Error>;

/// The client's side of TLS as `tls` wants it. `system` are the roots by default.
///
/// # Errors
///
/// In words: a root or the key cannot be used, or this node cannot open the key.
pub(super) fn configs(
    provider: &Arc<CryptoProvider>,
    system: &Arc<RootCertStore>,
    seal: &dyn Seal,
    tls: &OriginTls,
) -> Result<Configs, String> {
    let config = config(provider, system, seal, tls).map_err(|error| error.to_string())?;
    let offer = |protocols: &[&[u8]]| {
        let mut config = config.clone();
        config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
        Arc::new(config)
    };
    Ok(Configs {
        any: offer(&[b"h2", b"http/1.1"]),
        http1: offer(&[b"http/1.1"]),
        http2: offer(&[b"h2"]),
    })
}

fn config(
    provider: &Arc<CryptoProvider>,
    system: &Arc<RootCertStore>,
    seal: &dyn Seal,
    tls: &OriginTls,
) -> Result<ClientConfig, Fault> {
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    let unchained = |pins: Option<Arc<[[u8; 32]]>>| {
        Arc::new(Unchained {
            pins,
            algorithms: provider.signature_verification_algorithms,
        })
    };
    let builder = match &tls.trust {
        OriginTrust::System => builder.with_root_certificates(Arc::clone(system)),
        OriginTrust::Roots(ders) => {
            let mut roots = RootCertStore::empty();
            for der in ders.iter() {
                roots.add(CertificateDer::from(der.to_vec()))?;
            }
            builder.with_root_certificates(roots)
        }
        OriginTrust::Pins(pins) => builder
            .dangerous()
            .with_custom_certificate_verifier(unchained(Some(Arc::clone(pins)))),
        OriginTrust::Off => builder
            .dangerous()
            .with_custom_certificate_verifier(unchained(None)),
    };
    Ok(match &tls.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = open(seal, identity)?;
            builder.with_client_auth_cert(chain, key)?
        }
    })
}

type Opened = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn open(seal: &dyn Seal, identity: &OriginIdentity) -> Result<Opened, Fault> {
    let chain: Vec<_> = identity
        .chain
        .iter()
        .map(|der| CertificateDer::from(der.to_vec()))
        .collect();
    let leaf = chain
        .first()
        .ok_or("the certificate for origins is empty")?;
    let context = SealContext::OriginIdentity(sha256(leaf));
    let secret = seal.open(&identity.key, &context)?;
    // rustls keeps a copy of its own for as long as there are connections to make.
    let key = PrivatePkcs8KeyDer::from(secret.expose().to_vec());
    Ok((chain, PrivateKeyDer::from(key)))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    digest
}

/// Believes whoever has the key of the certificate that it shows; with pins, if it is one
/// of those keys. Never what the certificate says.
#[derive(Debug)]
struct Unchained {
    pins: Option<Arc<[[u8; 32]]>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Unchained {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(pins) = &self.pins else {
            return Ok(ServerCertVerified::assertion());
        };
        let (_, parsed) =
            X509Certificate::from_der(leaf).map_err(|_| rustls::CertificateError::BadEncoding)?;
        if pins.contains(&sha256(parsed.public_key().raw)) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, leaf, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, leaf, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
