//! Why a request was not done, as google.rpc says it: a code for programs that
//! know gRPC, a reason for programs that know us, a sentence for people.

use std::{collections::HashMap, time::Duration};

use state::{
    Refusal,
    outcome::Kind,
    ports::{MembersError, ProposeError, SealError},
};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::backups::BackupError;

/// The domain of all reasons.
pub(crate) const DOMAIN: &str = "hostquorum";

/// The reason for a write that may or may not have taken effect.
pub(crate) const OUTCOME_UNKNOWN: &str = "OUTCOME_UNKNOWN";

/// A caller who was refused for load should wait this long.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Problem {
    pub(crate) code: Code,
    /// SCREAMING_SNAKE, stable.
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) detail: Detail,
}

/// What is told beside code and reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    None,
    /// A field of the request is at fault.
    Field(&'static str),
    /// What was asked for is or is not there.
    Resource(&'static str, String),
    /// The state is not as the caller expected.
    Precondition(String),
    /// Try again after a moment.
    Retry,
}

impl Problem {
    pub(crate) fn new(code: Code, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            detail: Detail::None,
        }
    }

    /// A field of the request cannot be used, and why.
    pub(crate) fn field(field: &'static str, message: impl Into<String>) -> Self {
        Self {
            detail: Detail::Field(field),
            ..Self::new(Code::InvalidArgument, "INVALID_ARGUMENT", message)
        }
    }

    /// Nothing has that name.
    pub(crate) fn not_found(kind: Kind, name: &str) -> Self {
        Self {
            detail: Detail::Resource(kind.as_str(), name.to_owned()),
            ..Self::new(
                Code::NotFound,
                missing(kind),
                format!("there is no {kind} `{name}`"),
            )
        }
    }

    /// A bound was met; try again in a moment.
    pub(crate) fn overloaded(message: impl Into<String>) -> Self {
        Self {
            detail: Detail::Retry,
            ..Self::new(Code::ResourceExhausted, "OVERLOADED", message)
        }
    }

    /// The state is not such that it could be done.
    pub(crate) fn precondition(
        reason: &'static str,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            detail: Detail::Precondition(subject.into()),
            ..Self::new(Code::FailedPrecondition, reason, message)
        }
    }

    /// A secret could not be sealed here.
    pub(crate) fn unsealed(error: &SealError) -> Self {
        match error {
            SealError::NoKey(purpose, _) => Self::precondition(
                "NO_DATA_KEY",
                "this node",
                format!(
                    "this node was not given the {purpose} key, under which the secret must be \
                     sealed before it is agreed on: ask a voter (see `hostquorum cluster members`)"
                ),
            ),
            SealError::Damaged(_) => Self::internal(),
        }
    }

    /// There is no backup, or it is not taken over.
    pub(crate) fn not_backed_up(error: &BackupError) -> Self {
        let message = error.to_string();
        match error {
            BackupError::NoRecipient => Self::precondition("NO_RECIPIENT", "this node", message),
            BackupError::NoKey(_) => Self::precondition("NO_DATA_KEY", "this node", message),
            BackupError::NotFounded => Self::precondition("NOT_FOUNDED", "this node", message),
            BackupError::Store(_) => Self::new(Code::Unavailable, "STORE_FAILED", message),
            BackupError::Output(_) => Self::new(Code::Aborted, "NOT_TAKEN", message),
            BackupError::Keys(_) => Self::field("frame", message),
        }
    }

    /// A task of ours ended without an answer.
    pub(crate) fn internal() -> Self {
        Self::new(
            Code::Internal,
            "INTERNAL",
            "the request failed inside this node; its log says why",
        )
    }

    /// A proposal has no answer. `subject` is what it was about.
    pub(crate) fn unproposed(error: &ProposeError, subject: &str) -> Self {
        let message = format!("{subject}: {error}");
        match error {
            ProposeError::Unknown => Self::new(Code::Unavailable, OUTCOME_UNKNOWN, message),
            ProposeError::NotLeader(_) => Self::new(Code::Unavailable, "NOT_LEADER", message),
            ProposeError::NoLeader => Self::new(Code::Unavailable, "NO_LEADER", message),
            ProposeError::Overloaded => Self::overloaded(message),
            ProposeError::Stopped(_) => Self::new(Code::Unavailable, "REPLICA_STOPPED", message),
            ProposeError::Level { .. } => Self::precondition("FEATURE_LEVEL", subject, message),
        }
    }

    /// Leadership was not handed over.
    pub(crate) fn not_transferred(error: &MembersError) -> Self {
        let message = format!("leadership was not handed over: {error}");
        match error {
            MembersError::NotLeader(_) => Self::new(Code::Unavailable, "NOT_LEADER", message),
            MembersError::Unknown => Self::new(Code::Unavailable, OUTCOME_UNKNOWN, message),
            MembersError::Refused(_) => {
                Self::precondition("TRANSFER_REFUSED", "leadership", message)
            }
            MembersError::Stopped(_) => Self::new(Code::Unavailable, "REPLICA_STOPPED", message),
        }
    }

    /// The state refused a change to `subject`.
    pub(crate) fn refused(refusal: &Refusal, subject: &str) -> Self {
        let message = format!("{subject}: {refusal}");
        let precondition = |reason| Self::precondition(reason, subject, message.clone());
        match refusal {
            Refusal::NotFound(kind) => Self::not_found(*kind, subject),
            Refusal::AlreadyExists(kind) => Self {
                detail: Detail::Resource(kind.as_str(), subject.to_owned()),
                ..Self::new(Code::AlreadyExists, existing(*kind), message)
            },
            Refusal::RevisionMismatch { .. } => Self {
                code: Code::Aborted,
                ..precondition("REVISION_MISMATCH")
            },
            Refusal::StaleTerm { .. } => Self {
                code: Code::Aborted,
                ..precondition("STALE_TERM")
            },
            Refusal::TooMany(kind) => Self::new(Code::ResourceExhausted, too_many(*kind), message),
            Refusal::NotFounded => precondition("NOT_FOUNDED"),
            Refusal::AlreadyFounded => precondition("ALREADY_FOUNDED"),
            Refusal::InvitationExpired => precondition("INVITATION_EXPIRED"),
            Refusal::InvitationRevoked => precondition("INVITATION_REVOKED"),
            Refusal::InvitationSpent => precondition("INVITATION_SPENT"),
            Refusal::InvitationRole => precondition("INVITATION_ROLE"),
            Refusal::MemberTaken(_) => precondition("MEMBER_TAKEN"),
            Refusal::LastMember => precondition("LAST_MEMBER"),
            Refusal::StillInRaft => precondition("STILL_IN_RAFT"),
            Refusal::Busy => precondition("BUSY"),
            Refusal::NotDue => precondition("NOT_DUE"),
            Refusal::ClaimChanged => precondition("CLAIM_CHANGED"),
            Refusal::WrongStage(_) => precondition("WRONG_STAGE"),
            Refusal::MayBeIssued => precondition("MAY_BE_ISSUED"),
            Refusal::WrongGeneration => precondition("WRONG_GENERATION"),
            Refusal::AccountState => precondition("ACCOUNT_STATE"),
            Refusal::Paused => precondition("ISSUANCE_PAUSED"),
            Refusal::Restoring => precondition("RESTORING"),
            Refusal::Quarantined => precondition("QUARANTINED"),
            Refusal::OtherCluster => precondition("OTHER_CLUSTER"),
            Refusal::Unproven => precondition("UNPROVEN"),
            Refusal::Limited { .. } => precondition("CA_LIMIT"),
            Refusal::OtherTenant(_) => precondition("OTHER_TENANT"),
            Refusal::InUse(_) => precondition("IN_USE"),
            Refusal::Unfit(_) => precondition("UNFIT"),
        }
    }
}

