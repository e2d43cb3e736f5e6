//! Wakes the duties while this node leads: on every change of the state and by the clock.
//!
//! It knows nothing of what they do. Each duty is planned from the latest state and runs
//! in a task of its own, one at a time; orders each in one, up to a bound. When leadership
//! moves all of them are cancelled at once, with their connections.

mod court;

use std::{sync::Arc, time::Duration};

use state::{Change, Refusal, Term, ports::Leadership};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use self::court::Court;
use crate::{
    config::Config,
    issuance::weather::Skies,
    metrics::{Counters, Snapshot},
    ports::Ports,
    reign::{CommitError, Reign, commit},
    status::{Board, Status},
};

/// Between two tries to take over.
const TAKE_OVER_AGAIN: Duration = Duration::from_millis(100);

/// Starts the leader's duties.
#[derive(Clone, Copy, Debug)]
pub struct Leader;

impl Leader {
    /// On the present tokio runtime. Nothing is done until this node leads.
    pub fn start(config: Config, ports: Ports) -> Running {
        let board = Arc::new(Board::default());
        let counters = Arc::new(Counters::default());
        let stop = CancellationToken::new();
        let driver = Driver {
            config: Arc::new(config),
            ports,
            board: board.clone(),
            counters: counters.clone(),
        };
        let run = driver.run(stop.clone());
        Running {
            board,
            counters,
            stop,
            task: AbortOnDropHandle::new(tokio::spawn(run)),
        }
    }
}

/// The leader's duties, while they run. Dropping it ends them.
#[derive(Debug)]
pub struct Running {
    board: Arc<Board>,
    counters: Arc<Counters>,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Running {
    /// What the leader is at; empty while this node does not lead.
    pub fn status(&self) -> Status {
        self.board.read()
    }

    /// What was counted since the start.
    pub fn metrics(&self) -> Snapshot {
        self.counters.read()
    }

    /// Ends all duties. Orders in flight are taken up by whoever leads next.
    pub async fn shutdown(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await
            && error.is_panic()
        {
            tracing::error!(%error, "the leader's driver has panicked");
        }
    }
}

struct Driver {
    config: Arc<Config>,
    ports: Ports,
    board: Arc<Board>,
    counters: Arc<Counters>,
}

impl Driver {
    async fn run(self, stop: CancellationToken) {
        let mut leadership = self.ports.leadership.clone();
        loop {
            let present = *leadership.borrow_and_update();
            let watched = tokio::select! {
                () = stop.cancelled() => return,
                watched = self.follow(present, &mut leadership) => watched,
            };
            self.board.wipe();
            if watched.is_err() {
                return;
            }
        }
    }

    /// Until leadership is another.
    async fn follow(
        &self,
        present: Leadership,
        leadership: &mut watch::Receiver<Leadership>,
    ) -> Result<(), watch::error::RecvError> {
        let moved = leadership.wait_for(|now| *now != present);
        let Leadership::Leading(term) = present else {
            return moved.await.map(|_| ());
        };
        tokio::select! {
            moved = moved => moved.map(|_| ()),
            () = self.lead(term) => Ok(()),
        }
    }

    /// Takes over and does the duties of `term`; ends when it is known to be over.
    async fn lead(&self, term: Term) {
        match self.take_over(term).await {
            Ok(()) => {}
            Err(error) => {
                tracing::info!(%term, %error, "no takeover");
                // Should leadership still be ours by then, it is tried again.
                tokio::time::sleep(TAKE_OVER_AGAIN).await;
                return;
            }
        }
        let (clock, jitter) = (self.ports.clock.clone(), self.ports.jitter.clone());
        let reign = Reign {
            term,
            since: self.ports.clock.boottime(),
            ports: self.ports.clone(),
            config: self.config.clone(),
            board: self.board.clone(),
            counters: self.counters.clone(),
            skies: Skies::new(clock, jitter),
        };
        tracing::info!(%term, "this node leads");
        self.counters.took_over();
        self.board.wipe();
        self.board.edit(|status| status.term = Some(term));
        Court::new(Arc::new(reign)).hold().await;
    }

    async fn take_over(&self, term: Term) -> Result<(), CommitError> {
        let node = self.config.node;
        let mut states = self.ports.states.clone();
        loop {
            let change = Change::TakeOver { node };
            match commit(&self.ports, &self.config, term, change).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Refused(Refusal::NotFounded)) => {
                    let founded = states.wait_for(|state| state.cluster_id().is_some());
                    if founded.await.is_err() {
                        return Err(CommitError::Deposed("the replica has ended".to_owned()));
                    }
                }
                Err(error @ (CommitError::Deposed(_) | CommitError::Refused(_))) => {
                    return Err(error);
                }
                Err(CommitError::Unsure(_)) => tokio::time::sleep(TAKE_OVER_AGAIN).await,
            }
        }
    }
}
