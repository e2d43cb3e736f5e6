//! Outcomes, as they travel from the leader to the follower that was asked.

use super::{DecodeError, wire};
use crate::{
    Done, Index, InvitationId, LimitKind, NodeId, OperatorId, OrderId, Outcome, Refusal, Term,
    Timestamp, outcome::Kind,
};

/// Texts that a refusal carries by reference: they are found again by their value.
const TEXTS: [&str; 7] = [
    "name",
    "key",
    "machine",
    "admitted",
    "prepared",
    "ready-intent",
    "finalize-intent",
];

impl From<&Outcome> for wire::Outcome {
    fn from(outcome: &Outcome) -> Self {
        let nothing = wire::Nothing {};
        let answer = match outcome {
            Outcome::Done(Done::Nothing) => wire::Answer::Nothing(nothing),
            Outcome::Done(Done::Unchanged) => wire::Answer::Unchanged(nothing),
            Outcome::Done(Done::Node(id)) => wire::Answer::Node(id.0),
            Outcome::Done(Done::Operator(id)) => wire::Answer::Operator(id.0),
            Outcome::Done(Done::Invitation(id)) => wire::Answer::Invitation(id.0),
            Outcome::Done(Done::Order(id)) => wire::Answer::Order(id.0),
            Outcome::Refused(refusal) => wire::Answer::Refused(refusal.into()),
        };
        Self {
            answer: Some(answer),
        }
    }
}

impl TryFrom<wire::Outcome> for Outcome {
    type Error = DecodeError;

    fn try_from(outcome: wire::Outcome) -> Result<Self, DecodeError> {
        let done = match outcome.answer.ok_or(DecodeError::Unknown("outcome"))? {
            wire::Answer::Nothing(_) => Done::Nothing,
            wire::Answer::Unchanged(_) => Done::Unchanged,
            wire::Answer::Node(id) => Done::Node(NodeId(id)),
            wire::Answer::Operator(id) => Done::Operator(OperatorId(id)),
            wire::Answer::Invitation(id) => Done::Invitation(InvitationId(id)),
            wire::Answer::Order(id) => Done::Order(OrderId(id)),
            wire::Answer::Refused(refusal) => return Ok(Self::Refused(refusal.try_into()?)),
        };
        Ok(Self::Done(done))
    }
}

impl From<&Refusal> for wire::Refusal {
    fn from(refusal: &Refusal) -> Self {
        let (name, number, text) = match refusal {
            Refusal::StaleTerm { now } => ("stale-term", now.0, ""),
            Refusal::NotFound(kind) => ("not-found", 0, kind.as_str()),
            Refusal::AlreadyExists(kind) => ("already-exists", 0, kind.as_str()),
            Refusal::RevisionMismatch { current } => ("revision-mismatch", current.0, ""),
            Refusal::AlreadyFounded => ("already-founded", 0, ""),
            Refusal::NotFounded => ("not-founded", 0, ""),
            Refusal::InvitationExpired => ("invitation-expired", 0, ""),
            Refusal::InvitationRevoked => ("invitation-revoked", 0, ""),
            Refusal::InvitationSpent => ("invitation-spent", 0, ""),
            Refusal::InvitationRole => ("invitation-role", 0, ""),
            Refusal::MemberTaken(what) => ("member-taken", 0, *what),
            Refusal::LastMember => ("last-member", 0, ""),
            Refusal::StillInRaft => ("still-in-raft", 0, ""),
            Refusal::Busy => ("busy", 0, ""),
            Refusal::NotDue => ("not-due", 0, ""),
            Refusal::ClaimChanged => ("claim-changed", 0, ""),
            Refusal::WrongStage(stage) => ("wrong-stage", 0, *stage),
            Refusal::MayBeIssued => ("may-be-issued", 0, ""),
            Refusal::WrongGeneration => ("wrong-generation", 0, ""),
            Refusal::AccountState => ("account-state", 0, ""),
            Refusal::Paused => ("paused", 0, ""),
            Refusal::Restoring => ("restoring", 0, ""),
            Refusal::Quarantined => ("quarantined", 0, ""),
            Refusal::OtherCluster => ("other-cluster", 0, ""),
            Refusal::Unproven => ("unproven", 0, ""),
            Refusal::Limited { limit, until } => ("limited", until.0, limit.as_str()),
            Refusal::OtherTenant(tenant) => ("other-tenant", 0, tenant.as_str()),
            Refusal::InUse(by) => ("in-use", 0, by.as_str()),
            Refusal::Unfit(why) => ("unfit", 0, why.as_str()),
            Refusal::TooMany(kind) => ("too-many", 0, kind.as_str()),
        };
        Self {
            name: name.to_owned(),
            number,
            text: text.to_owned(),
        }
    }
}

impl TryFrom<wire::Refusal> for Refusal {
    type Error = DecodeError;

    fn try_from(refusal: wire::Refusal) -> Result<Self, DecodeError> {
        let unknown = DecodeError::Unknown("refusal");
        let kind = || {
            Kind::ALL
                .into_iter()
                .find(|kind| kind.as_str() == refusal.text)
                .ok_or(unknown.clone())
        };
        let text = || {
            TEXTS
                .into_iter()
                .find(|text| *text == refusal.text)
                .ok_or(unknown.clone())
        };
        Ok(match refusal.name.as_str() {
            "stale-term" => Self::StaleTerm {
                now: Term(refusal.number),
            },
            "not-found" => Self::NotFound(kind()?),
            "already-exists" => Self::AlreadyExists(kind()?),
            "revision-mismatch" => Self::RevisionMismatch {
                current: Index(refusal.number),
            },
            "already-founded" => Self::AlreadyFounded,
            "not-founded" => Self::NotFounded,
            "invitation-expired" => Self::InvitationExpired,
            "invitation-revoked" => Self::InvitationRevoked,
            "invitation-spent" => Self::InvitationSpent,
            "invitation-role" => Self::InvitationRole,
            "member-taken" => Self::MemberTaken(text()?),
            "last-member" => Self::LastMember,
            "still-in-raft" => Self::StillInRaft,
            "busy" => Self::Busy,
            "not-due" => Self::NotDue,
            "claim-changed" => Self::ClaimChanged,
            "wrong-stage" => Self::WrongStage(text()?),
            "may-be-issued" => Self::MayBeIssued,
            "wrong-generation" => Self::WrongGeneration,
            "account-state" => Self::AccountState,
            "paused" => Self::Paused,
            "restoring" => Self::Restoring,
            "quarantined" => Self::Quarantined,
            "other-cluster" => Self::OtherCluster,
            "unproven" => Self::Unproven,
            "limited" => Self::Limited {
                limit: LimitKind::parse(&refusal.text).ok_or(unknown)?,
                until: Timestamp(refusal.number),
            },
            "other-tenant" => Self::OtherTenant(refusal.text.parse().map_err(|_| unknown)?),
            "in-use" => Self::InUse(refusal.text),
            "unfit" => Self::Unfit(refusal.text),
            "too-many" => Self::TooMany(kind()?),
            _ => return Err(unknown),
        })
    }
}
