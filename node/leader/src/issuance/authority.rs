//! What a CA can be asked (RFC 8555, with renewal information of RFC 9773 and profiles).
//!
//! The port knows nothing of orders as we keep them: it takes URLs and gives back what
//! the CA shows there. Every URL in a view was checked to lead to the CA itself.

mod error;
mod rates;
mod renewal;
mod view;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use state::{Hostname, Secret};

pub(crate) use self::error::shown;
pub use self::{
    error::{AuthorityError, Feature, Limit, Problem, Subproblem},
    rates::{Rate, Rates},
    renewal::{NoRenewalId, RenewalInfo, renewal_id},
    view::{
        AuthorizationStatus, AuthorizationView, ChainView, ChallengeKind, ChallengeStatus,
        ChallengeView, DirectoryView, OrderStatus, OrderView, Persist,
    },
};
use crate::fence::Permit;

/// Opens CAs.
pub trait Authorities: Send + Sync {
    /// A CA, spoken to with one account's key. Does no I/O.
    ///
    /// # Errors
    /// [`AuthorityError::Unusable`] when the settings or the key cannot be used.
    fn open(&self, access: &Access<'_>) -> Result<Arc<dyn Authority>, AuthorityError>;
}

/// A CA and our account there.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// URL of its directory (RFC 8555 section 7.1.1).
    pub directory: &'a str,
    /// Trust roots (PEM) for a private CA; empty: the system's.
    pub trust_roots_pem: &'a str,
    /// How fast it may be asked.
    pub rates: Rates,
    /// The account's key: PKCS #8, ECDSA on P-256.
    pub key: &'a Secret,
    /// The thumbprint that was agreed on for that key, if one was: challenge answers end
    /// in it, so a key with another is refused.
    pub thumbprint: Option<&'a str>,
    /// The account's URL, once it is registered; without it only
    /// [`Authority::register`], [`Authority::find`] and what needs no account can be asked.
    pub account_url: Option<&'a str>,
}

/// A CA (RFC 8555), spoken to with one account's key.
///
/// What has an effect takes a [`Permit`], which is checked right before the bytes leave;
/// what only reads (GET, POST-as-GET of section 6.3, `onlyReturnExisting`) takes none. No
/// method repeats a request whose outcome is unknown. A request refused for its nonce did
/// nothing, and is repeated with fresh ones, a bounded number of times.
#[async_trait]
pub trait Authority: Send + Sync {
    /// Opens a connection and draws a nonce, so that the next request is one write. To be
    /// called before an intent is committed: a CA that cannot be reached costs no commit.
    async fn warm(&self) -> Result<(), AuthorityError>;

    /// What the CA says of itself; read at most once an hour.
    async fn directory(&self) -> Result<Arc<DirectoryView>, AuthorityError>;

    /// `newAccount` (section 7.3) with our key: the same key gives the same account,
    /// however often. Answers with the account's URL.
    ///
    /// A binding to an external account (section 7.3.4) may be good for one use only, and a
    /// CA may look at it before it looks whether it has the key: after a lost answer ask
    /// [`Authority::find`] first.
    async fn register(
        &self,
        registration: &Registration<'_>,
        permit: Permit,
    ) -> Result<String, AuthorityError>;

    /// The URL of the account that has our key, if there is one (section 7.3.1,
    /// `onlyReturnExisting`).
    async fn find(&self) -> Result<Option<String>, AuthorityError>;

    /// Sets the account's contacts (section 7.3.2).
    async fn set_contacts(
        &self,
        account_url: &str,
        contacts: &[String],
        permit: Permit,
    ) -> Result<(), AuthorityError>;

    /// Gives the account `next_key` (PKCS #8, ECDSA on P-256) in the place of ours (section
    /// 7.3.5). To be committed before; after a doubtful outcome, [`Authority::find`] under
    /// the next key tells whether the CA has changed over.
    async fn roll_key(
        &self,
        account_url: &str,
        next_key: &Secret,
        permit: Permit,
    ) -> Result<(), AuthorityError>;

    /// `newOrder` (section 7.4).
    ///
    /// # Errors
    /// Beside the usual: [`AuthorityError::ProfileUnknown`] and
    /// [`AuthorityError::ProfileIgnored`]; [`AuthorityError::ReplacesRefused`] and
    /// [`AuthorityError::ReplacesIgnored`], after which the same may be asked without
    /// `replaces`.
    async fn new_order(
        &self,
        request: &OrderRequest<'_>,
        permit: Permit,
    ) -> Result<OrderView, AuthorityError>;

