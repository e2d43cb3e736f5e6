//! The closed list of changes.

use bytes::Bytes;

use crate::{
    Actor, CertificateId, ChainId, ClusterId, DataKey, Evidence, FailureClass, Hostname,
    HpkeSealed, Index, InvitationId, IssuedCertificate, KeyPurpose, NodeId, OperatorId, OrderId,
    Origin, Placed, Role, Sealed, Term, Timestamp,
};

/// A change with everything that cannot be derived from the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// When, by the clock of the leader that proposed it.
    pub at: Timestamp,
    /// Who asked.
    pub actor: Actor,
    /// Set on duties of the leader: refused once another term has taken over.
    pub duty: Option<Term>,
    /// What.
    pub change: Change,
}

/// What one log entry carries: what waited when it was proposed. Each member has
/// its own outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// In the order in which they are applied.
    pub commands: Vec<Command>,
}

/// Everything that can happen to the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The first change of a cluster's life.
    Found(Box<Found>),
    /// A leader begins its duties; those of earlier terms end.
    TakeOver {
        /// Who.
        node: NodeId,
    },
    /// Nothing but proof that its proposer still leads.
    Confirm,

    /// Authorize a hostname.
    AuthorizeHostname {
        /// Which.
        hostname: Hostname,
    },
    /// Withdraw it.
    RemoveHostname {
        /// Which.
        hostname: Hostname,
        /// Refuse unless this is its revision.
        revision: Option<Index>,
    },
    /// Set where requests go.
    SetOrigin {
        /// Where.
        origin: Origin,
        /// Refuse unless this is the zone's revision.
        revision: Option<Index>,
    },

    /// Make a right to enter.
    CreateInvitation {
        /// As what.
        role: Role,
        /// HMAC-SHA256 of the token's secret.
        verifier: [u8; 32],
        /// From when on it is refused.
        expires_at: Timestamp,
    },
    /// Withdraw it.
    RevokeInvitation {
        /// Which.
        id: InvitationId,
    },
    /// Forget one that ended.
    SweepInvitation {
        /// Which.
        id: InvitationId,
    },
    /// A machine spends an invitation and becomes a member.
    AdmitNode {
        /// Which invitation.
        invitation: InvitationId,
        /// Who comes.
        newcomer: Newcomer,
    },
    /// An operator spends an invitation.
    AdmitOperator {
        /// Which invitation.
        invitation: InvitationId,
        /// As the audit shows it.
        name: String,
        /// SubjectPublicKeyInfo (DER).
        public_key: Bytes,
    },
    /// The leader signed a member's certificate.
    CertifyNode {
        /// Whose.
        node: NodeId,
        /// The certificate.
        certificate: IssuedCertificate,
    },
    /// The leader signed an operator's certificate.
    CertifyOperator {
        /// Whose.
        operator: OperatorId,
        /// The certificate.
        certificate: IssuedCertificate,
    },
    /// The leader made the next online CA.
    RenewIssuing {
        /// Its certificate (DER).
        issuing: Bytes,
        /// Its key, under the control key.
        issuing_key: Sealed,
        /// When it ends.
        not_after: Timestamp,
        /// When the next should be made.
        renew_at: Timestamp,
    },
    /// A member may have a data key.
    ShareDataKey {
        /// Who.
        node: NodeId,
        /// Which key.
        purpose: KeyPurpose,
        /// Which generation.
        generation: u32,
        /// The copy, sealed to the member.
        sealed: HpkeSealed,
    },
    /// A new generation of a data key.
    RotateDataKey {
        /// Which key.
        purpose: KeyPurpose,
        /// The present generation and one.
        generation: u32,
        /// The copies.
        sealed_for: Vec<(NodeId, HpkeSealed)>,
    },
    /// Ask for a member's removal; the leader carries it out.
    RemoveNode {
        /// Who.
        node: NodeId,
    },
    /// The member has left Raft: forget it for good.
    FinishRemoval {
        /// Who.
        node: NodeId,
    },

    /// The ACME account's key, before the CA hears of it.
    CommitAccountKey {
        /// PKCS #8, under the control key.
        key: Sealed,
        /// RFC 7638 thumbprint, base64url.
        thumbprint: String,
    },
    /// The CA has the account.
    RegisterAccount {
        /// Its URL.
        url: String,
    },

    /// Begin an order: its key exists, the CA is about to hear of it.
    AdmitOrder {
        /// For whom.
        hostname: Hostname,
        /// The hostname's claim as the leader saw it.
        claim: Index,
        /// Private key (PKCS #8), under the serving key.
        key: Sealed,
        /// PKCS #10 (DER).
        csr: Bytes,
    },
    /// `newOrder` is about to be sent once more.
    IntendOrder {
        /// Which order.
        order: OrderId,
    },
    /// The CA has the order.
    PrepareOrder {
        /// Which order.
        order: OrderId,
        /// As the CA knows it.
        placed: Placed,
    },
    /// The CA is about to be told that the challenge is ready.
    IntendReady {
        /// Which order.
        order: OrderId,
    },
    /// `finalize` is about to be sent.
    IntendFinalize {
        /// Which order.
        order: OrderId,
    },
    /// The certificate is here and was checked.
    InstallCertificate(Box<Install>),
    /// The order came to nothing.
    FailOrder {
        /// Which order.
        order: OrderId,
        /// How we know that it can be given up.
        evidence: Evidence,
        /// What kind of failure.
        class: FailureClass,
        /// In the CA's words or ours.
        reason: String,
        /// When to try again.
        next_try: Timestamp,
    },
    /// A certificate that is served no more may go.
    ForgetCertificate {
        /// Which.
        id: CertificateId,
    },
}

