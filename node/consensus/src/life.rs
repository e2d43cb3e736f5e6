//! A replica's life: runs that follow each other, and what outlives each of them.
//!
//! A run lasts from one opening of the store to the next. Whoever watches a replica
//! from outside holds parts of its life and notices of a change of runs only what
//! [`Outward::standstill`] says.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use state::ports::{Leadership, MembersError, ProposeError};
use state::{NodeId, Term};
use tokio::sync::{Semaphore, watch};

use crate::bodies::HUNG_MAX;
use crate::elsewhere::Elsewhere;
use crate::fence::{Fence, Halt, Standstill};
use crate::machine::Published;
use crate::replica::Figures;
use crate::run::Shared;

/// Bodies read for other members at once: several members may be without their stores,
/// and this one's own handshakes come first.
const LENT_MAX: usize = 16;

/// What is seen from outside.
pub(crate) struct Outward {
    pub(crate) published: Arc<Published>,
    pub(crate) leadership: watch::Sender<Leadership>,
    pub(crate) standstill: Standstill,
    /// Where the other members listen, as last known.
    members: Mutex<BTreeMap<NodeId, String>>,
}

impl Outward {
    pub(crate) fn new() -> Self {
        Self {
            published: Arc::new(Published::new()),
            leadership: watch::Sender::new(Leadership::Following {
                term: Term::default(),
                leader: None,
            }),
            standstill: Arc::new(watch::Sender::new(None)),
            members: Mutex::default(),
        }
    }

    /// The other members and where they listen.
    pub(crate) fn members(&self) -> BTreeMap<NodeId, String> {
        self.members
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn remember(&self, members: BTreeMap<NodeId, String>) {
        *self.members.lock().unwrap_or_else(PoisonError::into_inner) = members;
    }

    /// The run of `fence` has begun: whatever stopped the one before is over. After a
    /// shutdown nothing is.
    pub(crate) fn resume(&self, fence: &Fence) {
        self.standstill.send_if_modified(|known| {
            let resumed = *known != Some(Halt::Shutdown);
            if resumed {
                // It may have stopped again already.
                *known = fence.halted();
            }
            resumed
        });
    }

    /// The replica stands still for another reason than it did, until the node ends.
    pub(crate) fn stay_down(&self, reason: Halt) {
        self.standstill.send_if_modified(|known| {
            let first = *known != Some(Halt::Shutdown);
            if first {
                *known = Some(reason);
            }
            first
        });
    }
}

/// See the module.
pub(crate) struct Life {
    pub(crate) outward: Arc<Outward>,
    /// Falls once, when the replica is shut down.
    pub(crate) over: Fence,
    /// Bodies that other members have.
    pub(crate) elsewhere: Elsewhere,
    /// Places for reads of a store whose disk has failed.
    pub(crate) reading: Arc<Semaphore>,
    /// Places for other members' reads here.
    pub(crate) lending: Semaphore,
    run: ArcSwapOption<Shared>,
    /// As they were when the last run was closed.
    figures: Mutex<Figures>,
    reopened: AtomicU64,
}

impl Life {
    /// A life that has not begun.
    pub(crate) fn new(outward: Arc<Outward>, over: Fence, elsewhere: Elsewhere) -> Self {
        Self {
            outward,
            over,
            elsewhere,
            reading: Arc::new(Semaphore::new(HUNG_MAX)),
            lending: Semaphore::new(LENT_MAX),
            run: ArcSwapOption::empty(),
            figures: Mutex::default(),
            reopened: AtomicU64::new(0),
        }
    }

    /// The present run, which may have stopped; none while the store is being opened.
    pub(crate) fn run(&self) -> Option<Arc<Shared>> {
        self.run.load_full()
    }

    /// The next run, after the store was opened again.
    pub(crate) fn begin_again(&self, run: Arc<Shared>) {
        self.reopened.fetch_add(1, Ordering::Relaxed);
        self.begin(run);
    }

    /// Puts a run into its place.
    pub(crate) fn begin(&self, run: Arc<Shared>) {
        let fence = run.fence.clone();
        self.run.store(Some(run));
        self.outward.resume(&fence);
        if self.over.halted().is_some() {
            fence.trip(Halt::Shutdown);
        }
    }

    /// Lets go of the present run and of what it holds open.
    pub(crate) fn close(&self) {
        *self.last() = self.figures();
        self.run.store(None);
        self.outward.published.close();
    }

    /// The replica is shut down, for good.
    pub(crate) fn shut_down(&self) {
        let first = self.over.halted().is_none();
        self.over.trip(Halt::Shutdown);
        self.outward.standstill.send_replace(Some(Halt::Shutdown));
        if let Some(run) = self.run() {
            run.fence.trip(Halt::Shutdown);
        }
        if first {
            tracing::info!("the replica ends: it was shut down");
        }
    }

    /// The present figures.
    pub(crate) fn figures(&self) -> Figures {
        let run = self.run();
        Figures {
            reopened: self.reopened.load(Ordering::Relaxed),
            borrowed: self.elsewhere.borrowed(),
            ..run.map_or_else(|| *self.last(), |run| run.figures())
        }
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn why(&self) -> String {
        let standstill = self.outward.standstill.borrow().clone();
        standstill.map_or_else(
            || "its store is being opened".into(),
            |halt| halt.to_string(),
        )
    }

    /// The present run, for a proposal.
    pub(crate) fn to_propose(&self) -> Result<Arc<Shared>, ProposeError> {
        self.run().ok_or_else(|| ProposeError::Stopped(self.why()))
    }

    /// The present run, for a change of the membership.
    pub(crate) fn to_change(&self) -> Result<Arc<Shared>, MembersError> {
        self.run().ok_or_else(|| MembersError::Stopped(self.why()))
    }
}
