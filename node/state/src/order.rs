//! An ACME order in flight (RFC 8555 section 7.1.3) and how far it is.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    Budget, CaName, ChallengeKind, Hostname, Index, KeyAlgorithm, OrderId, Sealed, Tenant, Term,
    Timestamp,
};

/// An order. It exists from the moment it was admitted, before the CA hears of
/// it, until its certificate is installed or it is known to have failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Ours, not the CA's.
    pub id: OrderId,
    /// Its first identifier.
    pub hostname: Hostname,
    /// Whose it was when the order was admitted.
    pub tenant: Tenant,
    /// The other identifier: every name one label below the first.
    pub wildcard: bool,
    /// At which CA.
    pub ca: CaName,
    /// The certificate's kind of key.
    pub algorithm: KeyAlgorithm,
    /// The profile asked for, if any.
    pub profile: Option<Arc<str>>,
    /// The certificate that it replaces, as RFC 9773 names it (section 4.1).
    pub replaces: Option<Arc<str>>,
    /// What it costs.
    pub budget: Budget,
    /// The registered domain under which the CA counts it.
    pub domain: Arc<str>,
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

impl Order {
    /// Its exact set of names, as the CA's limits tell sets apart.
    pub fn names(&self) -> Arc<str> {
        set_of(&self.hostname, self.wildcard)
    }
}

/// A set of names as text: the hostname, and its wildcard after a comma.
pub fn set_of(hostname: &Hostname, wildcard: bool) -> Arc<str> {
    if wildcard {
        format!("{hostname},*.{hostname}").into()
    } else {
        hostname.as_str().into()
    }
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
    /// One for each identifier.
    pub authorizations: Vec<PlacedAuthorization>,
    /// When the CA forgets the order, if it said.
    pub expires: Option<Timestamp>,
}

/// An authorization of a placed order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedAuthorization {
    /// Where it is read.
    pub url: String,
    /// How it is proven; absent if it was valid already.
    pub challenge: Option<PlacedChallenge>,
}

/// The challenge that was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedChallenge {
    /// Which.
    pub kind: ChallengeKind,
    /// Where to say that it is ready.
    pub url: String,
    /// base64url, as the CA gave it.
    pub token: String,
}

impl Placed {
    /// The challenges that edges must answer.
    pub fn challenges(&self) -> impl Iterator<Item = &PlacedChallenge> {
        self.authorizations
            .iter()
            .filter_map(|authorization| authorization.challenge.as_ref())
    }
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
    /// Another CA is to be asked, and `finalize` was not intended.
    Superseded,
}

/// The last failure of a hostname's issuance; cleared by a success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind.
    pub class: FailureClass,
    /// In the CA's words or ours; never a secret.
    pub reason: Arc<str>,
    /// How many orders failed in a row; what was seen before an order is none.
    pub count: u32,
    /// When the row began, by a failed order or a look before one.
    pub since: Timestamp,
    /// When the last was.
    pub at: Timestamp,
    /// It failed too often: looked at from time to time, tried when it has changed.
    pub parked: bool,
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
    /// We saw before asking the CA that it would fail: DNS, CAA or the road to here.
    Preflight,
    /// The CA issues nothing for this name until its owner asks it to.
    Paused,
}

impl FailureClass {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Challenge,
        Self::Rejected,
        Self::RateLimited,
        Self::Unavailable,
        Self::Unusable,
        Self::Preflight,
        Self::Paused,
    ];

    /// Its name in the API, in metrics and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Challenge => "challenge",
            Self::Rejected => "rejected",
            Self::RateLimited => "rate-limited",
            Self::Unavailable => "unavailable",
            Self::Unusable => "unusable",
            Self::Preflight => "preflight",
            Self::Paused => "paused",
        }
    }

    /// By its name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }
}
