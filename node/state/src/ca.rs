//! A CA that certificates may come from, and our account there.

mod preset;

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use crate::{Index, Limit, LimitOverride, Sealed};

pub use preset::Preset;

/// What operators call a CA: 1 to 40 of `a-z`, `0-9` and `-`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaName(Arc<str>);

/// Longest name of a CA.
const NAME_MAX: usize = 40;

/// Why a text names no CA.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a CA's name is 1 to 40 of the characters a-z, 0-9 and -")]
pub struct CaNameError;

impl CaName {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CaName {
    type Err = CaNameError;

    fn from_str(text: &str) -> Result<Self, CaNameError> {
        let fits = (1..=NAME_MAX).contains(&text.len());
        let character = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if fits && text.bytes().all(character) {
            Ok(Self(text.into()))
        } else {
            Err(CaNameError)
        }
    }
}

impl fmt::Display for CaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for CaName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A CA with our account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ca {
    /// Its name among ours.
    pub name: CaName,
    /// What operators decided.
    pub settings: CaSettings,
    /// The binding to an account that the CA knows otherwise, if it asks for one.
    pub external_account: Option<ExternalAccount>,
    /// How far our account is.
    pub registration: Registration,
    /// The log index of its last change.
    pub revision: Index,
}

/// What operators decide about a CA.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaSettings {
    /// URL of its directory (RFC 8555 section 7.1.1).
    pub directory: String,
    /// Trust roots (PEM) for a private CA; empty: the system's.
    pub trust_roots_pem: String,
    /// `mailto:` contacts.
    pub contacts: Vec<String>,
    /// An operator agreed to its terms of service.
    pub terms_agreed: bool,
    /// The lowest is asked first; the others are for when it fails.
    pub rank: u32,
    /// Of two `finalize` for one order it refuses one: no wait after a takeover.
    pub finalize_atomic: bool,
    /// How CAA records name it (RFC 8659 section 4.2); empty: as its directory says.
    pub caa_identities: Vec<String>,
    /// The profile to ask for unless the hostname has its own; absent: the CA's default.
    pub profile: Option<String>,
    /// Of several chains the one whose topmost certificate has this issuer's common
    /// name; absent: the CA's first.
    pub preferred_chain: Option<String>,
    /// What it allows; of each kind at most one.
    pub limits: Vec<Limit>,
    /// What it allows for one key of a limit, by its own exception.
    pub overrides: Vec<LimitOverride>,
}

/// An account that the CA knows otherwise (RFC 8555 section 7.3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalAccount {
    /// What the CA calls it.
    pub key_id: String,
    /// Its HMAC key, under the control key.
    pub hmac: Sealed,
}

/// How far the account is. Each key is on a quorum's disks before the CA hears of it,
/// so that a crash can never lose an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Nothing was done.
    None,
    /// The key exists; `newAccount` may or may not have reached the CA.
    KeyCommitted(AccountKey),
    /// The CA answered.
    Registered {
        /// The account's key.
        key: AccountKey,
        /// The account's URL (`kid`); it stays when the key changes.
        url: String,
        /// An operator wants another key.
        rollover: bool,
    },
    /// `keyChange` (RFC 8555 section 7.3.5) may or may not have reached the CA: one of
    /// the two keys is the account's.
    Rolling {
        /// The key so far.
        key: AccountKey,
        /// The account's URL.
        url: String,
        /// The key to be.
        next: AccountKey,
    },
}

/// An account's key pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountKey {
    /// PKCS #8, under the control key.
    pub sealed: Sealed,
    /// RFC 7638 thumbprint, base64url.
    pub thumbprint: String,
}

impl Ca {
    /// The thumbprint that key authorizations end in, once there is a key. While the
    /// key is being changed no challenge is open.
    pub fn thumbprint(&self) -> Option<&str> {
        self.key().map(|key| key.thumbprint.as_str())
    }

    /// The account's key, as far as is known for certain.
    pub fn key(&self) -> Option<&AccountKey> {
        match &self.registration {
            Registration::None => None,
            Registration::KeyCommitted(key)
            | Registration::Registered { key, .. }
            | Registration::Rolling { key, .. } => Some(key),
        }
    }

    /// The account's URL, once the CA gave it.
    pub fn account_url(&self) -> Option<&str> {
        match &self.registration {
            Registration::None | Registration::KeyCommitted(_) => None,
            Registration::Registered { url, .. } | Registration::Rolling { url, .. } => Some(url),
        }
    }

    /// True if orders may begin: registered, and the key is not to change.
    pub fn takes_orders(&self) -> bool {
        matches!(
            self.registration,
            Registration::Registered {
                rollover: false,
                ..
            }
        )
    }
}

impl Registration {
    /// Its name in the API.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::KeyCommitted(_) => "key-committed",
            Self::Registered {
                rollover: false, ..
            } => "registered",
            Self::Registered { rollover: true, .. } => "rollover-wanted",
            Self::Rolling { .. } => "rolling",
        }
    }
}
