//! From a ready order to its certificate, once (RFC 8555 section 7.4).

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::account::Account;
use crate::book::Record;
use crate::certificate::Certificate;
use crate::core::{Core, read};
use crate::csr::{CertifiableKey, requested_key};
use crate::entropy::Entropy;
use crate::order::{Order, OrderStatus, Stage};
use crate::problem::{Kind, Problem};
use crate::reply::Reply;
use crate::step::{Effect, Step, Turn};
use crate::timestamp::Timestamp;

/// More attempts to finalize one order are a client in a loop; each attempt is kept for
/// the ledger, so they must be bounded.
const MAX_FINALIZATIONS: u32 = 256;

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

#[derive(Deserialize)]
struct Finalize {
    csr: String,
}

impl Core {
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
            core.make_certificate(order, turn);
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
}
