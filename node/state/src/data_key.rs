//! The keys that secrets are sealed under.

use std::fmt;

use bytes::Bytes;
use imbl::OrdMap;

use crate::{Index, NodeId, Timestamp};

/// What a data key is for, and so who may have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyPurpose {
    /// Certificates' private keys: every member.
    Serving,
    /// The ACME account and the cluster's CA: voters only.
    Control,
}

impl KeyPurpose {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Serving, Self::Control];

    /// Its name on the wire and in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Control => "control",
        }
    }

    /// From its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|purpose| purpose.as_str() == name)
    }
}

impl fmt::Display for KeyPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an operator can have replaced at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rotation {
    /// A data key, and with it the sealing of everything that is under it.
    DataKey(KeyPurpose),
    /// The cluster's online CA, and with it the members' certificates.
    IssuingCa,
}

impl Rotation {
    /// All of them.
    pub const ALL: [Self; 3] = [
        Self::DataKey(KeyPurpose::Serving),
        Self::DataKey(KeyPurpose::Control),
        Self::IssuingCa,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DataKey(KeyPurpose::Serving) => "serving-key",
            Self::DataKey(KeyPurpose::Control) => "control-key",
            Self::IssuingCa => "issuing-ca",
        }
    }

    /// From its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|rotation| rotation.as_str() == name)
    }
}

/// One generation of a data key. The key itself is never here: only copies of
/// it, each sealed to one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataKey {
    /// What it is for.
    pub purpose: KeyPurpose,
    /// Begins at 1; the highest seals new secrets, all others open old ones until nothing is
    /// under them any more.
    pub generation: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// The log index that brought it: members removed later knew it.
    pub created: Index,
    /// An operator has asked for the next generation.
    pub replace: bool,
    /// The copies.
    pub sealed_for: OrdMap<NodeId, HpkeSealed>,
}

/// Bytes sealed to one member by HPKE (RFC 9180; X25519, HKDF-SHA256, AES-256-GCM).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HpkeSealed {
    /// The encapsulated key.
    pub encapsulated: Bytes,
    /// Ciphertext and tag.
    pub ciphertext: Bytes,
}
