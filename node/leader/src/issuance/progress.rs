//! Carries one order to its end: decide, make one move, look at the state, again.

mod download;
mod end;
mod prepare;
mod setback;

use std::{sync::Arc, time::Duration};

use state::{ChallengeKind, Change, Order, OrderId, Placed, Stage, order::PlacedAuthorization};

use super::{
    authority::{
        Authority, AuthorityError, AuthorizationView, ChallengeStatus, FinalizeRequest,
        OrderRequest,
    },
    decide::{Claim, Move, decide},
    memory::{Circumstances, Memory},
    react::{Reaction, Request, react},
    weather::Weather,
};
use crate::{
    fence::{Permit, Shut},
    reign::{CommitError, Committed, Reign},
};

/// Between two looks at an order that somebody may be finalizing.
const NAP: Duration = Duration::from_secs(1);
/// Longest wait between two looks that a CA may ask for.
const RETRY_AFTER_LONGEST: Duration = Duration::from_secs(3600);

/// Carries one order.
pub(crate) struct Carrier {
    reign: Arc<Reign>,
    authority: Arc<dyn Authority>,
    weather: Arc<Weather>,
    id: OrderId,
    memory: Memory,
}

/// Why a move came to nothing.
enum Trouble {
    Commit(CommitError),
    Authority(Request, AuthorityError),
    /// A fault of our own: nothing to do but to try later.
    Own(String),
}

impl From<CommitError> for Trouble {
    fn from(error: CommitError) -> Self {
        Self::Commit(error)
    }
}

fn at(request: Request) -> impl Fn(AuthorityError) -> Trouble {
    move |error| Trouble::Authority(request, error)
}

impl Carrier {
    /// Of an order in the state.
    pub(crate) fn new(reign: Arc<Reign>, authority: Arc<dyn Authority>, order: &Order) -> Self {
        let wait = finalize_wait(&reign, order.ca.as_str());
        let from = if order.epoch < reign.term {
            reign.since
        } else {
            // Intended in this term, by a carrier that ended: as late as now.
            reign.boottime()
        };
        Self {
            weather: reign.weather(&order.ca),
            memory: Memory::new(order, from.saturating_add(wait)),
            reign,
            authority,
            id: order.id,
        }
    }

    /// Of an order that this leader admitted just now: with the permission of that, and the
    /// challenges that can succeed.
    pub(crate) fn of_new(mut self, permit: Permit, methods: Vec<ChallengeKind>) -> Self {
        self.memory.permit = Some(permit);
        self.memory.unanswered = false;
        self.memory.methods = Some(methods);
        self
    }

    /// Until the order has ended.
    ///
    /// # Errors
    /// When this node's lead has ended first, and why.
    pub(crate) async fn run(mut self) -> Result<(), String> {
        loop {
            let Some(order) = self.reign.state().order(self.id).cloned() else {
                return Ok(());
            };
            if self.reign.clock_misleads() {
                // What is written down by such a clock stays wrong after it is right again.
                self.reign
                    .board
                    .order(&order.hostname, "wait-for-clock", self.reign.now());
                tokio::time::sleep(NAP).await;
                continue;
            }
            let next = decide(&self.memory.situation(&order, &self.circumstances(&order)));
            if next.acts() && self.reign.state().pause().is_some() {
                // The permission is not kept: what was intended before is intended anew.
                self.memory.permit = None;
                let board = &self.reign.board;
                board.order(&order.hostname, "wait-for-operator", self.reign.now());
                tokio::time::sleep(NAP).await;
                continue;
            }
            self.show(&order, &next);
            // In naps, so that what happens to the order meanwhile is seen.
            let done = if next.can_wait() && self.weather.nap().await {
                self.reconsider(&order).await
            } else {
                self.make(&order, next).await
            };
            match done {
                Ok(()) => {}
                Err(Trouble::Commit(CommitError::Deposed(why))) => return Err(why),
                Err(trouble) => self.meet(&order, trouble).await,
            }
        }
    }

    fn circumstances(&self, order: &Order) -> Circumstances {
        let state = self.reign.state();
        let record = state.hostname(order.hostname.as_str());
        let now = self.reign.now();
        let served = record.and_then(|record| record.certificate_of(order.algorithm));
        let served = served.and_then(|id| state.certificate(&id));
        let claim = match record {
            Some(record) if record.claim != order.claim => Claim::Changed,
            Some(record) if record.ownership.standing.holds() => Claim::Holds,
            Some(_) => Claim::Lapsed,
            None => Claim::Changed,
        };
        Circumstances {
            term: self.reign.term,
            trusted: self.reign.clock_doubt().is_none(),
            claim,
            covered: served.is_some_and(|served| served.is_valid_at(now)),
            now,
            boottime: self.reign.boottime(),
        }
    }

