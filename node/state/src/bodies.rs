//! What is on disk only: certificates' bodies, issuers' chains and events. Bodies
//! are immutable and addressed by id, so that a snapshot can read them while
//! apply goes on; here are their keys and their bytes. A certificate whose key is sealed
//! anew gets another body.

use bytes::Bytes;

use crate::{Certificate, CertificateId, ChainId, Hostname, Sealed};

/// What a handshake needs of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateBody {
    /// Leaf first, then its issuers (DER).
    pub chain: Vec<Bytes>,
    /// The leaf's private key (PKCS #8), under the serving key with the context
    /// `SealContext::CertificateKey`.
    pub sealed_key: Sealed,
}

/// The key of a certificate's own part (leaf and sealed key).
pub fn certificate_key(certificate: &Certificate) -> Vec<u8> {
    let mut key = left_certificate_key(&certificate.id);
    if certificate.sealed_under > 0 {
        key.extend_from_slice(&certificate.sealed_under.to_be_bytes());
    }
    key
}

/// The same of a certificate of which nobody noted what its key is sealed under: so it is in
/// a backup.
pub fn left_certificate_key(id: &CertificateId) -> Vec<u8> {
    prefixed(b'c', &id.0)
}

/// The key of an issuers' chain.
pub fn chain_key(id: &ChainId) -> Vec<u8> {
    prefixed(b'i', &id.0)
}

/// The key of a hostname's `number`th event, counted from 0.
pub fn event_key(hostname: &Hostname, number: u32) -> Vec<u8> {
    let mut key = prefixed(b'e', hostname.as_str().as_bytes());
    key.push(0);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// True of the keys of certificates' own parts.
pub fn is_certificate(key: &[u8]) -> bool {
    key.first() == Some(&b'c')
}

/// True of all keys of this module.
pub fn is_key(key: &[u8]) -> bool {
    matches!(key.first(), Some(b'c' | b'i' | b'e'))
}

fn prefixed(kind: u8, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + rest.len());
    key.push(kind);
    key.extend_from_slice(rest);
    key
}
