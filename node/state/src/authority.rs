//! The cluster's own certification authority.

use bytes::Bytes;

use crate::{Sealed, Timestamp};

/// A root that outlives us all and an online CA under it, which the leader uses
/// to sign members' and operators' certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The root's certificate (DER). Tokens pin the SHA-256 of its public key.
    pub root: Bytes,
    /// Its private key (PKCS #8), under the control key.
    pub root_key: Sealed,
    /// The online CA's certificate (DER), signed by the root.
    pub issuing: Bytes,
    /// Its private key (PKCS #8), under the control key.
    pub issuing_key: Sealed,
    /// When the online CA's certificate ends; it is renewed at half its life.
    pub issuing_not_after: Timestamp,
    /// When the leader should make the next one.
    pub issuing_renew_at: Timestamp,
}