    /// Reads an order.
    async fn order(&self, url: &str) -> Result<OrderView, AuthorityError>;

    /// Reads an authorization (section 7.5).
    async fn authorization(&self, url: &str) -> Result<AuthorizationView, AuthorityError>;

    /// Says that a challenge can be checked (section 7.5.1).
    async fn ready(&self, challenge_url: &str, permit: Permit) -> Result<(), AuthorityError>;

    /// Finalizes an order (section 7.4).
    async fn finalize(
        &self,
        request: &FinalizeRequest<'_>,
        permit: Permit,
    ) -> Result<OrderView, AuthorityError>;

    /// Reads the certificate of a valid order, at [`OrderView::certificate_url`] (section
    /// 7.4.2).
    async fn certificate(&self, url: &str) -> Result<ChainView, AuthorityError>;

    /// Reads the same certificate with another chain, at one of [`ChainView::alternates`]:
    /// PEM, the leaf first.
    async fn alternate(&self, url: &str) -> Result<String, AuthorityError>;

    /// Revokes a certificate (DER) of this account (section 7.6). One that is revoked
    /// already is a success.
    async fn revoke(
        &self,
        leaf: &[u8],
        reason: RevocationReason,
        permit: Permit,
    ) -> Result<(), AuthorityError>;

    /// When the CA would have a certificate renewed (RFC 9773 section 4.1), by its
    /// [`renewal_id`].
    ///
    /// # Errors
    /// [`AuthorityError::Unsupported`] if the CA offers none, or none for this one.
    async fn renewal_info(&self, renewal_id: &str) -> Result<RenewalInfo, AuthorityError>;
}

/// What an account begins with.
#[derive(Clone, Copy, Debug)]
pub struct Registration<'a> {
    /// `mailto:` URLs.
    pub contacts: &'a [String],
    /// An operator agreed to the CA's terms of service.
    pub terms_agreed: bool,
    /// The account elsewhere that it belongs to, where the CA wants one.
    pub external: Option<ExternalAccount<'a>>,
}

/// A binding to an external account (RFC 8555 section 7.3.4).
#[derive(Clone, Copy)]
pub struct ExternalAccount<'a> {
    /// The key's id, as the CA gave it.
    pub kid: &'a str,
    /// The HMAC key's bytes: CAs give them in base64url.
    pub hmac: &'a Secret,
}

impl fmt::Debug for ExternalAccount<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExternalAccount({:?})", self.kid)
    }
}

/// What is ordered: one certificate for a hostname.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderRequest<'a> {
    /// The name.
    pub hostname: &'a Hostname,
    /// Also for every name right below it (`*.`), on the same order.
    pub wildcard: bool,
    /// One of [`DirectoryView::profiles`].
    pub profile: Option<&'a str>,
    /// The [`renewal_id`] of the certificate that it comes in the place of (RFC 9773
    /// section 5).
    pub replaces: Option<&'a str>,
}

impl<'a> OrderRequest<'a> {
    /// For one name and nothing else.
    pub fn of(hostname: &'a Hostname) -> Self {
        Self {
            hostname,
            wildcard: false,
            profile: None,
            replaces: None,
        }
    }

    /// The names, as the CA is asked for them: the hostname before its wildcard.
    pub fn identifiers(&self) -> Vec<String> {
        let mut names = vec![self.hostname.as_str().to_owned()];
        if self.wildcard {
            names.push(format!("*.{}", self.hostname));
        }
        names
    }
}

/// What finalizes an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinalizeRequest<'a> {
    /// The order's URL, for the view that comes back.
    pub order_url: &'a str,
    /// Where it is finalized.
    pub finalize_url: &'a str,
    /// PKCS #10 (DER), for exactly the order's names.
    pub csr: &'a [u8],
}

/// Why a certificate is revoked: those reasons of RFC 5280 section 5.3.1 that public CAs
/// take from a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationReason {
    /// 0
    Unspecified,
    /// 1
    KeyCompromise,
    /// 4
    Superseded,
    /// 5
    CessationOfOperation,
}
