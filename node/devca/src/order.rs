//! Orders (RFC 8555 section 7.4): from the wish for names to the certificate for them.

use data_encoding::BASE64URL_NOPAD;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::account::{Account, full};
use crate::authorization::{Authorization, AuthorizationStatus, Proof, failure};
use crate::book::{Book, Record, Row};
use crate::certificate::Certificate;
use crate::core::{Core, Effect, Step, Turn, expect_empty, read};
use crate::csr::{CertifiableKey, requested_key};
use crate::entropy::{Entropy, draw_id, draw_token};
use crate::identifier::order_names;
use crate::problem::{Identifier, Kind, Problem};
use crate::reply::Reply;
use crate::routes::Route;
use crate::timestamp::Timestamp;

/// Bounds memory and disk (about 2 KB an order with its certificate).
const MAX_ORDERS: usize = 100_000;
/// More attempts to finalize one order are a client in a loop; each attempt is kept for
/// the ledger, so they must be bounded.
const MAX_FINALIZATIONS: u32 = 256;

/// A wish for one certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub(crate) id: String,
    pub(crate) account: String,
    /// Sorted, each once.
    pub(crate) names: Vec<String>,
    /// One authorization a name, made for this order alone.
    pub(crate) authorizations: Vec<String>,
    pub(crate) created: Timestamp,
    pub(crate) expires: Timestamp,
    pub(crate) finalizations: u32,
    pub(crate) stage: Stage,
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

/// One attempt to finalize an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finalization {
    /// The order's id.
    pub order: String,
    /// When it came, in Unix seconds.
    pub at: Timestamp,
    /// Nothing when it was accepted, else the type of the refusal.
    pub refused: Option<Kind>,
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewOrder {
    identifiers: Vec<Identifier>,
    not_before: Option<String>,
    not_after: Option<String>,
}

#[derive(Deserialize)]
struct Finalize {
    csr: String,
}

