//! What a CA can be asked, and what it may answer.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use state::{Account, Hostname, Placed, Secret, Timestamp};

use crate::fence::{Permit, Shut};

/// Opens the CA that an account names.
pub trait Authorities: Send + Sync {
    /// The CA of `account`, spoken to with the account's `key` (PKCS #8). Does no I/O.
    ///
    /// # Errors
    /// When the account's settings or key cannot be used.
    fn open(&self, account: &Account, key: &Secret) -> Result<Arc<dyn Authority>, AuthorityError>;
}

/// A CA (RFC 8555), spoken to with one account's key.
///
/// What has an effect takes a [`Permit`], which is checked right before the bytes leave;
/// what only reads (POST-as-GET, section 6.3) takes none. No method repeats a request
/// whose outcome is unknown.
#[async_trait]
pub trait Authority: Send + Sync {
    /// Opens a connection and draws a nonce, so that the next request is one write. To be
    /// called before an intent is committed: a CA that cannot be reached costs no commit.
    async fn warm(&self) -> Result<(), AuthorityError>;

    /// `newAccount` (section 7.3) with our key: the same key gives the same account,
    /// however often. Answers with the account's URL.
    async fn register(&self, permit: Permit) -> Result<String, AuthorityError>;

    /// Sets the account's contacts (section 7.3.2).
    async fn set_contacts(
        &self,
        account_url: &str,
        contacts: &[String],
        permit: Permit,
    ) -> Result<(), AuthorityError>;

    /// `newOrder` (section 7.4) for one name.
    async fn new_order(
        &self,
        hostname: &Hostname,
        permit: Permit,
    ) -> Result<OrderView, AuthorityError>;

    /// Reads an order.
    async fn order(&self, url: &str) -> Result<OrderView, AuthorityError>;

    /// Reads the only authorization of an order (section 7.5).
    async fn authorization(&self, order_url: &str) -> Result<AuthorizationView, AuthorityError>;

    /// Says that the http-01 challenge can be checked (section 7.5.1).
    async fn ready(&self, placed: &Placed, permit: Permit) -> Result<(), AuthorityError>;

    /// Finalizes (section 7.4) with a PKCS #10 request (DER).
    async fn finalize(
        &self,
        placed: &Placed,
        csr: &[u8],
        permit: Permit,
    ) -> Result<OrderView, AuthorityError>;

    /// Reads the certificate of a valid order (section 7.4.2): PEM, the leaf first.
    async fn certificate(&self, placed: &Placed) -> Result<String, AuthorityError>;
}

/// An order as the CA shows it (RFC 8555 section 7.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderView {
    /// Where it is read.
    pub url: String,
    /// How it stands.
    pub status: OrderStatus,
    /// Where it is finalized.
    pub finalize_url: String,
    /// Where its only authorization is read.
    pub authorization_url: String,
    /// When the CA forgets it, if it says.
    pub expires: Option<Timestamp>,
    /// Why it is invalid, if it says.
    pub error: Option<Problem>,
    /// How long to wait before the next look, if it says.
    pub retry_after: Option<Duration>,
}

/// How an order stands (RFC 8555 section 7.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderStatus {
    /// Its authorization is not valid yet.
    Pending,
    /// It can be finalized.
    Ready,
    /// It is being issued.
    Processing,
    /// Its certificate can be read.
    Valid,
    /// It is over, without a certificate.
    Invalid,
}

/// An authorization as the CA shows it (RFC 8555 section 7.1.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationView {
    /// Where it is read.
    pub url: String,
    /// How it stands.
    pub status: AuthorizationStatus,
    /// Its http-01 challenge, if it offers one.
    pub challenge: Option<ChallengeView>,
}

/// How an authorization stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorizationStatus {
    /// Nothing was proven yet.
    Pending,
    /// The name is ours to ask for.
    Valid,
    /// Failed, expired, revoked or deactivated.
    Invalid,
}

/// An http-01 challenge as the CA shows it (RFC 8555 section 8.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChallengeView {
    /// Where to say that it is ready.
    pub url: String,
    /// base64url.
    pub token: String,
    /// How it stands.
    pub status: ChallengeStatus,
    /// Why it failed, if it says.
    pub error: Option<Problem>,
}

/// How a challenge stands (RFC 8555 section 7.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeStatus {
    /// The CA was not told, or has not begun.
    Pending,
    /// The CA is checking.
    Processing,
    /// Proven.
    Valid,
    /// Failed.
    Invalid,
}

/// A problem document (RFC 7807, RFC 8555 section 6.7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// Its type; ACME's own without `urn:ietf:params:acme:error:`.
    pub kind: String,
    /// In the CA's words, those of its first subproblem among them.
    pub detail: String,
    /// The HTTP status; 0 if it came inside another answer.
    pub status: u16,
    /// How long to wait, if the CA said.
    pub retry_after: Option<Duration>,
}

/// Longest problem shown, in characters: it ends up in states, logs and tables.
const SHOWN_MAX: usize = 300;

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.kind.is_empty() {
            "problem"
        } else {
            &self.kind
        };
        let detail: String = self
            .detail
            .chars()
            .filter(|c| !c.is_control())
            .take(SHOWN_MAX)
            .collect();
        write!(f, "{kind}: {detail}")
    }
}

/// Why the CA did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// Nothing left this machine.
    #[error("nothing was sent: {0}")]
    Fenced(#[from] Shut),
    /// Nothing of the request reached the CA.
    #[error("the CA cannot be reached: {0}")]
    Unreachable(String),
    /// The request or a part of it left, and no answer came.
    #[error("the CA did not answer, what it did is unknown: {0}")]
    Unknown(String),
    /// The CA refused.
    #[error("the CA refused: {0}")]
    Refused(Problem),
    /// Something in front of the CA answered instead of it.
    #[error("the CA is not available: HTTP status {status}")]
    Unavailable {
        /// The HTTP status.
        status: u16,
        /// How long to wait, if it said.
        retry_after: Option<Duration>,
    },
    /// The CA answered, but not in ACME.
    #[error("the CA's answer cannot be understood: {0}")]
    Malformed(String),
    /// Settings or keys of ours.
    #[error("the ACME account cannot be used: {0}")]
    Unusable(String),
}

impl AuthorityError {
    /// How long the CA asked us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(problem) => problem.retry_after,
            Self::Unavailable { retry_after, .. } => *retry_after,
            Self::Fenced(_)
            | Self::Unreachable(_)
            | Self::Unknown(_)
            | Self::Malformed(_)
            | Self::Unusable(_) => None,
        }
    }

    /// The type of the CA's problem, if it gave one.
    pub fn kind(&self) -> &str {
        match self {
            Self::Refused(problem) => &problem.kind,
            _ => "",
        }
    }

    /// The fault is the CA's or the road's to it, and all orders meet it: no order is
    /// failed for it, all wait.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Unknown(_) | Self::Unavailable { .. } => true,
            Self::Refused(problem) => {
                problem.status >= 500
                    || problem.kind == "serverInternal"
                    // Boulder's own word for it comes as rateLimited.
                    || problem.detail.contains("Service busy")
            }
            Self::Fenced(_) | Self::Malformed(_) | Self::Unusable(_) => false,
        }
    }
}
