//! Nodes of the cluster.

use bytes::Bytes;

use crate::{Index, InvitationId, NodeId, Timestamp};

/// A node that was admitted.
///
/// Whether it votes is Raft's to say (`State::voters`); that it is `leaving` is
/// ours: the leader then takes it out of Raft and finishes its removal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Drawn from the counter when its invitation was redeemed.
    pub id: NodeId,
    /// What its operator calls it; unique among members.
    pub name: String,
    /// host:port of its peer listener, as others reach it.
    pub peer_address: String,
    /// host:port of its admin listener, as operators reach it.
    pub admin_address: String,
    /// SubjectPublicKeyInfo (DER) of its key: what peer links pin.
    pub public_key: Bytes,
    /// X25519 public key that data keys are sealed to.
    pub hpke_public_key: Bytes,
    /// The right it came by; absent for the founder, and for machines that the cloud vouches for.
    pub invitation: Option<InvitationId>,
    /// Which machine of a cloud it is, if that vouched for it: see
    /// [`crate::Change::AdmitMachine`].
    pub machine: Option<String>,
    /// When it was admitted.
    pub joined_at: Timestamp,
    /// Its certificate, once the leader has signed one.
    pub certificate: Option<IssuedCertificate>,
    /// Its removal was asked for.
    pub leaving: bool,
}

/// A certificate of the cluster's own CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedCertificate {
    /// The leaf (DER).
    pub leaf: Bytes,
    /// The online CA's certificate (DER) that signed it.
    pub issuing: Bytes,
    /// When it ends.
    pub not_after: Timestamp,
    /// When the leader should sign the next one; never for operators.
    pub renew_at: Option<Timestamp>,
}

/// What is kept of a member that was removed: its id and its key are never
/// accepted again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Its id.
    pub id: NodeId,
    /// What it was called.
    pub name: String,
    /// Its key.
    pub public_key: Bytes,
    /// When it was removed.
    pub removed_at: Timestamp,
    /// The log index of that: data keys made earlier were known to it.
    pub removed: Index,
    /// Which machine it was: it does not come back unasked.
    pub machine: Option<String>,
}
