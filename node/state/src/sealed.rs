//! Secret bytes, as stored and as held for a moment.

use std::fmt;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{CaName, Hostname, KeyPurpose};

/// A secret under one of the cluster's data keys: AES-256-GCM-SIV with the
/// context of its record as additional data. This is all that ever enters the
/// log, the store and snapshots.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sealed {
    /// Which data key.
    pub purpose: KeyPurpose,
    /// Which generation of it.
    pub generation: u32,
    /// 96 random bits.
    pub nonce: [u8; 12],
    /// Ciphertext and tag.
    pub ciphertext: Bytes,
}

impl Sealed {
    /// What it is known by, among all that was ever sealed.
    pub fn digest(&self) -> [u8; 32] {
        let digest = Sha256::new_with_prefix(self.nonce).chain_update(&self.ciphertext);
        digest.finalize().into()
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({:?}.{})", self.purpose, self.generation)
    }
}

/// Secret bytes in memory: wiped when dropped, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes themselves: for the one use at hand, never for keeping.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What a secret belongs to; bound into its sealing, so that one record's
/// ciphertext is worthless in another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SealContext {
    /// The private key of a certificate for this hostname.
    CertificateKey(Hostname),
    /// The key of our account at this CA.
    AccountKey(CaName),
    /// The HMAC key of our external account at this CA.
    ExternalAccountKey(CaName),
    /// The key of a certificate that we show to origins, by SHA-256 of the leaf: it belongs
    /// to whichever settings have that certificate.
    OriginIdentity([u8; 32]),
    /// The cluster root's key.
    RootKey,
    /// The online CA's key.
    IssuingKey,
}

impl SealContext {
    /// The bytes bound in, together with the cluster's id.
    pub fn as_bytes(&self) -> Vec<u8> {
        match self {
            Self::CertificateKey(hostname) => format!("certificate-key/{hostname}").into_bytes(),
            Self::AccountKey(ca) => format!("account-key/{ca}").into_bytes(),
            Self::ExternalAccountKey(ca) => format!("external-account-key/{ca}").into_bytes(),
            Self::OriginIdentity(leaf) => [b"origin-identity/", &leaf[..]].concat(),
            Self::RootKey => b"root-key".to_vec(),
            Self::IssuingKey => b"issuing-key".to_vec(),
        }
    }
}
