//! What falls due when: derived from the records, kept ordered, so that a plan
//! costs what is due and not the whole.

use crate::{CertificateId, Hostname, InvitationId};

/// Something that the leader must look at from some moment on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// The hostname needs an order: its first, its next or a retry.
    Order(Hostname),
    /// A replaced certificate, or one of a removed hostname, may go.
    Forget(CertificateId),
    /// An invitation that ended long ago may go.
    Sweep(InvitationId),
}
