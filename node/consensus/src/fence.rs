//! How a replica ends before its node does.
//!
//! A replica that cannot write in time, or at all, must fall silent: a leader
//! whose disk hangs is replaced only because it says nothing any more. So whoever
//! finds a reason trips the [`Fence`]; every link, every call and every proposal
//! looks at it. The first reason stays. The last published state stays, too: the
//! edge serves on.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// Why a replica has ended.
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
    /// Raft itself gave up.
    #[error("raft has stopped: {0}")]
    Raft(String),
    /// It was asked to.
    #[error("it was shut down")]
    Shutdown,
}

/// Tripped once, seen by all clones.
#[derive(Debug, Clone)]
pub(crate) struct Fence {
    halted: Arc<watch::Sender<Option<Halt>>>,
}

impl Fence {
    pub(crate) fn new() -> Self {
        Self {
            halted: Arc::new(watch::Sender::new(None)),
        }
    }

    /// Ends the replica for `reason`, unless it has ended.
    pub(crate) fn trip(&self, reason: Halt) {
        self.halted.send_if_modified(|halted| {
            if halted.is_some() {
                return false;
            }
            if reason == Halt::Shutdown {
                tracing::info!("the replica ends: it was shut down");
            } else {
                tracing::error!(%reason, "the replica ends; what is served stays served");
            }
            *halted = Some(reason);
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
