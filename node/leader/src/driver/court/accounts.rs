//! Our accounts: one task for each CA, so that one that does not answer holds no other.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use state::{CaName, Index, State, Timestamp};
use tokio::time::Instant;

use super::{Court, REST, Work};
use crate::account::{self, Memory, Step};

/// How long an account rests after a failure that stays until somebody does something;
/// another setting of the CA ends it.
const LONG_REST: Duration = Duration::from_secs(60);

/// What this leader knows of accounts.
#[derive(Default)]
pub(super) struct Accounts {
    memory: Arc<Memory>,
    busy: HashSet<CaName>,
    resting: HashMap<CaName, Rest>,
    lasting: Arc<Mutex<HashSet<CaName>>>,
}

/// A rest, and the revision of the CA when it began.
#[derive(Clone, Copy)]
struct Rest {
    revision: Index,
    until: Instant,
}

impl Court {
    pub(super) fn accounts(&mut self, state: &State, now: Timestamp) {
        for ca in state.cas() {
            if self.accounts.busy.contains(&ca.name) || self.is_resting(&ca.name, ca.revision) {
                continue;
            }
            match account::plan(state, ca, &self.accounts.memory) {
                Ok(None) => self.reign.board.account(&ca.name, None, None, now),
                Err(error) => {
                    let error = Some(error.to_string());
                    self.reign.board.account(&ca.name, None, error, now);
                }
                Ok(Some(step)) => {
                    let calm = self.reign.weather(&ca.name).pause().is_none();
                    if step == Step::CommitKey || calm {
                        self.begin_account(ca.name.clone(), step, now);
                    }
                }
            }
        }
    }

    fn begin_account(&mut self, ca: CaName, step: Step, now: Timestamp) {
        self.reign
            .board
            .account(&ca, Some(step.as_str()), None, now);
        let (reign, memory) = (self.reign.clone(), self.accounts.memory.clone());
        let (name, lasting) = (ca.clone(), self.accounts.lasting.clone());
        let work = async move {
            let done = account::act(&reign, &memory, &name, step).await;
            done.map_err(|error| {
                if error.is_lasting() {
                    let mut lasting = lasting.lock().unwrap_or_else(PoisonError::into_inner);
                    lasting.insert(name);
                }
                error.to_string()
            })
        };
        self.accounts.busy.insert(ca.clone());
        let id = self.tasks.spawn(work).id();
        self.works.insert(id, Work::Account(ca));
    }

    pub(super) fn account_ended(&mut self, ca: &CaName, error: Option<String>) {
        self.accounts.busy.remove(ca);
        let Some(error) = error else {
            self.accounts.resting.remove(ca);
            return;
        };
        tracing::warn!(%ca, error, "an account's step failed; it will be tried again");
        let mut lasting = self
            .accounts
            .lasting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let rest = if lasting.remove(ca) { LONG_REST } else { REST };
        drop(lasting);
        let state = self.reign.state();
        let revision = state.ca(ca.as_str()).map(|ca| ca.revision);
        let rest = Rest {
            revision: revision.unwrap_or_default(),
            until: Instant::now() + rest,
        };
        self.accounts.resting.insert(ca.clone(), rest);
        let now = self.reign.now();
        self.reign.board.account(ca, None, Some(error), now);
    }

    fn is_resting(&self, ca: &CaName, revision: Index) -> bool {
        let rest = self.accounts.resting.get(ca);
        rest.is_some_and(|rest| rest.revision == revision && Instant::now() < rest.until)
    }
}