impl Change {
    /// Its name in the audit, in metrics and in logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Found(_) => "found",
            Self::TakeOver { .. } => "take-over",
            Self::Confirm => "confirm",
            Self::AuthorizeHostname { .. } => "authorize-hostname",
            Self::RemoveHostname { .. } => "remove-hostname",
            Self::SetOrigin { .. } => "set-origin",
            Self::CreateInvitation { .. } => "create-invitation",
            Self::RevokeInvitation { .. } => "revoke-invitation",
            Self::SweepInvitation { .. } => "sweep-invitation",
            Self::AdmitNode { .. } => "admit-node",
            Self::AdmitOperator { .. } => "admit-operator",
            Self::CertifyNode { .. } => "certify-node",
            Self::CertifyOperator { .. } => "certify-operator",
            Self::RenewIssuing { .. } => "renew-issuing",
            Self::ShareDataKey { .. } => "share-data-key",
            Self::RotateDataKey { .. } => "rotate-data-key",
            Self::RemoveNode { .. } => "remove-node",
            Self::FinishRemoval { .. } => "finish-removal",
            Self::CommitAccountKey { .. } => "commit-account-key",
            Self::RegisterAccount { .. } => "register-account",
            Self::AdmitOrder { .. } => "admit-order",
            Self::IntendOrder { .. } => "intend-order",
            Self::PrepareOrder { .. } => "prepare-order",
            Self::IntendReady { .. } => "intend-ready",
            Self::IntendFinalize { .. } => "intend-finalize",
            Self::InstallCertificate(_) => "install-certificate",
            Self::FailOrder { .. } => "fail-order",
            Self::ForgetCertificate { .. } => "forget-certificate",
        }
    }
}

/// All that a cluster begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub cluster_id: ClusterId,
    /// Its CA.
    pub authority: crate::Authority,
    /// Its first member, which becomes node 1.
    pub founder: Newcomer,
    /// The founder's certificate.
    pub founder_certificate: IssuedCertificate,
    /// The first data keys, generation 1, sealed to the founder.
    pub data_keys: Vec<DataKey>,
    /// The first administrator, operator 1.
    pub admin_name: String,
    /// SubjectPublicKeyInfo (DER) of the administrator.
    pub admin_public_key: Bytes,
    /// The administrator's certificate.
    pub admin_certificate: IssuedCertificate,
    /// The CA to obtain certificates from.
    pub account: crate::Account,
    /// Where requests go, if it is known already.
    pub origin: Option<Origin>,
}

/// A machine that wants to be a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newcomer {
    /// What its operator calls it.
    pub name: String,
    /// host:port of its peer listener.
    pub peer_address: String,
    /// host:port of its admin listener.
    pub admin_address: String,
    /// SubjectPublicKeyInfo (DER).
    pub public_key: Bytes,
    /// X25519.
    pub hpke_public_key: Bytes,
}

/// A certificate as the leader checked it against the order's key and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Install {
    /// Whose.
    pub order: OrderId,
    /// SHA-256 of the leaf.
    pub id: CertificateId,
    /// The leaf (DER).
    pub leaf: Bytes,
    /// SHA-256 of the issuers.
    pub chain_id: ChainId,
    /// The issuers (DER), the leaf's first.
    pub chain: Vec<Bytes>,
    /// Common name of the leaf's issuer.
    pub issuer: String,
    /// Big-endian, without leading zeros.
    pub serial: Bytes,
    /// Beginning of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    /// When to order the next one.
    pub renew_at: Timestamp,
}
