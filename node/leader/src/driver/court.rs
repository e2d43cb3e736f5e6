//! The tasks of one term.

mod accounts;
mod cas;
mod duties;
mod orders;

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    sync::Arc,
    time::Duration,
};

use state::{CaName, Hostname, State, Timestamp};
use tokio::{
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::{Instant, sleep_until},
};

use self::{accounts::Accounts, cas::Opened};
use crate::{
    clocks::Doubt,
    ledger,
    membership::Memory,
    reign::Reign,
    renewal::Polls,
    scheduler::Scheduler,
    status::Duty,
    verification::{Look, Rota},
};

/// How long a duty rests after it failed: what it waits for takes about that long to
/// change, and a fault that stays must not fill the log.
const REST: Duration = Duration::from_secs(1);

/// Shortest wait between two plans.
const AT_ONCE: Duration = Duration::from_millis(1);

/// All that is being done in one term. Dropping it cancels all.
pub(super) struct Court {
    reign: Arc<Reign>,
    tasks: JoinSet<Result<(), String>>,
    works: HashMap<Id, Work>,
    busy: HashSet<Duty>,
    resting: HashMap<Duty, Instant>,
    membership: Memory,
    doubt: Doubt,
    ledger: ledger::Watch,
    cas: Opened,
    accounts: Accounts,
    queue: Scheduler,
    polls: Arc<Polls>,
    rota: Rota,
}

enum Work {
    Duty(Duty),
    Account(CaName),
    Look(Look),
    Order {
        hostname: Hostname,
        ca: CaName,
        abort: AbortHandle,
    },
}

impl Court {
    pub(super) fn new(reign: Arc<Reign>) -> Self {
        Self {
            reign,
            tasks: JoinSet::new(),
            works: HashMap::new(),
            busy: HashSet::new(),
            resting: HashMap::new(),
            membership: Memory::default(),
            doubt: Doubt::default(),
            ledger: ledger::Watch::default(),
            cas: Opened::default(),
            accounts: Accounts::default(),
            queue: Scheduler::default(),
            polls: Arc::default(),
            rota: Rota::default(),
        }
    }

    /// Until the state ends, or for ever.
    pub(super) async fn hold(mut self) {
        let mut states = self.reign.ports.states.clone();
        loop {
            let state = states.borrow_and_update().clone();
            let wake = self.plan(&state);
            tokio::select! {
                changed = states.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Plans every duty that is free, begins what is to be done, and says when to look
    /// again.
    fn plan(&mut self, state: &Arc<State>) -> Instant {
        let now = self.reign.now();
        let clock = self.reign.clock_doubt();
        let trusted = clock.is_none();
        let next_due = state.next_due(now);
        self.reign.board.edit(|status| {
            status.clock = clock;
            status.next_due = next_due;
        });
        self.membership();
        self.identities(state, now, trusted);
        self.resealing(state);
        self.accounts(state, now);
        self.open_cas(state, now);
        let again = self.orders(state, now, trusted);
        self.revocation(state, now);
        self.verification(state, now, trusted);
        if trusted {
            self.renewal(state, now);
            self.expiry(state, now);
            self.ledger(state, now);
        } else {
            self.ledger.doubt();
        }
        self.show(state);
        if again {
            return Instant::now() + AT_ONCE;
        }
        let tick = self.reign.config.tick;
        let due_in = next_due.map_or(tick, |due| due.since(now));
        Instant::now() + due_in.clamp(AT_ONCE, tick)
    }

    fn begin(
        &mut self,
        duty: Duty,
        doing: Vec<String>,
        work: impl Future<Output = Result<(), String>> + Send + 'static,
    ) {
        self.reign.board.began(duty, doing, self.reign.now());
        self.busy.insert(duty);
        let id = self.tasks.spawn(work).id();
        self.works.insert(id, Work::Duty(duty));
    }

    fn ended(&mut self, ended: Result<(Id, Result<(), String>), JoinError>) {
        let (id, result) = match ended {
            Ok(ended) => ended,
            // It was to be begun anew.
            Err(error) if error.is_cancelled() => (error.id(), Ok(())),
            Err(error) => (error.id(), Err(error.to_string())),
        };
        let error = result.err();
        match self.works.remove(&id) {
            None => {}
            Some(Work::Duty(duty)) => {
                self.busy.remove(&duty);
                self.failed(duty, error.as_deref());
                self.reign.board.ended(duty, error);
            }
            Some(Work::Account(ca)) => self.account_ended(&ca, error),
            Some(Work::Look(look)) => {
                self.rota.done(&look);
                self.settled(Duty::Verification, error);
            }
            Some(Work::Order { hostname, .. }) => {
                self.queue.ended(&hostname, self.reign.now());
                self.reign.board.order_done(&hostname);
                self.settled(Duty::Issuance, error);
            }
        }
    }

    /// One of many tasks of a duty has ended.
    fn settled(&mut self, duty: Duty, error: Option<String>) {
        if error.is_some() {
            self.failed(duty, error.as_deref());
            self.reign.board.ended(duty, error);
        }
    }

    fn failed(&mut self, duty: Duty, error: Option<&str>) {
        if let Some(error) = error {
            tracing::warn!(
                duty = duty.as_str(),
                error,
                "a duty failed; it will be tried again"
            );
            self.rest(duty);
        }
    }

    fn note(&self, duty: Duty, error: String, now: Timestamp) {
        self.reign.board.began(duty, Vec::new(), now);
        self.reign.board.ended(duty, Some(error));
    }

    fn rest(&mut self, duty: Duty) {
        self.resting.insert(duty, Instant::now() + REST);
    }

    fn is_free(&self, duty: Duty) -> bool {
        let rested = self.resting.get(&duty);
        !self.busy.contains(&duty) && rested.is_none_or(|until| *until <= Instant::now())
    }
}
