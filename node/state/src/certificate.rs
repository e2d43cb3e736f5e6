//! Certificates: what decisions need is here; what only a handshake needs (leaf,
//! chain, sealed key) is a body in the store.

use std::{fmt, str::FromStr, sync::Arc};

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::{CaName, Hostname, KeyAlgorithm, Timestamp};

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
    /// SHA-256 of a leaf certificate's DER; of one that was uploaded, of its DER and the
    /// hostname that it was uploaded for: one of many names can be brought for each.
    CertificateId
}
digest! {
    /// SHA-256 over the DER of the issuers' certificates, in their order. Many
    /// leaves share one chain.
    ChainId
}

impl CertificateId {
    /// Of a certificate that a CA signed for us.
    pub fn of_leaf(leaf: &[u8]) -> Self {
        Self(Sha256::digest(leaf).into())
    }

    /// Of one that was uploaded for `hostname`.
    pub fn of_upload(leaf: &[u8], hostname: &Hostname) -> Self {
        let digest = Sha256::new_with_prefix(leaf).chain_update(hostname.as_str());
        Self(digest.finalize().into())
    }
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
    /// What it is known by.
    pub id: CertificateId,
    /// Its first name.
    pub hostname: Hostname,
    /// It is for every name one label below, too.
    pub wildcard: bool,
    /// Its kind of key.
    pub algorithm: KeyAlgorithm,
    /// Where it came from.
    pub source: Source,
    /// Which generation of the serving key its own key is under. Where its body is depends
    /// on it ([`crate::bodies`]), for bodies do not change. 0 where nobody noted it.
    pub sealed_under: u32,
    /// The issuers above it; interned by the state.
    pub chain: Arc<ChainId>,
    /// Common name of its issuer; interned by the state.
    pub issuer: Arc<String>,
    /// Big-endian, without leading zeros.
    pub serial: Box<[u8]>,
    /// Beginning of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    /// When the leader should order the next one; the far future for one that was
    /// uploaded and is to be replaced by hand.
    pub renew_at: Timestamp,
    /// The window that the CA suggested for it (RFC 9773 section 4.2), from which
    /// `renew_at` was drawn.
    pub window: Option<Window>,
    /// Its replacement was asked for before its time.
    pub reissue: Option<Reissue>,
    /// It is or is to be revoked. Few are: behind a pointer.
    pub revocation: Option<Box<Revocation>>,
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

    /// From when on it may be forgotten; absent while it is served. Not before the CA was
    /// told of a revocation, while that matters.
    pub fn forgotten_at(&self) -> Option<Timestamp> {
        let revocation = self.revocation.as_ref().map(|revocation| &revocation.state);
        let revoking = matches!(revocation, Some(RevocationState::Wanted { .. }));
        let forget_at = self.forget_at?;
        Some(if revoking {
            forget_at.max(self.not_after)
        } else {
            forget_at
        })
    }

    /// True if `leaf` is its DER.
    pub fn is_of(&self, leaf: &[u8]) -> bool {
        self.id
            == match self.source {
                Source::Ca(_) => CertificateId::of_leaf(leaf),
                Source::Uploaded => CertificateId::of_upload(leaf, &self.hostname),
            }
    }

    /// Within its validity.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && now < self.not_after
    }
}

/// Where a certificate came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// We ordered it there.
    Ca(CaName),
    /// An operator brought it.
    Uploaded,
}

/// From when to when a CA suggests to renew (RFC 9773 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// From.
    pub start: Timestamp,
    /// To, exclusive.
    pub end: Timestamp,
}

impl Window {
    /// True from its start to before its end.
    pub fn contains(&self, now: Timestamp) -> bool {
        self.start <= now && now < self.end
    }
}

/// How urgent a replacement before its time is, the more urgent the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reissue {
    /// When there is room.
    Calm,
    /// Before everything else.
    Urgent,
}

impl Reissue {
    /// Its name in the API and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Urgent => "urgent",
        }
    }

    /// By its name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Calm, Self::Urgent]
            .into_iter()
            .find(|value| value.as_str() == text)
    }
}

/// A revocation (RFC 8555 section 7.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The reason's code (RFC 5280 section 5.3.1).
    pub reason: u8,
    /// When an operator asked for it.
    pub asked_at: Timestamp,
    /// How far it is.
    pub state: RevocationState,
}

/// How far a revocation is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationState {
    /// The CA may or may not have heard of it; next try at that moment.
    Wanted {
        /// When to try, or try again.
        next_try: Timestamp,
    },
    /// The CA did it.
    Done,
    /// The CA will not: its words.
    Refused(Arc<str>),
}
