//! An ACME order in flight (RFC 8555 section 7.1.3) and how far it is.

use std::sync::Arc;

use bytes::Bytes;

use crate::{Hostname, Index, OrderId, Sealed, Term, Timestamp};

/// An order. It exists from the moment it was admitted, before the CA hears of
/// it, until its certificate is installed or it is known to have failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Ours, not the CA's.
    pub id: OrderId,
    /// Its only identifier.
    pub hostname: Hostname,
    /// The hostname's claim when the order was admitted: an intent for a claim
    /// that has changed is refused.
    pub claim: Index,
    /// Begins at 1 and counts on over failures of this hostname.
    pub attempt: u32,
    /// When it was admitted.
    pub admitted_at: Timestamp,
    /// The certificate's private key (PKCS #8): made and sealed before the CA
    /// hears of it.
    pub key: Sealed,
    /// PKCS #10 (DER), signed by that key.
    pub csr: Bytes,
    /// How far it is.
    pub stage: Stage,
    /// When the stage was reached.
    pub stage_at: Timestamp,
    /// The term of the leader that committed the stage.
    pub epoch: Term,
}

/// How far an order is. Each stage is committed before its effect at the CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// `newOrder` may or may not have reached the CA.
    Admitted,
    /// The CA has it; every edge is to know its challenge.
    Prepared(Placed),
    /// The CA may or may not have been told that the challenge is ready.
    ReadyIntent(Placed),
    /// `finalize` may or may not have reached the CA.
    FinalizeIntent(Placed),
}

impl Stage {
    /// Its name in the API and in logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Prepared(_) => "prepared",
            Self::ReadyIntent(_) => "ready-intent",
            Self::FinalizeIntent(_) => "finalize-intent",
        }
    }

    /// What the CA calls it, once it has it.
    pub fn placed(&self) -> Option<&Placed> {
        match self {
            Self::Admitted => None,
            Self::Prepared(placed) | Self::ReadyIntent(placed) | Self::FinalizeIntent(placed) => {
                Some(placed)
            }
        }
    }
}

/// An order as the CA knows it. Written once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The order's URL.
    pub url: String,
    /// Where to finalize.
    pub finalize_url: String,
    /// The URL of its only authorization.
    pub authorization_url: String,
    /// Its http-01 challenge; absent if the authorization was valid already.
    pub challenge: Option<PlacedChallenge>,
    /// When the CA forgets the order, if it said.
    pub expires: Option<Timestamp>,
}

/// The http-01 challenge of a placed order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedChallenge {
    /// Where to say that it is ready.
    pub url: String,
    /// base64url, as the CA gave it.
    pub token: String,
}

/// Why an order may be given up. Without such evidence an order whose
/// finalization was intended must be carried on: it may have a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The CA refused `newOrder`, or never answered and the order was never
    /// finalized by us, because we do not know its URL.
    NeverPlaced,
    /// The CA says that it is invalid: terminal, without a certificate.
    Invalid,
    /// It has expired or is gone. After a finalize intent a certificate may
    /// exist: counted as a possible duplicate.
    Gone,
    /// Its hostname's authorization has ended or changed, and the CA still holds
    /// it `ready` after the takeover wait: nobody finalizes it any more.
    Withdrawn,
    /// Its certificate came but is not for our key or name, or its chain is broken.
    Unusable,
}

/// The last failure of a hostname's issuance; cleared by a success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind.
    pub class: FailureClass,
    /// In the CA's words or ours; never a secret.
    pub reason: Arc<str>,
    /// How many in a row.
    pub count: u32,
    /// When the last was.
    pub at: Timestamp,
    /// When the next try is due.
    pub next_try: Timestamp,
}

/// Who is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// The CA could not reach or accept the challenge's answer.
    Challenge,
    /// The CA refused the order itself.
    Rejected,
    /// The CA asked to wait.
    RateLimited,
    /// The CA failed or could not be reached.
    Unavailable,
    /// What the CA gave could not be used.
    Unusable,
}

impl FailureClass {
    /// Its name in the API and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Challenge => "challenge",
            Self::Rejected => "rejected",
            Self::RateLimited => "rate-limited",
            Self::Unavailable => "unavailable",
            Self::Unusable => "unusable",
        }
    }
}