    fn show(&self, order: &Order, next: &Move) {
        let (board, now) = (&self.reign.board, self.reign.now());
        board.order(&order.hostname, next.as_str(), now);
        board.edit_order(&order.hostname, |progress| progress.order = Some(order.id));
        tracing::debug!(hostname = %order.hostname, order = %order.id, next = next.as_str(), "next");
    }

    async fn make(&mut self, order: &Order, next: Move) -> Result<(), Trouble> {
        let id = order.id;
        match next {
            Move::IntendOrder => {
                let again = self.memory.unanswered;
                let change = Change::IntendOrder { order: id, again };
                self.intend(order, change).await?;
                // Counted now.
                self.memory.unanswered = false;
                Ok(())
            }
            Move::Place => self.place(order).await,
            Move::Prepare => self.prepare(order).await,
            Move::Look => self.look(order).await,
            Move::LookAtChallenges => self.look_at_challenges(order).await,
            Move::Confirm => self.confirm(order).await,
            Move::IntendReady => {
                let change = Change::IntendReady { order: id };
                self.intend(order, change).await
            }
            Move::Tell => self.tell(order).await,
            Move::IntendFinalize => {
                let change = Change::IntendFinalize { order: id };
                self.intend(order, change).await
            }
            Move::Finalize => self.finalize(order).await,
            Move::Poll => self.poll().await,
            Move::Settle => self.settle().await,
            Move::Download => self.download(order).await,
            Move::Bury => self.bury(order).await,
            Move::Fail(evidence, class, reason) => {
                self.fail(order, evidence, class, reason, None).await
            }
        }
    }

    /// Opens the road first: a CA that cannot be reached costs no commit, and the
    /// permission's time is not spent on a handshake.
    async fn intend(&mut self, order: &Order, change: Change) -> Result<(), Trouble> {
        self.authority.warm().await.map_err(at(Request::Warm))?;
        let committed = self.commit(order, change).await?;
        self.memory.permit = Some(committed.permit);
        Ok(())
    }

    async fn place(&mut self, order: &Order) -> Result<(), Trouble> {
        let failpoint = self.reign.config.failpoint;
        let permit = self.permit()?;
        failpoint.before("post-new-order");
        let replaces = order.replaces.as_deref();
        let request = OrderRequest {
            hostname: &order.hostname,
            wildcard: order.wildcard,
            profile: order.profile.as_deref(),
            replaces: replaces.filter(|_| !self.memory.plainly),
        };
        self.memory.unanswered = true;
        let answer = self.authority.new_order(&request, permit).await;
        self.memory.unanswered = may_have_counted(&answer);
        let view = self.answered(answer, Request::NewOrder)?;
        failpoint.after("post-new-order");
        self.memory.unprepared = Some(view);
        Ok(())
    }

    async fn look(&mut self, order: &Order) -> Result<(), Trouble> {
        let from = self.reign.boottime();
        let answer = self.authority.order(&placed(order)?.url).await;
        let view = self.answered(answer, Request::Read)?;
        self.memory.forget_view();
        self.memory.seen = Some(view);
        self.memory.seen_from = from;
        Ok(())
    }

    async fn look_at_challenges(&mut self, order: &Order) -> Result<(), Trouble> {
        let mut pending = Vec::new();
        for authorization in &placed(order)?.authorizations {
            let Some(challenge) = &authorization.challenge else {
                continue;
            };
            let view = self.authorization(authorization).await?;
            let known = view.challenge_at(&challenge.url);
            if known.is_some_and(|known| known.status == ChallengeStatus::Pending) {
                pending.push(challenge.url.clone());
            }
            self.memory.asked = self.memory.asked.max(view.retry_after);
        }
        self.memory.challenges.saw(pending);
        Ok(())
    }

    /// One challenge under one permission; the others follow under theirs.
    async fn tell(&mut self, order: &Order) -> Result<(), Trouble> {
        let failpoint = self.reign.config.failpoint;
        let permit = self.permit()?;
        let (placed, now) = (placed(order)?, self.reign.boottime());
        let challenge = self.memory.challenges.next(placed, now);
        let missing = || Trouble::Own("the order has no challenge to be told of".to_owned());
        let url = &challenge.ok_or_else(missing)?.url;
        failpoint.before("post-ready");
        let answer = self.authority.ready(url, permit).await;
        // Where it may have arrived the next look tells; others may be told of before.
        let arrived = |error: &AuthorityError| react(Request::Ready, error, 1) == Reaction::Look;
        let heard = answer.is_ok();
        if heard || answer.as_ref().is_err_and(arrived) {
            // What was seen stays: no CA is done at once, so a wait comes before the next
            // look.
            self.memory.challenges.tell(url, now, heard);
            self.memory.polls = 0;
        }
        self.answered(answer, Request::Ready)?;
        failpoint.after("post-ready");
        Ok(())
    }

