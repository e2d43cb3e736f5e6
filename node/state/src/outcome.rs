//! What became of a command. A refusal is an ordinary outcome: the command was
//! agreed on and changed nothing.

use crate::{Index, InvitationId, LimitKind, NodeId, OperatorId, OrderId, Tenant, Term, Timestamp};

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect, or had already.
    Done(Done),
    /// It changed nothing.
    Refused(Refusal),
}

impl Outcome {
    /// Done, with nothing to tell.
    pub const DONE: Self = Self::Done(Done::Nothing);

    /// What was done, or why not.
    pub fn into_result(self) -> Result<Done, Refusal> {
        match self {
            Self::Done(done) => Ok(done),
            Self::Refused(refusal) => Err(refusal),
        }
    }
}

impl From<Result<Done, Refusal>> for Outcome {
    fn from(result: Result<Done, Refusal>) -> Self {
        match result {
            Ok(done) => Self::Done(done),
            Err(refusal) => Self::Refused(refusal),
        }
    }
}

/// What was drawn or found on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// Nothing to tell.
    Nothing,
    /// It was so already.
    Unchanged,
    /// A member was admitted, or had been by the same key.
    Node(NodeId),
    /// An operator was admitted, or had been by the same key.
    Operator(OperatorId),
    /// An invitation was made.
    Invitation(InvitationId),
    /// An order was admitted.
    Order(OrderId),
}

/// Why a command changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A duty of a leader that is none any more.
    #[error("another leader has taken over in term {now}")]
    StaleTerm {
        /// Its term.
        now: Term,
    },
    /// Nothing has that name.
    #[error("there is no such {0}")]
    NotFound(Kind),
    /// Something has that name already.
    #[error("there is such a {0} already")]
    AlreadyExists(Kind),
    /// It was changed since it was read.
    #[error("it was changed meanwhile: its revision is {current}; read it again")]
    RevisionMismatch {
        /// The present revision.
        current: Index,
    },
    /// The cluster was formed already.
    #[error("the cluster was formed already")]
    AlreadyFounded,
    /// The cluster was not formed yet.
    #[error("the cluster was not formed yet")]
    NotFounded,
    /// The invitation's time is over.
    #[error("the token has expired")]
    InvitationExpired,
    /// The invitation was withdrawn.
    #[error("the token was revoked")]
    InvitationRevoked,
    /// The invitation was spent by another key.
    #[error("the token was used already")]
    InvitationSpent,
    /// The invitation is for another role.
    #[error("the token is for another role")]
    InvitationRole,
    /// The key or the name belongs to a member that is or was.
    #[error("a member of that {0} exists or existed")]
    MemberTaken(&'static str),
    /// It would leave the cluster empty.
    #[error("the last member cannot be removed")]
    LastMember,
    /// The member still takes part in Raft.
    #[error("the member still takes part in Raft")]
    StillInRaft,
    /// The hostname has an order in flight.
    #[error("the hostname has an order in flight")]
    Busy,
    /// It is too early: the certificate is not due for renewal or not to be
    /// forgotten yet, the invitation has not ended, or the member's removal was not
    /// asked for.
    #[error("that is not due yet")]
    NotDue,
    /// The hostname's authorization is not the one that the order began with.
    #[error("the hostname's authorization has changed since the order began")]
    ClaimChanged,
    /// The order is not at a stage from which that follows.
    #[error("the order is at stage {0}")]
    WrongStage(&'static str),
    /// The order may have a certificate: it cannot be given up.
    #[error("the order may have a certificate and cannot be given up on that evidence")]
    MayBeIssued,
    /// The generation is not the next one.
    #[error("that generation of the data key is not the next one")]
    WrongGeneration,
    /// The account is not at a stage from which that follows.
    #[error("the ACME account is not in a state for that")]
    AccountState,
    /// An operator has paused issuance.
    #[error("issuance is paused; `hostquorum issuance resume` ends that")]
    Paused,
    /// The cluster began with a backup, of which not all is there.
    #[error(
        "this cluster is being restored from a backup; nothing else can be changed before \
         `hostquorum backup restore` has ended"
    )]
    Restoring,
    /// The cluster began with a backup, and nobody has said yet that it is to issue.
    #[error(
        "this cluster was restored from a backup: make sure that the one it was taken of is at \
         work no more, and say this cluster's id"
    )]
    Quarantined,
    /// The id is another cluster's.
    #[error("that is not this cluster's id")]
    OtherCluster,
    /// The hostname is not proven to be its tenant's.
    #[error("the hostname is not proven to be its tenant's; `hostname check` says what is missing")]
    Unproven,
    /// The CA's limit allows no more.
    #[error("the CA's limit on {limit} allows no more before {until}")]
    Limited {
        /// Which limit.
        limit: LimitKind,
        /// From when on one more is allowed.
        until: Timestamp,
    },
    /// Another tenant has it.
    #[error(
        "the hostname is tenant {0}'s; another tenant must contest it and prove that it is its own"
    )]
    OtherTenant(Tenant),
    /// Something still needs it.
    #[error("it is still needed: {0}")]
    InUse(String),
    /// What it is to become contradicts what it is.
    #[error("that does not fit: {0}")]
    Unfit(String),
    /// A bound was met; nothing more of the kind is taken.
    #[error("there are too many of the kind {0}")]
    TooMany(Kind),
}

/// What a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A hostname.
    Hostname,
    /// A member.
    Member,
    /// An invitation.
    Invitation,
    /// An order.
    Order,
    /// An operator.
    Operator,
    /// A certificate.
    Certificate,
    /// A data key.
    DataKey,
    /// A CA.
    Ca,
    /// A claim of another tenant.
    Contest,
    /// A limit of a CA.
    Limit,
    /// A certification request.
    Request,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Hostname,
        Self::Member,
        Self::Invitation,
        Self::Order,
        Self::Operator,
        Self::Certificate,
        Self::DataKey,
        Self::Ca,
        Self::Contest,
        Self::Limit,
        Self::Request,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hostname => "hostname",
            Self::Member => "member",
            Self::Invitation => "invitation",
            Self::Order => "order",
            Self::Operator => "operator",
            Self::Certificate => "certificate",
            Self::DataKey => "data key",
            Self::Ca => "CA",
            Self::Contest => "contest",
            Self::Limit => "limit",
            Self::Request => "certification request",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
