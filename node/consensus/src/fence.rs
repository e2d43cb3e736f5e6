//! How a replica stops before its node does.
//!
//! A replica that cannot write in time, or at all, must fall silent: a leader
//! whose disk hangs is replaced only because it says nothing any more. So whoever
//! finds a reason trips the [`Fence`]; every link, every call and every proposal
//! looks at it. The first reason stays. The last published state stays, too: the
//! edge serves on.
//!
//! A fence is of one run, from one opening of the store to the next, and is never
//! lifted: what was begun before it fell can do nothing afterwards, though the replica
//! may run again (see [`crate::reopening`]).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// Why a replica has stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Halt {
    /// A write took too long to become durable.
    #[error("the disk under the {database} did not finish a write within {} ms", limit.as_millis())]
    SlowDisk {
        /// Which database.
        database: &'static str,
        /// The limit that passed.
        limit: Duration,
    },
    /// A write or read failed, as on a full or broken disk.
    #[error("the {database} failed: {reason}")]
    Store {
        /// Which database.
        database: &'static str,
        /// The chain of errors.
        reason: String,
    },
    /// The log holds a command that this version does not know, or that is damaged.
    /// It must not be skipped: this replica's state would differ from the others'.
    #[error("log entry {index} cannot be understood by this version: {reason}")]
    Undecodable {
        /// Which entry.
        index: u64,
        /// Why.
        reason: String,
    },
    /// The disk came back with less than it had made durable, or as another node's.
    /// The replica stays down: it could vote twice, or lack what others rely on.
    #[error("{0}")]
    Amnesia(String),
    /// Raft itself gave up.
    #[error("raft has stopped: {0}")]
    Raft(String),
    /// It was asked to.
    #[error("it was shut down")]
    Shutdown,
}

impl Halt {
    /// Whether opening the store anew may mend it. An entry that this version does not
    /// know needs another version; a disk that lost data needs an operator.
    pub(crate) const fn may_pass(&self) -> bool {
        matches!(self, Self::SlowDisk { .. } | Self::Store { .. })
    }
}

/// Why the replica stands still at present, for all outside of it; `None` while it runs.
pub(crate) type Standstill = Arc<watch::Sender<Option<Halt>>>;

/// Tripped once, seen by all clones.
#[derive(Debug, Clone)]
pub(crate) struct Fence {
    halted: Arc<watch::Sender<Option<Halt>>>,
    told: Option<Standstill>,
}

impl Fence {
    /// A fence that only its holders look at.
    pub(crate) fn new() -> Self {
        Self {
            halted: Arc::new(watch::Sender::new(None)),
            told: None,
        }
    }

    /// The fence of a run: the first reason is told to `standstill`, too.
    pub(crate) fn of_run(standstill: Standstill) -> Self {
        Self {
            told: Some(standstill),
            ..Self::new()
        }
    }

    /// Ends the run for `reason`, unless it has ended.
    pub(crate) fn trip(&self, reason: Halt) {
        let first = self.halted.send_if_modified(|halted| {
            let first = halted.is_none();
            if first {
                *halted = Some(reason.clone());
            }
            first
        });
        let Some(standstill) = self.told.as_ref().filter(|_| first) else {
            return;
        };
        // After our own, so that whoever clears it looks at ours and misses nothing.
        standstill.send_if_modified(|known| {
            if known.is_some() {
                return false;
            }
            tracing::error!(%reason, "the replica has stopped; what is served stays served");
            *known = Some(reason);
            true
        });
    }

    /// Why the replica has ended, if it has.
    pub(crate) fn halted(&self) -> Option<Halt> {
        self.halted.borrow().clone()
    }

    /// Follows it.
    pub(crate) fn watch(&self) -> watch::Receiver<Option<Halt>> {
        self.halted.subscribe()
    }

    /// Waits until the replica has ended.
    pub(crate) async fn tripped(&self) -> Halt {
        let mut watch = self.watch();
        loop {
            if let Some(halt) = watch.borrow_and_update().clone() {
                return halt;
            }
            if watch.changed().await.is_err() {
                // Not while `self` holds the sender.
                return Halt::Shutdown;
            }
        }
    }
}

/// An error with all its sources, for [`Halt`]'s words.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