impl Core {
    /// RFC 8555 section 7.4: makes an order, with fresh authorizations.
    pub(crate) fn new_order(
        &mut self,
        account: &Account,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<Reply, Problem> {
        let request: NewOrder = read(payload)?;
        if request.not_before.is_some() || request.not_after.is_some() {
            return Err(Problem::malformed(
                "this CA sets the validity itself; leave out \"notBefore\" and \"notAfter\"",
            ));
        }
        let names = order_names(&request.identifiers)?;
        if self.book.orders.rows().len() >= MAX_ORDERS {
            return Err(full("orders", MAX_ORDERS));
        }
        let expires = turn.now.plus(self.policy.order_lifetime);
        let authorizations = names
            .iter()
            .map(|name| self.authorize(account, name, expires, turn))
            .collect();
        let order = Order {
            id: draw_id(turn.entropy),
            account: account.id.clone(),
            names,
            authorizations,
            created: turn.now,
            expires,
            finalizations: 0,
            stage: Stage::Open,
        };
        let url = self.links.to(&Route::Order(order.id.clone()));
        let body = self.order_json(&order, turn.now);
        self.put(Record::Order(order), turn);
        Ok(Reply::json(StatusCode::CREATED, &body).location(&url))
    }

    fn authorize(
        &mut self,
        account: &Account,
        name: &str,
        expires: Timestamp,
        turn: &mut Turn<'_>,
    ) -> String {
        let id = draw_id(turn.entropy);
        let authorization = Authorization {
            id: id.clone(),
            account: account.id.clone(),
            name: name.into(),
            token: draw_token(turn.entropy),
            expires,
            state: Proof::Pending,
        };
        self.put(Record::Authorization(authorization), turn);
        id
    }

    /// Reads an order.
    pub(crate) fn order(
        &self,
        account: &Account,
        id: &str,
        payload: &[u8],
        now: Timestamp,
    ) -> Result<Reply, Problem> {
        let order = self.own_order(account, id)?;
        expect_empty(payload)?;
        Ok(self.order_reply(order, now))
    }

    /// RFC 8555 section 7.4: takes an order from `ready` to `processing`, once.
    ///
    /// The core handles one request at a time, so the look at the status and the change of
    /// the stage are one step: of any number of simultaneous requests one is accepted, and
    /// the others are told `orderNotReady`.
    pub(crate) fn finalize(
        &mut self,
        account: &Account,
        id: &str,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<Reply, Problem> {
        let mut order = self.own_order(account, id)?.clone();
        if order.finalizations >= MAX_FINALIZATIONS {
            return Err(Problem::new(
                Kind::RateLimited,
                format!("this order was finalized {MAX_FINALIZATIONS} times"),
            ));
        }
        let accepted = self.acceptable(account, &order, payload, turn.now);
        order.finalizations += 1;
        let attempt = Finalization {
            order: order.id.clone(),
            at: turn.now,
            refused: accepted.as_ref().err().map(|problem| problem.kind),
        };
        self.put(Record::Finalization(attempt), turn);
        if let Ok(key) = &accepted {
            order.stage = Stage::Processing {
                since: turn.now,
                key: key.clone(),
            };
        }
        self.put(Record::Order(order), turn);
        accepted?;
        if self.policy.issue_delay.is_zero() {
            self.make_certificate(id, turn);
        } else {
            turn.step.effects.push(Effect::Issue {
                order: id.into(),
                after: self.policy.issue_delay,
            });
        }
        Ok(self.order_reply(self.own_order(account, id)?, turn.now))
    }

    fn acceptable(
        &self,
        account: &Account,
        order: &Order,
        payload: &[u8],
        now: Timestamp,
    ) -> Result<CertifiableKey, Problem> {
        let status = order.status(&self.book, now);
        if status != OrderStatus::Ready {
            return Err(Problem::new(
                Kind::OrderNotReady,
                format!("the order is {}, not \"ready\"", json!(status)),
            ));
        }
        let request: Finalize = read(payload)?;
        let csr = BASE64URL_NOPAD
            .decode(request.csr.as_bytes())
            .map_err(|error| {
                Problem::malformed(format!("\"csr\" is not unpadded base64url: {error}"))
            })?;
        requested_key(&csr, &order.names, &account.key)
            .map_err(|fault| Problem::new(Kind::BadCsr, fault.to_string()))
    }

    /// Makes the certificate of an order that is being processed.
    ///
    /// For any other order nothing happens, so that it does no harm to call it twice.
    pub fn issue(&mut self, order: &str, now: Timestamp, entropy: &mut dyn Entropy) -> Step {
        self.turn(now, entropy, |core, turn| {
            core.make_certificate(order, turn)
        })
    }

    fn make_certificate(&mut self, id: &str, turn: &mut Turn<'_>) {
        let Some(mut order) = self.book.orders.get(id).cloned() else {
            return;
        };
        let Stage::Processing { key, .. } = &order.stage else {
            return;
        };
        let validity = self.policy.certificate_validity;
        let leaf = self
            .authority
            .certify(key, &order.names, validity, turn.now, turn.entropy);
        order.stage = match leaf {
            Ok(leaf) => {
                let certificate = Certificate::new(leaf, &order, turn.now);
                let serial = certificate.serial.clone();
                self.put(Record::Certificate(certificate), turn);
                Stage::Valid {
                    certificate: serial,
                }
            }
            Err(error) => Stage::Invalid {
                problem: Problem::new(Kind::ServerInternal, error.to_string()),
            },
        };
        self.put(Record::Order(order), turn);
    }

    /// Orders whose certificate was never made, with the rest of their delay.
    pub(crate) fn unfinished_orders(&self, now: Timestamp) -> impl Iterator<Item = Effect> {
        self.book.orders.rows().iter().filter_map(move |order| {
            let Stage::Processing { since, .. } = &order.stage else {
                return None;
            };
            Some(Effect::Issue {
                order: order.id.clone(),
                after: since.plus(self.policy.issue_delay).since(now),
            })
        })
    }

    fn own_order(&self, account: &Account, id: &str) -> Result<&Order, Problem> {
        let order = self.book.orders.get(id);
        let order = order.ok_or_else(|| Problem::not_found(&format!("the order {id:?}")))?;
        if order.account == account.id {
            Ok(order)
        } else {
            Err(Problem::unauthorized(
                "the order belongs to another account",
            ))
        }
    }

    fn order_reply(&self, order: &Order, now: Timestamp) -> Reply {
        let url = self.links.to(&Route::Order(order.id.clone()));
        let reply = Reply::json(StatusCode::OK, &self.order_json(order, now)).location(&url);
        match &order.stage {
            Stage::Processing { since, .. } => {
                let left = since.plus(self.policy.issue_delay).since(now);
                reply.retry_after(left.as_secs().max(1))
            }
            _ => reply,
        }
    }

    fn order_json(&self, order: &Order, now: Timestamp) -> Value {
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
