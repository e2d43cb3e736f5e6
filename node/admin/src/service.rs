//! What all methods lean on: the present state, and the one way a change takes.

mod backups;
mod cas;
mod certificates;
mod checks;
mod cluster;
mod edit;
mod hostnames;
mod invitations;
mod ledger;
mod reissue;
mod stats;
mod tally;
mod zones;

use std::{sync::Arc, time::Duration};

use state::{
    Actor, Change, Index, NodeId, Outcome, State, Timestamp,
    outcome::Done,
    ports::{
        Bodies, Clock, Leadership, Members, NodeReport, Propose, ProposeError, Seal, ServingSet,
    },
};
use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, timeout_at},
};
use tonic::{Code, Request};

use crate::{
    Backups, Checks, Inputs, Overview, Requests, Stats, Tokens,
    audit::{Asked, Audit},
    budget::Budget,
    gate::Caller,
    limits,
    problem::Problem,
};

/// Serves all methods.
pub(crate) struct Desk {
    states: watch::Receiver<Arc<State>>,
    leadership: watch::Receiver<Leadership>,
    overview: watch::Receiver<Overview>,
    propose: Arc<dyn Propose>,
    members: Arc<dyn Members>,
    serving: Arc<dyn ServingSet>,
    bodies: Arc<dyn Bodies>,
    clock: Arc<dyn Clock>,
    tokens: Arc<dyn Tokens>,
    seal: Arc<dyn Seal>,
    checks: Arc<dyn Checks>,
    requests: Arc<dyn Requests>,
    stats: Arc<dyn Stats>,
    pub(crate) audit: Arc<Audit>,
    watches: Arc<Budget>,
    timelines: Arc<Semaphore>,
    keys: Arc<Semaphore>,
    backups: Arc<dyn Backups>,
    saving: Arc<Semaphore>,
    plans: Arc<Semaphore>,
    tally: tally::Tally,
}

/// A change that took effect.
#[derive(Clone, Copy, Debug)]
struct Changed {
    index: Index,
    done: Done,
}

impl Desk {
    pub(crate) fn new(inputs: Inputs) -> Self {
        let Inputs {
            states,
            leadership,
            overview,
            propose,
            members,
            serving,
            bodies,
            clock,
            backups,
            tokens,
            seal,
            checks,
            requests,
            stats,
        } = inputs;
        Self {
            audit: Arc::new(Audit::new(clock.clone())),
            watches: Budget::new(limits::WATCHES_MAX, limits::WATCHES_PER_OPERATOR_MAX),
            timelines: Arc::new(Semaphore::new(limits::TIMELINES_MAX)),
            keys: Arc::new(Semaphore::new(limits::KEYS_MADE_MAX)),
            saving: Arc::new(Semaphore::new(1)),
            backups,
            plans: Arc::new(Semaphore::new(limits::PLANS_MAX)),
            tally: tally::Tally::default(),
            states,
            leadership,
            overview,
            propose,
            members,
            serving,
            bodies,
            clock,
            tokens,
            seal,
            checks,
            requests,
            stats,
        }
    }

    /// The state as this node has applied it.
    pub(crate) fn state(&self) -> Arc<State> {
        self.states.borrow().clone()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn me(&self) -> NodeId {
        self.overview.borrow().node
    }

    fn leadership(&self) -> Leadership {
        *self.leadership.borrow()
    }

    fn leader(&self) -> Option<NodeId> {
        self.leadership().leader(self.me())
    }

    fn reports(&self) -> Vec<NodeReport> {
        self.serving.reports()
    }

    /// Proposes a change and waits for what becomes of it, until `deadline`.
    ///
    /// In a task of its own: a caller who hangs up must not leave a change without
    /// its line in the audit.
    async fn change(
        &self,
        asked: Asked,
        change: Change,
        deadline: Instant,
    ) -> Result<Changed, Problem> {
        let actor = Actor::parse(&asked.who);
        let (propose, audit) = (self.propose.clone(), self.audit.clone());
        let work = tokio::spawn(async move {
            let answer = timeout_at(deadline, propose.propose(actor, change)).await;
            let result = match answer.unwrap_or(Err(ProposeError::Unknown)) {
                Err(error) => Err(Problem::unproposed(&error, &asked.what)),
                Ok(applied) => match applied.outcome {
                    Outcome::Refused(refusal) => Err(Problem::refused(&refusal, &asked.what)),
                    Outcome::Done(done) => Ok(Changed {
                        index: applied.index,
                        done,
                    }),
                },
            };
            let index = result.as_ref().map(|changed| changed.index.0);
            audit.change(&asked, &index.map_err(Clone::clone));
            result
        });
        work.await.unwrap_or_else(|_| Err(Problem::internal()))
    }

    /// The state at `index` or later. A change is answered when it is applied here,
    /// and published right after: this waits for the gap between the two.
    async fn state_at(&self, index: Index, deadline: Instant) -> Result<Arc<State>, Problem> {
        let mut states = self.states.clone();
        let seen = timeout_at(deadline, states.wait_for(|state| state.index() >= index)).await;
        match seen {
            Ok(Ok(state)) => Ok(state.clone()),
            Ok(Err(_)) | Err(_) => Err(Problem::new(
                Code::Unavailable,
                "NOT_YET_VISIBLE",
                format!(
                    "it was done at index {index}, but this node does not show it yet; look again"
                ),
            )),
        }
    }
}

/// Runs what takes long on a thread of its own, at most as many at once as there are
/// `places`, and until `deadline`. What it costs is borne to its end even if the answer is
/// late, hence the bound.
async fn aside<T: Send + 'static>(
    places: &Arc<Semaphore>,
    deadline: Instant,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let busy = || Problem::overloaded("this node is busy with the like; try again in a moment");
    let place = timeout_at(deadline, places.clone().acquire_owned()).await;
    let place = place.map_err(|_| busy())?.map_err(|_| busy())?;
    let working = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(place);
        done
    });
    match timeout_at(deadline, working).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(_)) => Err(Problem::internal()),
        Err(_) => Err(busy()),
    }
}

/// When a request that is being answered now must have its answer.
fn deadline() -> Instant {
    Instant::now() + limits::ANSWER_WITHIN
}

/// What is left until `deadline`, at most `most`.
fn left(deadline: Instant, most: Duration) -> Duration {
    deadline.saturating_duration_since(Instant::now()).min(most)
}

/// Who asks. The gate lets nobody through without.
fn caller<T>(request: &Request<T>) -> Result<Caller, Problem> {
    let caller = request.extensions().get::<Caller>();
    caller.cloned().ok_or_else(Problem::internal)
}

impl Caller {
    /// What this caller asks about `what`.
    fn asks(&self, what: String) -> Asked {
        Asked {
            who: self.actor.to_string(),
            method: self.method,
            what,
        }
    }
}
