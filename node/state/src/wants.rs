//! What a hostname is to have: decided by operators.

use crate::CaName;

/// What certificates a hostname is to have. Most have the default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wants {
    /// Every name one label below it, too: one certificate for both.
    pub wildcard: bool,
    /// With which keys.
    pub algorithms: Algorithms,
    /// Obtained by us. False: only what is uploaded is served.
    pub automatic: bool,
    /// From that CA only; absent: by rank.
    pub ca: Option<CaName>,
    /// By that profile; absent: the CA's as configured.
    pub profile: Option<String>,
    /// Proven by that challenge only; absent: by what fits.
    pub challenge: Option<ChallengeKind>,
}

impl Default for Wants {
    fn default() -> Self {
        Self {
            wildcard: false,
            algorithms: Algorithms::Ecdsa,
            automatic: true,
            ca: None,
            profile: None,
            challenge: None,
        }
    }
}

/// Which keys a hostname's certificates have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithms {
    /// One certificate, with a P-256 key.
    #[default]
    Ecdsa,
    /// One, with a key of RSA with 2048 bits.
    Rsa,
    /// Both, one after the other, for clients that know no ECDSA.
    Both,
}

impl Algorithms {
    /// All choices.
    pub const ALL: [Self; 3] = [Self::Ecdsa, Self::Rsa, Self::Both];

    /// Its name in the API and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ecdsa => "ecdsa",
            Self::Rsa => "rsa",
            Self::Both => "both",
        }
    }

    /// By its name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.as_str() == text)
    }

    /// One after the other.
    pub fn each(self) -> &'static [KeyAlgorithm] {
        match self {
            Self::Ecdsa => &[KeyAlgorithm::Ecdsa],
            Self::Rsa => &[KeyAlgorithm::Rsa],
            Self::Both => &[KeyAlgorithm::Ecdsa, KeyAlgorithm::Rsa],
        }
    }
}

/// A certificate's kind of key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyAlgorithm {
    /// On P-256 when we make it; any curve when it is uploaded.
    #[default]
    Ecdsa,
    /// 2048 bits when we make it; any length that is safe when it is uploaded.
    Rsa,
}

impl KeyAlgorithm {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ecdsa, Self::Rsa];

    /// Its name in the API and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ecdsa => "ecdsa",
            Self::Rsa => "rsa",
        }
    }

    /// By its name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.as_str() == text)
    }
}

/// How a CA is shown that a name is ours (RFC 8555 section 8, RFC 8737).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChallengeKind {
    /// An answer on port 80.
    Http01,
    /// A handshake on port 443.
    TlsAlpn01,
    /// A TXT record.
    Dns01,
}

impl ChallengeKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Http01, Self::TlsAlpn01, Self::Dns01];

    /// Its name (RFC 8555 section 9.7.8).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
            Self::Dns01 => "dns-01",
        }
    }

    /// By its name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}
