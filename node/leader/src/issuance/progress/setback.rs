//! What a carrier does about what went wrong.

use std::time::Duration;

use state::{BLOCK_LONGEST, Change, Evidence, FailureClass, Order, Stage};

use super::{Carrier, RETRY_AFTER_LONGEST, Trouble, doubled, finalize_wait, is_finalizing};
use crate::issuance::{
    authority::{AuthorityError, Limit, Problem},
    limit,
    react::{Reaction, Request, react},
};

/// How often in a row the CA must say that an order is gone: with the waits between, some
/// three seconds.
const GONE_TRIES: u32 = 6;

/// Between two tries of the same thing.
const AGAIN_FIRST: Duration = Duration::from_millis(100);
/// And when it went on: what a fault that has passed costs at most.
const AGAIN_LONGEST: Duration = Duration::from_secs(10);

/// What is left to do after a fault was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// The order has been given up.
    Ended,
    /// The next move, at once.
    GoOn,
    /// The same, after a wait.
    Wait,
}

impl Carrier {
    /// Remembers what it means, and waits a little.
    pub(super) async fn meet(&mut self, order: &Order, trouble: Trouble) {
        self.memory.tries = self.memory.tries.saturating_add(1);
        let (text, asked) = match trouble {
            Trouble::Authority(request, error) => {
                self.notice(&error);
                if self.follow(order, request, &error).await != Then::Wait {
                    return;
                }
                (error.to_string(), error.retry_after())
            }
            Trouble::Commit(error) => {
                self.memory.permit = None;
                self.memory.forget_view();
                (error.to_string(), None)
            }
            Trouble::Own(text) => (text, None),
        };
        tracing::info!(hostname = %order.hostname, order = %order.id, error = text, "not yet");
        self.reign.board.edit_order(&order.hostname, |progress| {
            progress.error = Some(text);
        });
        let own = doubled(AGAIN_FIRST, self.memory.tries - 1, AGAIN_LONGEST);
        tokio::time::sleep(asked.unwrap_or(own).clamp(own, RETRY_AFTER_LONGEST)).await;
    }

    /// What it says of the CA, beside what it says of the order.
    fn notice(&self, error: &AuthorityError) {
        if error.is_outage() {
            self.reign.counters.outage();
            let asked = error.retry_after();
            self.weather.strike(&error.to_string(), asked);
        } else if error.problem().is_some() {
            // It refuses, so it is there.
            self.weather.clear();
        }
        if let AuthorityError::Fenced(_) = error {
            self.reign.counters.fenced();
        }
    }

    /// Does what an error asks for.
    async fn follow(&mut self, order: &Order, request: Request, error: &AuthorityError) -> Then {
        self.memory.permit = None;
        let mut reaction = react(request, error, self.memory.tries);
        if request == Request::Read && self.is_unreadable(order, error) {
            reaction = Reaction::Gone;
        }
        match reaction {
            Reaction::Again => Then::Wait,
            Reaction::Look => {
                self.memory.forget_view();
                Then::Wait
            }
            Reaction::Unsettled => {
                self.unsettle(finalize_wait(&self.reign, order.ca.as_str()));
                self.memory.forget_view();
                Then::Wait
            }
            Reaction::Refused => {
                self.memory.refused = error.problem().cloned();
                self.memory.forget_view();
                Then::Wait
            }
            Reaction::Plainly => {
                tracing::info!(hostname = %order.hostname, order = %order.id, %error, "not as a replacement");
                self.memory.plainly = true;
                Then::GoOn
            }
            Reaction::Adopt => {
                self.memory.plainly = true;
                if let AuthorityError::ReplacesIgnored(view) = error {
                    self.memory.unprepared = Some((**view).clone());
                }
                Then::GoOn
            }
            Reaction::Gone => self.gone(order, error).await,
            Reaction::Fail(class) => self.refused(order, class, error).await,
        }
    }

