//! Certificates: what decisions need is here; what only a handshake needs (leaf,
//! chain, sealed key) is a body in the store.

use std::{fmt, str::FromStr, sync::Arc};

use data_encoding::HEXLOWER;

use crate::{Hostname, Timestamp};

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }
    };
}

digest! {
    /// SHA-256 of a leaf certificate's DER.
    CertificateId
}
digest! {
    /// SHA-256 over the DER of the issuers' certificates, in their order. Many
    /// leaves share one chain.
    ChainId
}

impl FromStr for CertificateId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| ())?;
        Ok(Self(bytes.try_into().map_err(|_| ())?))
    }
}

/// A certificate that was installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of its leaf.
    pub id: CertificateId,
    /// Its only name.
    pub hostname: Hostname,
    /// The issuers above it.
    pub chain: ChainId,
    /// Common name of its issuer; interned by the state.
    pub issuer: Arc<str>,
    /// Big-endian, without leading zeros.
    pub serial: Box<[u8]>,
    /// Beginning of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    /// When the leader should order the next one.
    pub renew_at: Timestamp,
    /// Set when it is served no more: another took its place, or its hostname was
    /// removed. It is forgotten from then on.
    pub forget_at: Option<Timestamp>,
    /// Its hostname was removed; should it come back, this is served again, so
    /// that removing and adding costs the CA nothing.
    pub kept: bool,
}

impl Certificate {
    /// The serial as lower-case hexadecimal digits.
    pub fn serial_hex(&self) -> String {
        HEXLOWER.encode(&self.serial)
    }

    /// Within its validity.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && now < self.not_after
    }
}
