//! Challenges (RFC 8555 section 7.5.1): from "look now" to what was seen.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::account::Account;
use crate::authorization::{Authorization, AuthorizationStatus, Proof};
use crate::book::Record;
use crate::core::{Core, read};
use crate::entropy::Entropy;
use crate::fault::Mishap;
use crate::moment::Moment;
use crate::problem::{Kind, Problem};
use crate::reply::Reply;
use crate::routes::{ChallengeKind, Route};
use crate::step::{Effect, Step, Turn, Validation};

impl Core {
    /// RFC 8555 section 7.5.1: reads a challenge, or says that its answer is in place.
    pub(crate) fn challenge(
        &mut self,
        account: &Account,
        id: &str,
        kind: ChallengeKind,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<Reply, Problem> {
        let mut authorization = self.own_authorization(account, id)?.clone();
        if !authorization.offered().any(|offered| offered == kind) {
            let what = format!("the challenge {:?} of {id:?}", kind.name());
            return Err(Problem::not_found(&what));
        }
        if !payload.is_empty() {
            // RFC 8555 section 7.5.1 asks for an object; its fields are for other types.
            let _: Map<String, Value> = read(payload)?;
            self.begin(account, &mut authorization, kind, turn)?;
        }
        let up = self.links.to(&Route::Authorization(id.into()));
        let body = self.challenge_json(&authorization, kind);
        Ok(Reply::json(StatusCode::OK, &body).link(&up, "up"))
    }

    /// Begins a validation; one that runs already is not begun again.
    fn begin(
        &mut self,
        account: &Account,
        authorization: &mut Authorization,
        kind: ChallengeKind,
        turn: &mut Turn<'_>,
    ) -> Result<(), Problem> {
        let status = authorization.status(turn.now);
        if status != AuthorizationStatus::Pending {
            return Err(Problem::malformed(format!(
                "the authorization for {:?} is {}, no longer pending",
                authorization.name,
                json!(status)
            )));
        }
        match authorization.state {
            Proof::Processing { kind: chosen } if chosen == kind => return Ok(()),
            Proof::Processing { kind: chosen } => {
                return Err(Problem::malformed(format!(
                    "{:?} is being validated by {} already",
                    authorization.name,
                    chosen.name()
                )));
            }
            _ => {}
        }
        authorization.state = Proof::Processing { kind };
        if turn.mishap == Some(Mishap::Unproven) {
            let detail = "During secondary validation: the name was not reached, on command";
            let problem = Problem::new(Kind::Connection, detail);
            self.judge(authorization, kind, Err(problem), turn);
        } else {
            let delay = self.validation_delay();
            let validation = validation(account, authorization, kind, delay);
            turn.step.effects.push(Effect::Validate(validation));
        }
        self.put(Record::Authorization(authorization.clone()), turn);
        Ok(())
    }

    /// Takes the outcome of a validation.
    ///
    /// An outcome for an authorization that waits for none (it was deactivated or has
    /// expired meanwhile) changes nothing.
    pub fn conclude(
        &mut self,
        authorization: &str,
        kind: ChallengeKind,
        outcome: Result<(), Problem>,
        now: impl Into<Moment>,
        entropy: &mut dyn Entropy,
    ) -> Step {
        let moment = now.into();
        let now = moment.timestamp();
        self.turn(moment, entropy, |core, turn| {
            let Some(authorization) = core.book.authorizations.get(authorization) else {
                return;
            };
            let waits = authorization.state == Proof::Processing { kind };
            if !waits || authorization.status(now) != AuthorizationStatus::Pending {
                return;
            }
            let mut authorization = authorization.clone();
            core.judge(&mut authorization, kind, outcome, turn);
            core.put(Record::Authorization(authorization), turn);
        })
    }

    /// Gives an authorization the outcome of its validation.
    fn judge(
        &mut self,
        authorization: &mut Authorization,
        kind: ChallengeKind,
        outcome: Result<(), Problem>,
        turn: &Turn<'_>,
    ) {
        let (account, name) = (&authorization.account, &authorization.name);
        authorization.state = match outcome {
            Ok(()) => {
                self.meter.succeeded(account, name);
                if let Some(span) = authorization.valid_for {
                    authorization.expires = turn.now.plus(Duration::from_secs(span));
                }
                Proof::Valid { kind, at: turn.now }
            }
            Err(problem) => {
                self.count_failure(account, name, turn.moment);
                Proof::Invalid { kind, problem }
            }
        };
    }

    /// Validations whose outcome was never recorded.
    pub(crate) fn unfinished_validations(&self) -> impl Iterator<Item = Validation> {
        self.book.authorizations.rows().iter().filter_map(|row| {
            let Proof::Processing { kind } = row.state else {
                return None;
            };
            let account = self.book.accounts.get(&row.account)?;
            Some(validation(account, row, kind, self.validation_delay()))
        })
    }

    fn validation_delay(&self) -> Duration {
        Duration::from_millis(self.behaviour.validation_delay_millis)
    }

    /// Spends a failed validation of `name`.
    pub(crate) fn count_failure(&mut self, account: &str, name: &str, now: Moment) {
        let limits = &self.behaviour.limits;
        if self.meter.failed(limits, account, name, now) {
            tracing::info!(account, name, "paused after failures without end");
        }
    }
}

fn validation(
    account: &Account,
    row: &Authorization,
    kind: ChallengeKind,
    delay: Duration,
) -> Validation {
    Validation {
        authorization: row.id.clone(),
        kind,
        hostname: row.bare_name().to_owned(),
        token: row.token.clone(),
        key_authorization: format!("{}.{}", row.token, account.key.thumbprint()),
        delay,
    }
}