fn missing(kind: Kind) -> &'static str {
    match kind {
        Kind::Hostname => "HOSTNAME_NOT_FOUND",
        Kind::Member => "MEMBER_NOT_FOUND",
        Kind::Invitation => "INVITATION_NOT_FOUND",
        Kind::Operator => "OPERATOR_NOT_FOUND",
        Kind::Ca => "CA_NOT_FOUND",
        Kind::Certificate => "CERTIFICATE_NOT_FOUND",
        Kind::Contest => "CONTEST_NOT_FOUND",
        Kind::Request => "REQUEST_NOT_FOUND",
        Kind::Order | Kind::DataKey | Kind::Limit => "NOT_FOUND",
    }
}

fn existing(kind: Kind) -> &'static str {
    match kind {
        Kind::Hostname => "HOSTNAME_EXISTS",
        Kind::Ca => "CA_EXISTS",
        Kind::Certificate => "CERTIFICATE_EXISTS",
        Kind::Contest => "CONTEST_EXISTS",
        _ => "ALREADY_EXISTS",
    }
}

fn too_many(kind: Kind) -> &'static str {
    match kind {
        Kind::Invitation => "TOO_MANY_INVITATIONS",
        _ => "TOO_MANY",
    }
}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        let mut details = ErrorDetails::with_error_info(problem.reason, DOMAIN, HashMap::new());
        match &problem.detail {
            Detail::None => {}
            Detail::Field(field) => {
                details.add_bad_request_violation(*field, &problem.message);
            }
            Detail::Resource(kind, name) => {
                details.set_resource_info(*kind, name, "", &problem.message);
            }
            Detail::Precondition(subject) => {
                details.add_precondition_failure_violation(
                    problem.reason,
                    subject,
                    &problem.message,
                );
            }
            Detail::Retry => {
                details.set_retry_info(Some(RETRY_AFTER));
            }
        }
        Self::with_error_details(problem.code, problem.message, details)
    }
}
