//! Orders (RFC 8555 section 7.4): from the wish for names to the certificate for them.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::account::Account;
use crate::authorization::{Authorization, AuthorizationStatus, failure};
use crate::book::{Book, Row};
use crate::core::{Core, expect_empty};
use crate::csr::CertifiableKey;
use crate::fault::Spoil;
use crate::limits::Exemption;
use crate::problem::{Identifier, Problem};
use crate::reply::Reply;
use crate::routes::Route;
use crate::timestamp::Timestamp;

/// A wish for one certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub(crate) id: String,
    pub(crate) account: String,
    /// Sorted, each once.
    pub(crate) names: Vec<String>,
    /// One authorization a name, in their order; made for this order alone unless
    /// authorizations are reused.
    pub(crate) authorizations: Vec<String>,
    pub(crate) created: Timestamp,
    pub(crate) expires: Timestamp,
    pub(crate) finalizations: u32,
    pub(crate) stage: Stage,
    /// The profile asked for and granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) profile: Option<String>,
    /// The certificate to be replaced: an identifier of RFC 9773.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replaces: Option<String>,
    /// What it was freed from when it was made.
    #[serde(default, skip_serializing_if = "Exemption::is_none")]
    pub(crate) exemption: Exemption,
    /// How its certificate is to be spoiled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) spoil: Option<Spoil>,
    /// Further keys to be certified, of finalizations that raced with the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) rivals: Vec<CertifiableKey>,
}

/// How far an order has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Not finalized: its authorizations say whether it is pending, ready or invalid.
    Open,
    /// Finalized; the certificate is yet to be made.
    Processing {
        /// Since when.
        since: Timestamp,
        /// The key to certify.
        key: CertifiableKey,
    },
    /// The certificate is made.
    Valid {
        /// Its serial number, lower-case hex.
        certificate: String,
    },
    /// The certificate could not be made.
    Invalid {
        /// Why.
        problem: Problem,
    },
}

/// The status an order has on the wire (RFC 8555 section 7.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderStatus {
    /// Some authorization is not valid yet.
    Pending,
    /// It can be finalized.
    Ready,
    /// The certificate is being made.
    Processing,
    /// The certificate is there.
    Valid,
    /// It came to nothing.
    Invalid,
}

impl Row for Order {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Order {
    /// The status at `now`, derived from the authorizations while the order is open.
    pub(crate) fn status(&self, book: &Book, now: Timestamp) -> OrderStatus {
        match &self.stage {
            Stage::Processing { .. } => OrderStatus::Processing,
            Stage::Valid { .. } => OrderStatus::Valid,
            Stage::Invalid { .. } => OrderStatus::Invalid,
            Stage::Open if now >= self.expires => OrderStatus::Invalid,
            Stage::Open => self.open_status(book, now),
        }
    }

    fn open_status(&self, book: &Book, now: Timestamp) -> OrderStatus {
        let mut all_valid = true;
        for row in self.rows(book) {
            match row.status(now) {
                AuthorizationStatus::Valid => {}
                AuthorizationStatus::Pending => all_valid = false,
                _ => return OrderStatus::Invalid,
            }
        }
        if all_valid {
            OrderStatus::Ready
        } else {
            OrderStatus::Pending
        }
    }

    pub(crate) fn has_certificate(&self) -> bool {
        matches!(self.stage, Stage::Valid { .. })
    }

    fn rows<'a>(&'a self, book: &'a Book) -> impl Iterator<Item = &'a Authorization> {
        self.authorizations
            .iter()
            .filter_map(|id| book.authorizations.get(id))
    }

    /// Why it is invalid, when it is.
    fn error(&self, book: &Book, now: Timestamp) -> Option<Problem> {
        match &self.stage {
            Stage::Invalid { problem } => Some(problem.clone()),
            Stage::Open => self
                .rows(book)
                .find_map(|row| failure(row, now))
                .or_else(|| {
                    (now >= self.expires).then(|| {
                        Problem::malformed(format!("the order expired at {}", self.expires))
                    })
                }),
            _ => None,
        }
    }
}

impl Core {
    /// Reads an order.
    pub(crate) fn order(
        &self,
        account: &Account,
        id: &str,
        payload: &[u8],
        now: Timestamp,
    ) -> Result<Reply, Problem> {
        let order = self.own_order(account, id, now)?;
        expect_empty(payload)?;
        Ok(self.order_reply(order, now))
    }

    /// The order of this id, if it is `account`'s and was not forgotten.
    pub(crate) fn own_order(
        &self,
        account: &Account,
        id: &str,
        now: Timestamp,
    ) -> Result<&Order, Problem> {
        let forgets = self.behaviour.forget_expired_orders;
        let order = self.book.orders.get(id);
        let order = order.filter(|order| !forgets || now < order.expires);
        let order = order.ok_or_else(|| Problem::not_found(&format!("the order {id:?}")))?;
        if order.account == account.id {
            Ok(order)
        } else {
            Err(self.anothers(&format!("the order {id:?}")))
        }
    }

    pub(crate) fn order_reply(&self, order: &Order, now: Timestamp) -> Reply {
        let url = self.links.to(&Route::Order(order.id.clone()));
        let reply = Reply::json(StatusCode::OK, &self.order_json(order, now)).location(&url);
        match &order.stage {
            Stage::Processing { since, .. } => {
                let left = since.plus(self.issue_delay()).since(now);
                reply.retry_after(left.as_secs().max(1))
            }
            _ => reply,
        }
    }

    pub(crate) fn order_json(&self, order: &Order, now: Timestamp) -> Value {
        let authorizations = order.authorizations.iter();
        let authorizations: Vec<_> = authorizations
            .map(|id| self.links.to(&Route::Authorization(id.clone())))
            .collect();
        let identifiers: Vec<_> = order.names.iter().map(|n| Identifier::dns(n)).collect();
        let mut body = json!({
            "status": order.status(&self.book, now),
            "expires": order.expires.to_string(),
            "identifiers": identifiers,
            "authorizations": authorizations,
            "finalize": self.links.to(&Route::Finalize(order.id.clone())),
        });
        if let Some(profile) = &order.profile {
            body["profile"] = profile.clone().into();
        }
        if let Some(replaced) = &order.replaces {
            body["replaces"] = replaced.clone().into();
        }
        if let Stage::Valid { certificate } = &order.stage {
            body["certificate"] = self
                .links
                .to(&Route::Certificate(certificate.clone()))
                .into();
        }
        if let Some(problem) = order.error(&self.book, now) {
            body["error"] = json!(problem);
        }
        body
    }
}
