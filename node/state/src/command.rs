//! The closed list of changes.

mod contents;

use bytes::Bytes;

pub use contents::{
    Admit, Authorize, CertificateParts, Found, Install, Newcomer, Reseal, ResealCertificate,
    Restore, Upload,
};

use crate::{
    Actor, BucketKey, CaName, CaSettings, CertificateId, ClusterId, Evidence, ExternalAccount,
    FailureClass, FeatureLevel, Hostname, HpkeSealed, Index, InvitationId, IssuedCertificate,
    KeyPurpose, NodeId, OperatorId, OrderId, Origin, OwnershipToken, Placed, Proof, ProofMethod,
    Reissue, RevocationState, Role, Rotation, Sealed, Tenant, Term, Timestamp, Traffic, Wants,
    Window, ZoneSettings, ca::AccountKey,
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
    AuthorizeHostname(Box<Authorize>),
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

    /// Issue nothing until it is resumed.
    PauseIssuance {
        /// Why.
        reason: String,
    },
    /// Issue again.
    ResumeIssuance {
        /// The cluster's id, as whoever asks knows it; a cluster in quarantine wants it.
        cluster: Option<ClusterId>,
    },
    /// Take over what another cluster had.
    Restore(Box<Restore>),
    /// That was all of it.
    FinishRestore {
        /// How many hostnames it has.
        hostnames: u64,
        /// How many certificates it has.
        certificates: u64,
    },
    /// Set what else the zone is.
    SetZone {
        /// What.
        settings: Box<ZoneSettings>,
        /// Refuse unless this is the zone's revision.
        revision: Option<Index>,
    },
    /// Set what a hostname is to have.
    SetWants {
        /// Which.
        hostname: Hostname,
        /// What.
        wants: Box<Wants>,
        /// Refuse unless this is its revision.
        revision: Option<Index>,
    },
    /// Set how traffic is served.
    SetTraffic {
        /// Of which hostname; absent: of all that do not decide otherwise.
        hostname: Option<Hostname>,
        /// How.
        traffic: Box<Traffic>,
        /// Refuse unless this is the hostname's or the zone's revision.
        revision: Option<Index>,
    },
    /// Claim a hostname for another tenant than it is.
    ContestHostname {
        /// Which.
        hostname: Hostname,
        /// For whom.
        tenant: Tenant,
        /// What the proof must show.
        token: OwnershipToken,
    },
    /// Give such a claim up.
    EndContest {
        /// Of which hostname.
        hostname: Hostname,
    },
    /// Ask for certificates to be replaced before their time.
    ReissueCertificates {
        /// Of which hostnames; at most [`REISSUE_MAX`].
        hostnames: Vec<Hostname>,
        /// How urgent.
        urgency: Reissue,
    },
    /// Ask for a certificate to be revoked, and replaced before everything else.
    RevokeCertificate {
        /// Which.
        id: CertificateId,
        /// The reason's code (RFC 5280 section 5.3.1).
        reason: u8,
    },
    /// Serve a certificate that an operator brought.
    UploadCertificate(Box<Upload>),
    /// Keep a key and a request that somebody else's CA is to sign.
    CreateRequest {
        /// For whom.
        hostname: Hostname,
        /// Private key (PKCS #8), under the serving key.
        key: Sealed,
        /// PKCS #10 (DER).
        csr: Bytes,
    },

    /// Name a CA, or change what was decided about one.
    PutCa {
        /// Its name among ours.
        name: CaName,
        /// What.
        settings: Box<CaSettings>,
        /// Refuse unless this is its revision; index 0: unless it is new.
        revision: Option<Index>,
    },
    /// Set how the CA knows us otherwise.
    BindExternalAccount {
        /// Which CA.
        ca: CaName,
        /// How; absent: not any more.
        account: Option<ExternalAccount>,
    },
    /// Ask no more of a CA.
    RemoveCa {
        /// Which.
        ca: CaName,
        /// Refuse unless this is its revision.
        revision: Option<Index>,
    },
    /// Ask for another account key.
    RollAccountKey {
        /// At which CA.
        ca: CaName,
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
    /// A machine of a cloud, which has vouched for it, becomes a member.
    AdmitMachine {
        /// As the cloud names it, so that no other machine ever has that name.
        machine: String,
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
    /// Ask for a new data key, or a new online CA; the leader makes it, and does what follows.
    AskRotation {
        /// Of what.
        of: Rotation,
    },
    /// A record's secrets, sealed anew.
    Reseal(Box<Reseal>),
    /// A certificate's key, sealed anew.
    ResealCertificate(Box<ResealCertificate>),
    /// Nothing is sealed any more under a generation of a data key: forget it.
    DropDataKey {
        /// Which key.
        purpose: KeyPurpose,
        /// Which generation.
        generation: u32,
    },
    /// Let what is of a higher level be written.
    RaiseLevel {
        /// The cluster's next level.
        level: FeatureLevel,
        /// Who said to know it; refused if there are others.
        members: Vec<NodeId>,
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

    /// A key for our account, before the CA hears of it: the first, or the next one.
    CommitAccountKey {
        /// At which CA.
        ca: CaName,
        /// The key.
        key: AccountKey,
    },
    /// The CA has the account.
    RegisterAccount {
        /// Which CA.
        ca: CaName,
        /// The account's URL.
        url: String,
    },
    /// It is known which of two keys is the account's.
    FinishRollover {
        /// At which CA.
        ca: CaName,
        /// The next one; else the one so far.
        rolled: bool,
    },

    /// A look at a hostname's proof.
    RecordOwnership {
        /// Which.
        hostname: Hostname,
        /// The claim that was looked at.
        claim: Index,
        /// How it stands.
        standing: Proof,
        /// What is wrong, and who must change what.
        fault: Option<String>,
        /// When to look again; absent: before the next order.
        next_check: Option<Timestamp>,
    },
    /// A look at another tenant's claim.
    RecordContest {
        /// To which hostname.
        hostname: Hostname,
        /// The claim that was looked at.
        claim: Index,
        /// By what it is proven, if it is.
        proven: Option<ProofMethod>,
        /// What is wrong, and who must change what.
        fault: Option<String>,
        /// When to look again.
        next_check: Timestamp,
    },
    /// A look before an order found that it would fail.
    DeferHostname {
        /// Which.
        hostname: Hostname,
        /// The claim that was looked at.
        claim: Index,
        /// What kind of failure.
        class: FailureClass,
        /// What is wrong, and who must change what.
        reason: String,
        /// When to look again.
        next_try: Timestamp,
        /// It failed too often.
        parked: bool,
    },
    /// When a certificate is to be replaced.
    ScheduleRenewal {
        /// Which.
        id: CertificateId,
        /// When.
        renew_at: Timestamp,
        /// The window it was drawn from, if the CA suggested one.
        window: Option<Window>,
    },
    /// The CA's answer to a revocation.
    FinishRevocation {
        /// Of which certificate.
        id: CertificateId,
        /// What follows.
        state: RevocationState,
    },
    /// The CA refused by a limit: nothing before that moment.
    ObserveLimit {
        /// Which bucket.
        bucket: BucketKey,
        /// Until when.
        until: Timestamp,
    },
    /// A bucket is further ahead than one clock can have written it
    /// ([`crate::Bucket::corrected`]).
    CorrectLimit {
        /// Which bucket.
        bucket: BucketKey,
    },
    /// Nobody may be asked any more who had a removed hostname.
    ForgetTombstone {
        /// Which.
        hostname: Hostname,
    },

    /// Begin an order: its key exists, the CA is about to hear of it.
    AdmitOrder(Box<Admit>),
    /// `newOrder` is about to be sent once more.
    IntendOrder {
        /// Which order.
        order: OrderId,
        /// The CA may have counted one that was sent before. Refused unless it allows another.
        again: bool,
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
            Self::AuthorizeHostname(_) => "authorize-hostname",
            Self::RemoveHostname { .. } => "remove-hostname",
            Self::SetOrigin { .. } => "set-origin",
            Self::PauseIssuance { .. } => "pause-issuance",
            Self::ResumeIssuance { .. } => "resume-issuance",
            Self::Restore(_) => "restore",
            Self::FinishRestore { .. } => "finish-restore",
            Self::SetZone { .. } => "set-zone",
            Self::SetWants { .. } => "set-wants",
            Self::SetTraffic { .. } => "set-traffic",
            Self::ContestHostname { .. } => "contest-hostname",
            Self::EndContest { .. } => "end-contest",
            Self::ReissueCertificates { .. } => "reissue-certificates",
            Self::RevokeCertificate { .. } => "revoke-certificate",
            Self::UploadCertificate(_) => "upload-certificate",
            Self::CreateRequest { .. } => "create-request",
            Self::PutCa { .. } => "put-ca",
            Self::BindExternalAccount { .. } => "bind-external-account",
            Self::RemoveCa { .. } => "remove-ca",
            Self::RollAccountKey { .. } => "roll-account-key",
            Self::CreateInvitation { .. } => "create-invitation",
            Self::RevokeInvitation { .. } => "revoke-invitation",
            Self::SweepInvitation { .. } => "sweep-invitation",
            Self::AdmitNode { .. } => "admit-node",
            Self::AdmitMachine { .. } => "admit-machine",
            Self::AdmitOperator { .. } => "admit-operator",
            Self::CertifyNode { .. } => "certify-node",
            Self::CertifyOperator { .. } => "certify-operator",
            Self::RenewIssuing { .. } => "renew-issuing",
            Self::ShareDataKey { .. } => "share-data-key",
            Self::RotateDataKey { .. } => "rotate-data-key",
            Self::AskRotation { .. } => "ask-rotation",
            Self::Reseal(_) => "reseal",
            Self::ResealCertificate(_) => "reseal-certificate",
            Self::DropDataKey { .. } => "drop-data-key",
            Self::RaiseLevel { .. } => "raise-level",
            Self::RemoveNode { .. } => "remove-node",
            Self::FinishRemoval { .. } => "finish-removal",
            Self::CommitAccountKey { .. } => "commit-account-key",
            Self::RegisterAccount { .. } => "register-account",
            Self::FinishRollover { .. } => "finish-rollover",
            Self::RecordOwnership { .. } => "record-ownership",
            Self::RecordContest { .. } => "record-contest",
            Self::DeferHostname { .. } => "defer-hostname",
            Self::ScheduleRenewal { .. } => "schedule-renewal",
            Self::FinishRevocation { .. } => "finish-revocation",
            Self::ObserveLimit { .. } => "observe-limit",
            Self::CorrectLimit { .. } => "correct-limit",
            Self::ForgetTombstone { .. } => "forget-tombstone",
            Self::AdmitOrder(_) => "admit-order",
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

/// Most hostnames of one [`Change::ReissueCertificates`], so that an entry of the log
/// stays small.
pub const REISSUE_MAX: usize = 500;
