//! From a ready order to its certificate, once (RFC 8555 section 7.4).

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::account::Account;
use crate::authority::AuthorityError;
use crate::behaviour::FinalizeRule;
use crate::book::Record;
use crate::certificate::Certificate;
use crate::core::{Core, read};
use crate::csr::{CertifiableKey, requested_key};
use crate::entropy::Entropy;
use crate::fault::{Mishap, Spoil};
use crate::moment::Moment;
use crate::order::{Order, OrderStatus, Stage};
use crate::problem::{Kind, Problem};
use crate::reply::Reply;
use crate::step::{Effect, Step, Turn};
use crate::timestamp::Timestamp;

/// More attempts to finalize one order are a client in a loop; each attempt is kept for
/// the ledger, so they must be bounded.
const MAX_FINALIZATIONS: u32 = 256;

/// The name in certificates that are spoiled by another name.
const SPOILED_NAME: &str = "spoiled.hostquorum.invalid";

/// One attempt to finalize an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finalization {
    /// The order's id.
    pub order: String,
    /// When it came, in Unix seconds.
    pub at: Timestamp,
    /// Nothing when it was accepted, else the type of the refusal.
    pub refused: Option<Kind>,
    /// When it had come whole, in milliseconds since the epoch; zero in records that are
    /// older than this.
    #[serde(default, skip_serializing_if = "Moment::is_epoch")]
    pub received: Moment,
    /// When it was through: refused, or its certificate made. Known to the ledger only;
    /// nothing while the certificate is being made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<Moment>,
}

impl Finalization {
    /// Whether this and a later one were under way at the same time.
    pub(crate) fn overlaps(&self, later: &Self) -> bool {
        self.completed.is_none_or(|end| later.received <= end)
    }
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
        let mut order = self.own_order(account, id, turn.now)?.clone();
        if order.finalizations >= MAX_FINALIZATIONS {
            return Err(Problem::new(
                Kind::RateLimited,
                format!("this order was finalized {MAX_FINALIZATIONS} times"),
            ));
        }
        let accepted = self.acceptable(account, &order, payload, turn);
        order.finalizations += 1;
        let attempt = Finalization {
            order: order.id.clone(),
            at: turn.now,
            refused: accepted.as_ref().err().map(|problem| problem.kind),
            received: turn.caller.received,
            completed: None,
        };
        self.put(Record::Finalization(attempt), turn);
        if let Ok(key) = &accepted {
            order.accept(key.clone(), turn);
        }
        self.put(Record::Order(order), turn);
        accepted?;
        let delay = self.issue_delay();
        if delay.is_zero() {
            self.make_certificate(id, turn);
        } else {
            turn.step.effects.push(Effect::Issue {
                order: id.into(),
                after: delay,
            });
        }
        Ok(self.order_reply(self.own_order(account, id, turn.now)?, turn.now))
    }

    fn acceptable(
        &self,
        account: &Account,
        order: &Order,
        payload: &[u8],
        turn: &Turn<'_>,
    ) -> Result<CertifiableKey, Problem> {
        let status = order.status(&self.book, turn.now);
        if status != OrderStatus::Ready && !self.races(order, turn.moment) {
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

    /// Whether this CA accepts a second finalization of an order because the first is so
    /// recent ([`FinalizeRule::Race`]).
    fn races(&self, order: &Order, now: Moment) -> bool {
        let FinalizeRule::Race { window_millis } = self.behaviour.finalize else {
            return false;
        };
        let begun = matches!(order.stage, Stage::Processing { .. } | Stage::Valid { .. });
        let mut attempts = self.book.finalizations.iter();
        let first = attempts.find(|it| it.order == order.id && it.refused.is_none());
        let end = first.map(|first| first.received.as_unix_millis() + window_millis);
        begun && end.is_some_and(|end| now.as_unix_millis() < end)
    }

    /// How long orders stay `processing`.
    pub(crate) fn issue_delay(&self) -> Duration {
        let own = self.behaviour.issue_delay_seconds;
        own.map_or(self.policy.issue_delay, Duration::from_secs)
    }

    /// Makes the certificate of an order that is being processed.
    ///
    /// For any other order nothing happens, so that it does no harm to call it twice.
    pub fn issue(
        &mut self,
        order: &str,
        now: impl Into<Moment>,
        entropy: &mut dyn Entropy,
    ) -> Step {
        self.turn(now.into(), entropy, |core, turn| {
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
        let mut keys = std::mem::take(&mut order.rivals);
        keys.insert(0, key.clone());
        for key in keys {
            order.stage = match self.certify(&order, &key, turn) {
                Ok(certificate) => {
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
        }
        self.put(Record::Order(order), turn);
    }

    /// Signs one certificate for an order, spoiled if that was commanded, and spends what
    /// it costs.
    fn certify(
        &mut self,
        order: &Order,
        key: &CertifiableKey,
        turn: &mut Turn<'_>,
    ) -> Result<Certificate, AuthorityError> {
        let profile = self.profile_of(order.profile.as_ref());
        let validity = profile
            .and_then(|profile| profile.validity_seconds)
            .map_or(self.policy.certificate_validity, Duration::from_secs);
        let foreign = [SPOILED_NAME.to_owned()];
        let made_up = match order.spoil {
            Some(Spoil::Key) => Some(self.authority.foreign_key()?),
            _ => None,
        };
        let names = match order.spoil {
            Some(Spoil::Names) => foreign.as_slice(),
            _ => &order.names,
        };
        let key = made_up.as_ref().unwrap_or(key);
        let leaf = self
            .authority
            .certify(key, names, validity, turn.now, turn.entropy)?;
        let is_renewal = self.is_renewal(&order.names, turn.now);
        let limits = &self.behaviour.limits;
        self.meter
            .issued(limits, &order.names, is_renewal, turn.moment);
        Ok(Certificate::new(leaf, key.is_rsa(), order, turn.moment))
    }

    /// Orders whose certificate was never made, with the rest of their delay.
    pub(crate) fn unfinished_orders(&self, now: Timestamp) -> impl Iterator<Item = Effect> {
        self.book.orders.rows().iter().filter_map(move |order| {
            let Stage::Processing { since, .. } = &order.stage else {
                return None;
            };
            Some(Effect::Issue {
                order: order.id.clone(),
                after: since.plus(self.issue_delay()).since(now),
            })
        })
    }
}

impl Order {
    /// Takes a finalization that was accepted: the first, or one that races with it.
    fn accept(&mut self, key: CertifiableKey, turn: &Turn<'_>) {
        if let Some(Mishap::Spoil(spoil)) = turn.mishap {
            self.spoil = Some(spoil);
        }
        match self.stage {
            Stage::Processing { .. } => self.rivals.push(key),
            _ => {
                self.stage = Stage::Processing {
                    since: turn.now,
                    key,
                };
            }
        }
    }
}
