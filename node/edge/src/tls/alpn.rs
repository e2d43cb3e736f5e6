//! tls-alpn-01 (RFC 8737): a handshake that shows a CA that a name is ours.
//!
//! What the cluster agrees on is the digest alone; each node makes a certificate
//! and a key of its own for it, which are worth nothing to anybody else. Only a
//! hello that offers `acme-tls/1` and nothing else leads here, and no request is
//! ever read from what does.

use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{CertificateParams, CustomExtension, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::{
    crypto::CryptoProvider,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::CertifiedKey,
};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::Instant, time::timeout_at};

use super::{
    cache::Bounded,
    keys::Ready,
    replay::Replay,
    server::{self, HandshakeError},
};
use crate::limits::PROOFS;

const PROTOCOL: &[u8] = b"acme-tls/1";

/// Why a proof could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProofError {
    #[error("its certificate cannot be made: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("its key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// One core's proofs, for as long as they are asked for.
pub(crate) struct Proofs {
    provider: Arc<CryptoProvider>,
    made: Mutex<Bounded<[u8; 32], Arc<Proof>>>,
}

struct Proof {
    name: String,
    config: Ready,
}

impl Proofs {
    pub(crate) fn new(provider: Arc<CryptoProvider>) -> Self {
        Self {
            provider,
            made: Mutex::new(Bounded::new(PROOFS)),
        }
    }

    /// What to show for `name` and the digest of its challenge.
    ///
    /// # Errors
    ///
    /// `name` is no host name, or the provider lacks P-256; never for names of the
    /// state and our provider.
    pub(crate) fn get(&self, name: &str, digest: [u8; 32]) -> Result<Ready, ProofError> {
        // Every change is a single step.
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(proof) = made.get(&digest)
            && proof.name == name
        {
            return Ok(Arc::clone(&proof.config));
        }
        // 0.1 ms, less than it would cost to hand it to another thread.
        let config = self.make(name, &digest)?;
        let proof = Proof {
            name: name.to_owned(),
            config: Arc::clone(&config),
        };
        made.insert(digest, Arc::new(proof));
        Ok(config)
    }

    /// A certificate as RFC 8737 section 3 wants it: self-signed, for exactly this
    /// name, with the digest in a critical extension.
    fn make(&self, name: &str, digest: &[u8; 32]) -> Result<Ready, ProofError> {
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.self_signed(&key)?;
        let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&der)?;
        let key = CertifiedKey::new(vec![certificate.der().clone()], key);
        let mut config = server::config(&self.provider, key)?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Arc::new(config))
    }
}

/// Completes the handshake and ends the connection, as RFC 8737 section 4 wants.
///
/// # Errors
///
/// The client's fault or patience; rustls has sent the alert.
pub(crate) async fn prove(
    config: Ready,
    stream: Replay<TcpStream>,
    name: &str,
    deadline: Instant,
) -> Result<(), HandshakeError> {
    let accepted = timeout_at(deadline, server::accept(config, stream, name));
    let mut stream = accepted.await.map_err(|_| HandshakeError::Timeout)??;
    if stream.get_ref().1.alpn_protocol() != Some(PROTOCOL) {
        return Err(HandshakeError::Disagreement);
    }
    // The client has all that it wanted; whether it hears the end does not matter.
    let _ = timeout_at(deadline, stream.shutdown()).await;
    Ok(())
}