    async fn gone(&mut self, order: &Order, error: &AuthorityError) -> Then {
        if !self.is_gone() {
            self.memory.forget_view();
            return Then::Wait;
        }
        let (evidence, class, asked) = if order.stage == Stage::Admitted {
            let asked = error.retry_after();
            (Evidence::NeverPlaced, FailureClass::Rejected, asked)
        } else {
            let asked = self.until_expiry(order);
            (Evidence::Gone, FailureClass::Unavailable, asked)
        };
        let reason = words(error);
        let failed = self.fail(order, evidence, class, &reason, asked);
        ended(failed.await)
    }

    /// The CA makes no order. What it says of a limit is for all orders to know; nothing
    /// else that it says of this one is.
    async fn refused(
        &mut self,
        order: &Order,
        class: FailureClass,
        error: &AuthorityError,
    ) -> Then {
        let (evidence, reason) = (Evidence::NeverPlaced, words(error));
        let (Some(problem), FailureClass::RateLimited) = (error.problem(), class) else {
            let asked = error.retry_after();
            let failed = self.fail(order, evidence, class, &reason, asked);
            return ended(failed.await);
        };
        let wait = self.limited(order, problem);
        let until = self.reign.now().plus(wait);
        if let Some(bucket) = limit::bucket(order, problem) {
            let observed = Change::ObserveLimit { bucket, until };
            if let Err(error) = self.reign.commit(observed).await {
                tracing::debug!(%error, "a limit was not noted");
                return Then::Wait;
            }
        }
        let failed = self.fail_until(order, evidence, class, &reason, until);
        ended(failed.await)
    }

    /// For how long by a limit: as long as the CA says, and else as after any failure.
    fn limited(&self, order: &Order, problem: &Problem) -> Duration {
        let backoff = &self.reign.config.backoff;
        let own = || backoff.delay(order.attempt, None, &*self.reign.ports.jitter);
        let asked = problem.retry_after.filter(|asked| !asked.is_zero());
        asked.unwrap_or_else(own).min(BLOCK_LONGEST)
    }

    /// The CA said so often enough that it is no replica of it that is behind, and nothing
    /// that was sent to finalize can be under way.
    fn is_gone(&self) -> bool {
        let settled = self.memory.settled_at;
        let settled = settled.is_none_or(|at| at <= self.reign.boottime());
        settled && self.memory.tries >= GONE_TRIES
    }

    /// An order that may have a certificate and is gone: while another is served, the next
    /// attempt waits until the order would have ended.
    fn until_expiry(&self, order: &Order) -> Option<Duration> {
        let circumstances = self.circumstances(order);
        let expires = order.stage.placed()?.expires?;
        let waits = is_finalizing(order) && circumstances.covered;
        waits.then(|| expires.since(circumstances.now))
    }

    /// The CA shows the order no more: it refuses, and the order's time is over or it was
    /// never committed.
    fn is_unreadable(&self, order: &Order, error: &AuthorityError) -> bool {
        let refused = match error {
            AuthorityError::Refused(problem) => {
                !error.is_outage() && !matches!(problem.kind.as_str(), "badNonce" | "rateLimited")
            }
            AuthorityError::Malformed(_) => true,
            _ => false,
        };
        let over = match order.stage.placed() {
            None => true,
            Some(placed) => placed.expires.is_some_and(|at| at < self.reign.now()),
        };
        refused && over && self.reign.clock_doubt().is_none()
    }
}

fn ended(failed: Result<(), Trouble>) -> Then {
    match failed {
        Ok(()) => Then::Ended,
        Err(_) => Then::Wait,
    }
}

/// In the CA's words. Where a name is paused, whoever reads them is to go to a page first,
/// so that stands first: texts are cut.
fn words(error: &AuthorityError) -> String {
    match error.problem() {
        Some(problem) => match problem.limit() {
            Some(Limit::Paused(Some(page))) => {
                format!("paused by the CA until somebody visits {page} : {problem}")
            }
            _ => problem.to_string(),
        },
        None => error.to_string(),
    }
}
