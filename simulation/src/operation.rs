//! What clients ask, and what they are told.

use std::fmt;
use std::time::Duration;

use state::ports::{Applied, MembersError, ProposeError};
use state::testing::START;
use state::{Actor, Change, Hostname, Index, InvitationId, NodeId, Origin, Outcome, Reissue, Role};

use crate::founding::spend;

/// Names one call of one client. Written into the state as the call's actor, so that
/// whatever stands there names the call that it came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Op(pub(crate) u64);

impl Op {
    pub(crate) fn actor(self) -> Actor {
        Actor::operator(&self.to_string())
    }

    /// The call whose actor is shown as `text`.
    pub(crate) fn of_actor(text: &str) -> Option<Self> {
        text.strip_prefix("operator:op-")?.parse().ok().map(Self)
    }

    /// An origin that only this call sets.
    pub(crate) fn origin(self) -> Origin {
        Origin {
            scheme: state::OriginScheme::Http,
            host: format!("{self}.origin.example"),
            port: 80,
            protocol: state::OriginProtocol::Auto,
        }
    }

    /// The call that set `origin`.
    pub(crate) fn of_origin(origin: &Origin) -> Option<Self> {
        origin
            .host
            .strip_suffix(".origin.example")?
            .strip_prefix("op-")?
            .parse()
            .ok()
            .map(Self)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "op-{}", self.0)
    }
}

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operation {
    Authorize(Hostname),
    Remove(Hostname),
    /// Behind a barrier.
    Read(Hostname),
    /// To have a certificate replaced before its time.
    Reissue(Hostname),
    SetOrigin,
    Invite(Role),
    Revoke(InvitationId),
    /// To let the machine of that number in, by an invitation made for it.
    Join(u64),
    /// To let it in by one that was made before, and may be spent.
    Spend(InvitationId, u64),
    /// To take a member out.
    Expel(NodeId),
    /// To hand leadership over.
    Transfer(Option<NodeId>),
}

impl Operation {
    /// What is proposed for it; `None` if it is no single proposal.
    pub(crate) fn change(&self, op: Op) -> Option<Change> {
        let mut verifier = [0; 32];
        verifier[..8].copy_from_slice(&op.0.to_be_bytes());
        Some(match self {
            Self::Authorize(hostname) => state::testing::authorize(hostname.as_str()),
            Self::Remove(hostname) => Change::RemoveHostname {
                hostname: hostname.clone(),
                revision: None,
            },
            Self::Reissue(hostname) => Change::ReissueCertificates {
                hostnames: vec![hostname.clone()],
                urgency: Reissue::Urgent,
            },
            Self::SetOrigin => Change::SetOrigin {
                origin: op.origin(),
                revision: None,
            },
            Self::Invite(role) => Change::CreateInvitation {
                role: *role,
                verifier,
                expires_at: START.plus(Duration::from_secs(86_400)),
            },
            Self::Revoke(id) => Change::RevokeInvitation { id: *id },
            Self::Spend(id, machine) => spend(*id, *machine),
            Self::Expel(node) => Change::RemoveNode { node: *node },
            Self::Read(_) | Self::Join(_) | Self::Transfer(_) => return None,
        })
    }

    /// The hostname whose authorization it changes or reads.
    pub(crate) const fn hostname(&self) -> Option<&Hostname> {
        match self {
            Self::Authorize(hostname) | Self::Remove(hostname) | Self::Read(hostname) => {
                Some(hostname)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authorize(hostname) => write!(f, "authorize {hostname}"),
            Self::Remove(hostname) => write!(f, "remove {hostname}"),
            Self::Read(hostname) => write!(f, "read {hostname}"),
            Self::Reissue(hostname) => write!(f, "reissue {hostname}"),
            Self::SetOrigin => f.write_str("set-origin"),
            Self::Invite(role) => write!(f, "invite {role}"),
            Self::Revoke(id) => write!(f, "revoke {id}"),
            Self::Join(machine) => write!(f, "join machine {machine}"),
            Self::Spend(id, machine) => write!(f, "spend {id} for machine {machine}"),
            Self::Expel(node) => write!(f, "expel node {node}"),
            Self::Transfer(Some(node)) => write!(f, "transfer to node {node}"),
            Self::Transfer(None) => f.write_str("transfer"),
        }
    }
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It was agreed on.
    Applied(Applied),
    /// It was read, from a state of that index: which call the hostname is authorized by.
    Read(Index, Option<Op>),
    /// Another leads now.
    Transferred(NodeId),
    /// It was certainly not proposed, and will not be.
    NotProposed(&'static str),
    /// It may have happened, or may yet.
    Unknown,
}

impl Answer {
    /// What became of a proposal.
    pub(crate) fn of_proposal(answer: Result<Applied, ProposeError>) -> Self {
        match answer {
            Ok(applied) => Self::Applied(applied),
            Err(error) => Self::of_error(&error),
        }
    }

    /// What became of a handover.
    pub(crate) fn of_members(answer: Result<NodeId, MembersError>) -> Self {
        match answer {
            Ok(node) => Self::Transferred(node),
            Err(MembersError::Unknown) => Self::Unknown,
            Err(MembersError::NotLeader(_)) => Self::NotProposed("not leader"),
            Err(MembersError::Refused(_)) => Self::NotProposed("refused"),
            Err(MembersError::Stopped(_)) => Self::NotProposed("stopped"),
        }
    }

    pub(crate) const fn of_error(error: &ProposeError) -> Self {
        match error {
            ProposeError::Unknown => Self::Unknown,
            ProposeError::NotLeader(_) => Self::NotProposed("not leader"),
            ProposeError::NoLeader => Self::NotProposed("no leader"),
            ProposeError::Overloaded => Self::NotProposed("overloaded"),
            ProposeError::Stopped(_) => Self::NotProposed("stopped"),
            ProposeError::Level { .. } => Self::NotProposed("of a higher level"),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Applied(Applied {
                index,
                outcome: Outcome::Done(done),
            }) => write!(f, "at {index}: {done:?}"),
            Self::Applied(Applied {
                index,
                outcome: Outcome::Refused(why),
            }) => write!(f, "at {index}: refused: {why}"),
            Self::Read(index, Some(by)) => write!(f, "read at {index}: by {by}"),
            Self::Read(index, None) => write!(f, "read at {index}: nobody's"),
            Self::Transferred(node) => write!(f, "node {node} leads"),
            Self::NotProposed(why) => write!(f, "not proposed: {why}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}
