//! Single-use, expiring rights to enter.

use std::fmt;

use bytes::Bytes;

use crate::{Actor, InvitationId, NodeId, OperatorId, Timestamp};

/// What an invitation lets its holder become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A member of the cluster.
    Node,
    /// An operator who may change things.
    Admin,
    /// An operator who may look.
    Viewer,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Node, Self::Admin, Self::Viewer];

    /// Its name on the wire and in certificates.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Admin => "admin",
            Self::Viewer => "viewer",
        }
    }

    /// From its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A right to enter, spent at most once.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Drawn from the counter.
    pub id: InvitationId,
    /// What its holder becomes.
    pub role: Role,
    /// HMAC-SHA256 of the token's secret: enough to check a proof, not to make
    /// the token.
    pub verifier: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: Actor,
    /// From then on it is refused.
    pub expires_at: Timestamp,
    /// Withdrawn by an operator.
    pub revoked: bool,
    /// By whom it was spent.
    pub redemption: Option<Redemption>,
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Invitation({}, {}, {:?})",
            self.id, self.role, self.redemption
        )
    }
}

/// Who spent an invitation. Bound to the key, so that a lost answer costs
/// nothing: the same key may ask again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redemption {
    /// SubjectPublicKeyInfo (DER).
    pub public_key: Bytes,
    /// Who came of it.
    pub became: Became,
    /// When.
    pub at: Timestamp,
}

/// Who came of an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Became {
    /// A member.
    Node(NodeId),
    /// An operator.
    Operator(OperatorId),
}
