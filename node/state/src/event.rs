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

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum EventKind {
            $($(#[$doc])* $kind,)*
        }

        impl EventKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// Its name in the API and in the store.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// An operator authorized it.
    Authorized = "authorized",
    /// An operator changed what it is to have.
    Changed = "changed",
    /// It is its tenant's.
    OwnershipProven = "ownership-proven",
    /// It is proven no more.
    OwnershipLapsed = "ownership-lapsed",
    /// Another tenant claims it.
    Contested = "contested",
    /// It is another tenant's now.
    Transferred = "transferred",
    /// A claim of another tenant came to nothing.
    ContestEnded = "contest-ended",
    /// A look before an order found that it would fail.
    Deferred = "deferred",
    /// It failed too often and is only looked at from time to time.
    Parked = "parked",
    /// A key was made and an order admitted.
    OrderAdmitted = "order-admitted",
    /// The CA gave a challenge.
    ChallengePrepared = "challenge-prepared",
    /// The CA is told that it can be checked.
    ChallengeReady = "challenge-ready",
    /// The CA is asked to issue.
    Finalizing = "finalizing",
    /// The certificate is there.
    CertificateInstalled = "certificate-installed",
    /// An operator brought a certificate.
    CertificateUploaded = "certificate-uploaded",
    /// A key and a request were made for somebody else's CA.
    RequestCreated = "request-created",
    /// A replacement was asked for.
    ReissueAsked = "reissue-asked",
    /// A revocation was asked for.
    RevocationAsked = "revocation-asked",
    /// The CA revoked it.
    Revoked = "revoked",
    /// The CA refused to revoke it.
    RevocationRefused = "revocation-refused",
    /// The order came to nothing.
    OrderFailed = "order-failed",
}
