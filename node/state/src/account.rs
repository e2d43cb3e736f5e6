//! The ACME account, shared by successive leaders.

use crate::Sealed;

/// The CA we were told to use, and our account there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// URL of the CA's directory (RFC 8555 section 7.1.1).
    pub directory: String,
    /// Trust roots (PEM) for a private CA; empty: the system's.
    pub trust_roots_pem: String,
    /// `mailto:` contacts.
    pub contacts: Vec<String>,
    /// An operator agreed to the CA's terms of service.
    pub terms_agreed: bool,
    /// How far we are with it.
    pub registration: Registration,
}

/// How far the account is. The key is on a quorum's disks before the CA hears
/// of it, so that a crash can never lose an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Nothing was done.
    None,
    /// The key exists; `newAccount` may or may not have reached the CA.
    KeyCommitted {
        /// PKCS #8, under the control key.
        key: Sealed,
        /// RFC 7638 thumbprint, base64url.
        thumbprint: String,
    },
    /// The CA answered.
    Registered {
        /// PKCS #8, under the control key.
        key: Sealed,
        /// RFC 7638 thumbprint, base64url.
        thumbprint: String,
        /// The account's URL (`kid`).
        url: String,
    },
}

impl Account {
    /// The thumbprint that key authorizations end in, once there is a key.
    pub fn thumbprint(&self) -> Option<&str> {
        match &self.registration {
            Registration::None => None,
            Registration::KeyCommitted { thumbprint, .. }
            | Registration::Registered { thumbprint, .. } => Some(thumbprint),
        }
    }
}
