//! Carries one order to its end: decide, make one move, look at the state, again.

mod setback;

use std::{sync::Arc, time::Duration};

use state::{
    Change, Evidence, FailureClass, Order, OrderId, Placed, Refusal, Stage,
    order::{PlacedAuthorization, PlacedChallenge},
    outcome::Kind,
    sealed::SealContext,
};

use super::{
    authority::{
        Authority, AuthorityError, AuthorizationStatus, AuthorizationView, ChallengeKind,
        FinalizeRequest, OrderRequest, OrderView,
    },
    decide::{Move, decide},
    inspect::{Unusable, inspect},
    memory::{Circumstances, Memory},
    react::Request,
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
    /// Of an order in the state. `permit` is that of its admission, if that was just now.
    pub(crate) fn new(
        reign: Arc<Reign>,
        authority: Arc<dyn Authority>,
        order: &Order,
        permit: Option<Permit>,
    ) -> Self {
        let wait = finalize_wait(&reign, order.ca.as_str());
        let from = if order.epoch < reign.term {
            reign.since
        } else {
            // Intended in this term, by a carrier that ended: as late as now.
            reign.boottime()
        };
        let memory = Memory::new(permit, order, from.saturating_add(wait));
        Self {
            weather: reign.weather(&order.ca),
            reign,
            authority,
            id: order.id,
            memory,
        }
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
            let next = decide(&self.memory.situation(&order, &self.circumstances(&order)));
            self.show(&order, &next);
            match self.make(&order, next).await {
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
        let certificate = record.and_then(|record| state.certificate(&record.certificate?));
        Circumstances {
            term: self.reign.term,
            trusted: self.reign.clock_doubt().is_none(),
            claimed: record.is_some_and(|record| record.claim == order.claim),
            covered: certificate.is_some_and(|certificate| certificate.is_valid_at(now)),
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
        match next {
            Move::IntendOrder => {
                let change = Change::IntendOrder { order: order.id };
                self.intend(order, change).await
            }
            Move::Place => self.place(order).await,
            Move::Prepare => self.prepare(order).await,
            Move::Look => self.look(order).await,
            Move::LookAtChallenge => {
                let authorization = self.authorization(placed(order)?).await?;
                let challenge = authorization.challenge(&ChallengeKind::Http01);
                self.memory.challenge = challenge.map(|challenge| challenge.status);
                Ok(())
            }
            Move::Confirm => {
                let index = self.memory.prepared_at;
                let index = index.unwrap_or_else(|| self.reign.state().index());
                self.reign.barrier(index).await;
                self.memory.confirmed = true;
                Ok(())
            }
            Move::IntendReady => {
                let change = Change::IntendReady { order: order.id };
                self.intend(order, change).await
            }
            Move::Tell => self.tell(order).await,
            Move::IntendFinalize => {
                let change = Change::IntendFinalize { order: order.id };
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
        self.calm().await;
        self.authority.warm().await.map_err(at(Request::Warm))?;
        let committed = self.commit(order, change).await?;
        self.memory.permit = Some(committed.permit);
        Ok(())
    }

    async fn place(&mut self, order: &Order) -> Result<(), Trouble> {
        let failpoint = self.reign.config.failpoint;
        let permit = self.permit()?;
        failpoint.before("post-new-order");
        let request = OrderRequest::of(&order.hostname);
        let answer = self.authority.new_order(&request, permit).await;
        let view = self.answered(answer, Request::NewOrder)?;
        failpoint.after("post-new-order");
        self.memory.unprepared = Some(view);
        Ok(())
    }

    async fn prepare(&mut self, order: &Order) -> Result<(), Trouble> {
        let Some(view) = self.memory.unprepared.clone() else {
            return Ok(());
        };
        self.calm().await;
        let [authorization_url] = view.authorization_urls.as_slice() else {
            let reason = "the CA asks for other than one authorization for one name";
            let (evidence, class) = (Evidence::NeverPlaced, FailureClass::Rejected);
            return self.fail(order, evidence, class, reason, None).await;
        };
        let answer = self.authority.authorization(authorization_url).await;
        let authorization = self.answered(answer, Request::Read)?;
        let Some(placed) = describe(&view, &authorization) else {
            let reason = "the CA offers no http-01 challenge for it";
            let (evidence, class) = (Evidence::NeverPlaced, FailureClass::Rejected);
            return self.fail(order, evidence, class, reason, None).await;
        };
        let change = Change::PrepareOrder {
            order: order.id,
            placed,
        };
        let committed = self.commit(order, change).await?;
        self.memory.prepared_at = Some(committed.index);
        self.memory.unprepared = None;
        self.memory.seen = Some(view);
        Ok(())
    }

    async fn look(&mut self, order: &Order) -> Result<(), Trouble> {
        self.calm().await;
        let from = self.reign.boottime();
        let answer = self.authority.order(&placed(order)?.url).await;
        let view = self.answered(answer, Request::Read)?;
        self.memory.challenge = None;
        self.memory.seen = Some(view);
        self.memory.seen_from = from;
        Ok(())
    }

    async fn tell(&mut self, order: &Order) -> Result<(), Trouble> {
        let failpoint = self.reign.config.failpoint;
        let permit = self.permit()?;
        failpoint.before("post-ready");
        let challenge = placed(order)?.challenges().next();
        let missing = || Trouble::Own("the order has no challenge".to_owned());
        let url = &challenge.ok_or_else(missing)?.url;
        let answer = self.authority.ready(url, permit).await;
        self.answered(answer, Request::Ready)?;
        failpoint.after("post-ready");
        self.told();
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

    async fn download(&mut self, order: &Order) -> Result<(), Trouble> {
        self.calm().await;
        let seen = self.memory.seen.as_ref();
        let url = seen.and_then(|view| view.certificate_url.clone());
        let answer = match url {
            Some(url) => self.authority.certificate(&url).await,
            None => Err(AuthorityError::Malformed(
                "a valid order without a certificate".to_owned(),
            )),
        };
        let pem = self.answered(answer, Request::Read)?.pem;
        let context = SealContext::CertificateKey(order.hostname.clone());
        let key = self.reign.ports.seal.open(&order.key, &context);
        let key = key.map_err(|error| Trouble::Own(error.to_string()))?;
        let (now, renew) = (self.reign.now(), self.reign.config.renew);
        let install = match inspect(order.id, &pem, &order.hostname, &key, now, renew) {
            Ok(install) => install,
            // By a clock that is wrong every certificate is, and a new order cures nothing.
            Err(error @ Unusable::Validity(..)) if self.reign.clock_doubt().is_some() => {
                return Err(Trouble::Own(error.to_string()));
            }
            Err(error) => return self.unusable(order, &error.to_string()).await,
        };
        let change = Change::InstallCertificate(Box::new(install));
        match self.commit(order, change).await {
            Ok(_) => {
                self.reign.counters.installed();
                tracing::info!(hostname = %order.hostname, order = %order.id, "certificate installed");
                Ok(())
            }
            Err(CommitError::Refused(Refusal::AlreadyExists(Kind::Certificate))) => {
                let reason = "the CA gave a certificate that was installed before";
                self.unusable(order, reason).await
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn unusable(&mut self, order: &Order, reason: &str) -> Result<(), Trouble> {
        let (evidence, class) = (Evidence::Unusable, FailureClass::Unusable);
        self.fail(order, evidence, class, reason, None).await
    }

    /// The CA says that the order is invalid, or will not finalize it. The authorization
    /// knows better why.
    async fn bury(&mut self, order: &Order) -> Result<(), Trouble> {
        let placed = placed(order)?;
        let seen = self.memory.seen.as_ref();
        let own = seen.and_then(|view| view.error.clone());
        let own = own.or_else(|| self.memory.refused.clone());
        let authorization = match self.authorization(placed).await {
            Ok(authorization) => Some(authorization),
            Err(Trouble::Authority(_, AuthorityError::Refused(_))) => None,
            Err(trouble) => return Err(trouble),
        };
        let failed = authorization.filter(|it| it.status == AuthorizationStatus::Invalid);
        let challenge = failed.and_then(|it| it.challenge(&ChallengeKind::Http01)?.error.clone());
        let (class, problem) = match challenge {
            Some(problem) => (FailureClass::Challenge, Some(problem)),
            None => (FailureClass::Rejected, own),
        };
        let reason = problem.map_or_else(
            || "the order is invalid and the CA does not say why".to_owned(),
            |problem| problem.to_string(),
        );
        self.fail(order, Evidence::Invalid, class, &reason, None)
            .await
    }

    async fn authorization(&mut self, placed: &Placed) -> Result<AuthorizationView, Trouble> {
        self.calm().await;
        let first = placed.authorizations.first();
        let missing = || Trouble::Own("the order has no authorization".to_owned());
        let url = &first.ok_or_else(missing)?.url;
        let answer = self.authority.authorization(url).await;
        self.answered(answer, Request::Read)
    }

    async fn fail(
        &mut self,
        order: &Order,
        evidence: Evidence,
        class: FailureClass,
        reason: &str,
        asked: Option<Duration>,
    ) -> Result<(), Trouble> {
        let reign = &self.reign;
        let wait = reign
            .config
            .backoff
            .delay(order.attempt, asked, &*reign.ports.jitter);
        let change = Change::FailOrder {
            order: order.id,
            evidence,
            class,
            reason: reason.to_owned(),
            next_try: reign.now().plus(wait),
        };
        self.commit(order, change).await?;
        let counters = &self.reign.counters;
        counters.failed(class);
        let finalizing = matches!(order.stage, Stage::FinalizeIntent(_));
        if finalizing && evidence == Evidence::Gone {
            counters.possible_duplicate();
        }
        tracing::warn!(
            hostname = %order.hostname, order = %order.id, class = class.as_str(), reason,
            "order failed"
        );
        Ok(())
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

    /// Waits until the CA may be asked.
    async fn calm(&self) {
        while self.weather.nap().await {}
    }

    /// The permission of the last intent; each is used once.
    fn permit(&mut self) -> Result<Permit, Trouble> {
        let missing = AuthorityError::Fenced(Shut::Unasked);
        let permit = self.memory.permit.take();
        permit.ok_or(Trouble::Authority(Request::Warm, missing))
    }

    fn told(&mut self) {
        // What was seen stays: no CA is done at once, so a wait comes before the next look.
        self.memory.told_at = Some(self.reign.boottime());
        self.memory.polls = 0;
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

fn placed(order: &Order) -> Result<&Placed, Trouble> {
    let missing = || Trouble::Own("the order was not placed".to_owned());
    order.stage.placed().ok_or_else(missing)
}

/// What the CA has, to be committed. An authorization that is valid already needs no
/// challenge; one that offers no http-01 is no use.
fn describe(view: &OrderView, authorization: &AuthorizationView) -> Option<Placed> {
    let challenge = match authorization.status {
        AuthorizationStatus::Valid => None,
        AuthorizationStatus::Pending | AuthorizationStatus::Invalid => {
            let challenge = authorization.challenge(&ChallengeKind::Http01)?;
            Some(PlacedChallenge {
                kind: state::ChallengeKind::Http01,
                url: challenge.url.clone(),
                token: challenge.token.clone()?,
            })
        }
    };
    Some(Placed {
        url: view.url.clone(),
        finalize_url: view.finalize_url.clone(),
        authorizations: vec![PlacedAuthorization {
            url: authorization.url.clone(),
            challenge,
        }],
        expires: view.expires,
    })
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

fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(1 << times.min(20)).min(longest)
}
