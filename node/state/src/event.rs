//! What happened to a hostname, for `explain`. Events are bodies: on disk, not in
//! memory, the last [`KEPT`] of each hostname.

use crate::Timestamp;

/// How many events of a hostname are kept: two failed attempts and a success in
/// full, at about 60 bytes each.
pub const KEPT: u32 = 24;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, by the leader's clock.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// More words: the actor, the serial, the reason.
    pub detail: String,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// An operator authorized it.
    Authorized,
    /// A key was made and an order admitted.
    OrderAdmitted,
    /// The CA gave a challenge.
    ChallengePrepared,
    /// The CA is told that it can be checked.
    ChallengeReady,
    /// The CA is asked to issue.
    Finalizing,
    /// The certificate is there.
    CertificateInstalled,
    /// The order came to nothing.
    OrderFailed,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Authorized,
        Self::OrderAdmitted,
        Self::ChallengePrepared,
        Self::ChallengeReady,
        Self::Finalizing,
        Self::CertificateInstalled,
        Self::OrderFailed,
    ];

    /// Its name in the API and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authorized => "authorized",
            Self::OrderAdmitted => "order-admitted",
            Self::ChallengePrepared => "challenge-prepared",
            Self::ChallengeReady => "challenge-ready",
            Self::Finalizing => "finalizing",
            Self::CertificateInstalled => "certificate-installed",
            Self::OrderFailed => "order-failed",
        }
    }
}
