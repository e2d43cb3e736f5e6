//! What this node presents: its key and its present certificate, exchanged while
//! connections go on.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use rustls::{
    SignatureScheme,
    client::ResolvesClientCert,
    crypto::aws_lc_rs,
    pki_types::CertificateDer,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::identity::Identity;

/// The certificate and key of this node.
pub struct NodeCredential(ArcSwap<CertifiedKey>);

/// The certificate is not for the key.
#[derive(Clone, Debug, thiserror::Error)]
#[error("this node's certificate cannot be used with its key: {0}")]
pub struct CredentialError(#[from] rustls::Error);

impl NodeCredential {
    /// Of an identity.
    pub fn new(identity: &Identity) -> Result<Self, CredentialError> {
        Ok(Self(ArcSwap::from_pointee(certified(identity)?)))
    }

    /// From now on the identity's certificate is presented.
    pub fn replace(&self, identity: &Identity) -> Result<(), CredentialError> {
        self.0.store(Arc::new(certified(identity)?));
        Ok(())
    }

    /// What is presented now: leaf, online CA, root.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.0.load().cert.clone()
    }
}

fn certified(identity: &Identity) -> Result<CertifiedKey, rustls::Error> {
    let provider = aws_lc_rs::default_provider();
    let key = identity.keys.tls.to_rustls();
    CertifiedKey::from_der(identity.public.presented(), key, &provider)
}

impl ResolvesServerCert for NodeCredential {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl ResolvesClientCert for NodeCredential {
    fn resolve(
        &self,
        _root_hints: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl fmt::Debug for NodeCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeCredential")
    }
}
