//! What a carrier does about what went wrong.

use std::time::Duration;

use state::{Evidence, FailureClass, Order, Stage};

use super::{Carrier, RETRY_AFTER_LONGEST, Trouble, doubled, finalize_wait};
use crate::issuance::{
    authority::AuthorityError,
    react::{Reaction, Request, react},
};

/// How often in a row the CA must say that an order is gone: with the waits between, some
/// three seconds.
const GONE_TRIES: u32 = 6;

/// Between two tries of the same thing.
const AGAIN_FIRST: Duration = Duration::from_millis(100);
/// And when it went on: what a fault that has passed costs at most.
const AGAIN_LONGEST: Duration = Duration::from_secs(10);

impl Carrier {
    /// Remembers what it means, and waits a little.
    pub(super) async fn meet(&mut self, order: &Order, trouble: Trouble) {
        self.memory.tries = self.memory.tries.saturating_add(1);
        let (text, asked) = match trouble {
            Trouble::Authority(request, error) => {
                let text = error.to_string();
                let asked = error.retry_after();
                if error.is_outage() {
                    self.reign.counters.outage();
                    self.weather.strike(&text, asked);
                }
                if let AuthorityError::Fenced(_) = error {
                    self.reign.counters.fenced();
                }
                if self.follow(order, request, &error).await {
                    return;
                }
                (text, asked)
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

    /// Does what an error asks for; true if the order has been given up.
    async fn follow(&mut self, order: &Order, request: Request, error: &AuthorityError) -> bool {
        self.memory.permit = None;
        let mut reaction = react(request, error, self.memory.tries);
        if request == Request::Read && self.is_unreadable(order, error) {
            reaction = Reaction::Gone;
        }
        let placed = !matches!(order.stage, Stage::Admitted);
        match reaction {
            Reaction::Again => false,
            Reaction::Look => {
                if request == Request::Ready {
                    self.told();
                }
                self.memory.forget_view();
                false
            }
            Reaction::Unsettled => {
                self.unsettle(finalize_wait(&self.reign, order.ca.as_str()));
                self.memory.forget_view();
                false
            }
            Reaction::Refused => {
                if let AuthorityError::Refused(problem) = error {
                    self.memory.refused = Some(problem.clone());
                }
                self.memory.forget_view();
                false
            }
            Reaction::Gone if !self.is_gone() => {
                self.memory.forget_view();
                false
            }
            Reaction::Gone if !placed => {
                let (evidence, class) = (Evidence::NeverPlaced, FailureClass::Rejected);
                let asked = error.retry_after();
                self.give_up(order, evidence, class, error, asked).await
            }
            Reaction::Gone => {
                let (evidence, class) = (Evidence::Gone, FailureClass::Unavailable);
                let asked = self.until_expiry(order);
                self.give_up(order, evidence, class, error, asked).await
            }
            Reaction::Fail(class) => {
                let asked = error.retry_after();
                let evidence = Evidence::NeverPlaced;
                self.give_up(order, evidence, class, error, asked).await
            }
        }
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
        let finalizing = matches!(order.stage, Stage::FinalizeIntent(_));
        let circumstances = self.circumstances(order);
        let expires = order.stage.placed()?.expires?;
        (finalizing && circumstances.covered).then(|| expires.since(circumstances.now))
    }

    async fn give_up(
        &mut self,
        order: &Order,
        evidence: Evidence,
        class: FailureClass,
        error: &AuthorityError,
        asked: Option<Duration>,
    ) -> bool {
        let reason = match error {
            AuthorityError::Refused(problem) => problem.to_string(),
            other => other.to_string(),
        };
        let failed = self.fail(order, evidence, class, &reason, asked);
        failed.await.is_ok()
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