    async fn finalize(&mut self, order: &Order) -> Result<(), Trouble> {
        let failpoint = self.reign.config.failpoint;
        let permit = self.permit()?;
        failpoint.before("post-finalize");
        let placed = placed(order)?;
        let request = FinalizeRequest {
            order_url: &placed.url,
            finalize_url: &placed.finalize_url,
            csr: &order.csr,
        };
        let answer = self.authority.finalize(&request, permit).await;
        if answer.is_ok() {
            // It is under way behind the CA's doors: should the CA, or a replica of it
            // that is behind, say `ready` still, that is no reason to send it again.
            self.unsettle(self.reign.config.finalize_wait);
        }
        let view = self.answered(answer, Request::Finalize)?;
        failpoint.after("post-finalize");
        self.memory.polls = 0;
        self.memory.seen = Some(view);
        self.memory.seen_from = self.reign.boottime();
        Ok(())
    }

    /// Something sent to finalize may be under way for so long.
    fn unsettle(&mut self, wait: Duration) {
        self.memory.settled_at = Some(self.reign.boottime().saturating_add(wait));
    }

    async fn poll(&mut self) -> Result<(), Trouble> {
        let asked = self.memory.seen.as_ref().and_then(|view| view.retry_after);
        let asked = asked.max(self.memory.asked.take());
        let (first, longest) = self.reign.config.poll;
        let own = doubled(first, self.memory.polls, longest);
        self.memory.polls = self.memory.polls.saturating_add(1);
        self.memory.forget_view();
        tokio::time::sleep(asked.unwrap_or(own).min(RETRY_AFTER_LONGEST)).await;
        Ok(())
    }

    /// In short naps: the CA may show what is under way before the time is over, and the
    /// machine's clock goes on while the machine sleeps.
    async fn settle(&mut self) -> Result<(), Trouble> {
        let until = self.memory.settled_at.unwrap_or_default();
        let left = until.saturating_sub(self.reign.boottime());
        tokio::time::sleep(left.min(NAP)).await;
        self.memory.forget_view();
        Ok(())
    }

    async fn authorization(
        &mut self,
        placed: &PlacedAuthorization,
    ) -> Result<AuthorizationView, Trouble> {
        let answer = self.authority.authorization(&placed.url).await;
        self.answered(answer, Request::Read)
    }

    async fn commit(&self, order: &Order, change: Change) -> Result<Committed, CommitError> {
        let committed = self.reign.commit(change).await?;
        let left = self.reign.now().since(order.stage_at);
        let next = self.reign.state();
        let stage = next.order(order.id).map(|order| order.stage.as_str());
        if stage != Some(order.stage.as_str()) {
            self.reign.counters.left_stage(&order.stage, left);
        }
        Ok(committed)
    }

    /// The permission of the last intent; each is used once.
    fn permit(&mut self) -> Result<Permit, Trouble> {
        let missing = AuthorityError::Fenced(Shut::Unasked);
        let permit = self.memory.permit.take();
        permit.ok_or(Trouble::Authority(Request::Warm, missing))
    }

    /// Remembers that the CA answers, or that it does not.
    fn answered<T>(
        &mut self,
        answer: Result<T, AuthorityError>,
        request: Request,
    ) -> Result<T, Trouble> {
        match answer {
            Ok(answer) => {
                self.memory.tries = 0;
                self.weather.clear();
                Ok(answer)
            }
            Err(error) => Err(Trouble::Authority(request, error)),
        }
    }
}

/// Whether a CA may have counted a newOrder that was answered so. One that is refused is
/// not: Boulder gives back what it took, and only then.
fn may_have_counted<T>(answer: &Result<T, AuthorityError>) -> bool {
    match answer {
        Ok(_) => true,
        Err(error) => match error {
            AuthorityError::Fenced(_)
            | AuthorityError::Paced { .. }
            | AuthorityError::Unreachable(_)
            | AuthorityError::Refused(_)
            | AuthorityError::Unsupported(_)
            | AuthorityError::ProfileUnknown { .. }
            | AuthorityError::ReplacesRefused(_)
            | AuthorityError::Unusable(_) => false,
            AuthorityError::Unknown(_)
            | AuthorityError::Unavailable { .. }
            | AuthorityError::Malformed(_)
            | AuthorityError::ProfileIgnored { .. }
            | AuthorityError::ReplacesIgnored(_) => true,
        },
    }
}

fn placed(order: &Order) -> Result<&Placed, Trouble> {
    let missing = || Trouble::Own("the order was not placed".to_owned());
    order.stage.placed().ok_or_else(missing)
}

/// How long to wait after a takeover before an order is finalized again: not at all where
/// of two requests for one order the CA refuses one.
fn finalize_wait(reign: &Reign, ca: &str) -> Duration {
    let state = reign.state();
    let atomic = state.ca(ca).is_some_and(|ca| ca.settings.finalize_atomic);
    if atomic {
        Duration::ZERO
    } else {
        reign.config.finalize_wait
    }
}

fn is_finalizing(order: &Order) -> bool {
    matches!(order.stage, Stage::FinalizeIntent(_))
}

fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(1 << times.min(20)).min(longest)
}
