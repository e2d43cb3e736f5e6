//! People and programs that use the admin API.

use bytes::Bytes;

use crate::{InvitationId, IssuedCertificate, OperatorId, Role, Timestamp};

/// Somebody with a client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Drawn from the counter at login.
    pub id: OperatorId,
    /// As the audit shows it.
    pub name: String,
    /// Admin or viewer.
    pub role: Role,
    /// SubjectPublicKeyInfo (DER).
    pub public_key: Bytes,
    /// The right it came by; absent for the founder's administrator.
    pub invitation: Option<InvitationId>,
    /// When it was admitted.
    pub admitted_at: Timestamp,
    /// Its certificate, once the leader has signed it.
    pub certificate: Option<IssuedCertificate>,
}
