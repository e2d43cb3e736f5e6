//! What falls due when: derived from the records, kept ordered, so that a plan
//! costs what is due and not the whole.

use crate::{CertificateId, Hostname, InvitationId, KeyAlgorithm};

/// Something that the leader must look at from some moment on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// The hostname needs an order for such a key: its first, its next or a retry.
    Order(Hostname, KeyAlgorithm),
    /// The hostname's proof is to be looked at.
    Check(Hostname),
    /// Another tenant's claim to the hostname is to be looked at, or given up.
    Contest(Hostname),
    /// The CA is to be told that a certificate must not be trusted.
    // Few of all: behind a pointer, so that the others are small.
    Revoke(Box<CertificateId>),
    /// A replaced certificate, or one of a removed hostname, may go.
    Forget(Box<CertificateId>),
    /// An invitation that ended long ago may go.
    Sweep(InvitationId),
    /// Who had a removed hostname may be forgotten.
    Bury(Hostname),
}
