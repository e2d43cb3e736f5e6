//! One generation of the state on disk.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use state::State;
use state::codec::{Loader, record::kind};

use super::{APPLIED_KEY, GARBAGE_PREFIX, MEMBERSHIP_KEY};
use crate::blocking;
use crate::fence::Fence;
use crate::identity::Identity;
use crate::snapshot::{SnapshotError, Snapshots, place};
use crate::store::{Database, Scan, Store, StoreError, Tree};
use crate::types::{LogId, StoredMembership};
use crate::wire;
use crate::writer::Writer;

/// How long the files of a replaced generation are kept for those who still read
/// it, at most; afterwards the next start removes them.
const RETIRE_WITHIN: Duration = Duration::from_secs(600);
const RETIRE_EVERY: Duration = Duration::from_secs(1);

/// An open generation.
pub(crate) struct Generation {
    pub(crate) number: u64,
    pub(crate) database: Arc<dyn Database>,
    pub(crate) writer: Writer,
    /// Cloned by whoever reads bodies of one state for long: a snapshot, a backup.
    pub(crate) pin: Arc<()>,
}

/// What a state machine works with.
#[derive(Clone)]
pub(crate) struct MachineParts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) identity: Identity,
    pub(crate) snapshots: Snapshots,
    pub(crate) fence: Fence,
    pub(crate) write_limit: Duration,
    pub(crate) handles: Handles,
}

/// The databases that a run has opened, to know when all of them are let go.
#[derive(Clone, Default)]
pub(crate) struct Handles(Arc<Mutex<Vec<Weak<dyn Database>>>>);

impl Handles {
    /// Remembers `database` for as long as somebody holds it.
    pub(crate) fn add(&self, database: &Arc<dyn Database>) {
        let mut handles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        handles.retain(|handle| handle.strong_count() > 0);
        handles.push(Arc::downgrade(database));
    }

    /// Those that somebody still holds.
    pub(crate) fn open(&self) -> Vec<Arc<dyn Database>> {
        let handles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        handles.iter().filter_map(Weak::upgrade).collect()
    }
}

impl MachineParts {
    /// Generation `number`, with a writer.
    pub(crate) fn generation(
        &self,
        number: u64,
        database: Arc<dyn Database>,
    ) -> std::io::Result<Generation> {
        self.handles.add(&database);
        let writer = Writer::new(
            Arc::clone(&database),
            "state",
            self.store.blocks(),
            self.write_limit,
            self.fence.clone(),
        )?;
        Ok(Generation {
            number,
            database,
            writer,
            pin: Arc::new(()),
        })
    }
}

/// What was read from the records.
#[derive(Default)]
pub(crate) struct Stored {
    pub(super) state: State,
    pub(crate) applied: Option<LogId>,
    pub(crate) membership: StoredMembership,
    pub(super) garbage: BTreeSet<Vec<u8>>,
}

impl Stored {
    /// Reads the records of a generation of which there are few. Blocks.
    pub(crate) fn begin(database: &dyn Database) -> Result<Self, SnapshotError> {
        let mut stored = Self::default();
        let own = (0, kind::CLUSTER);
        for kinds in [own].into_iter().chain(kind::FEW) {
            for pair in of_kinds(database, kinds)? {
                let (key, value) = pair?;
                if key.first() == Some(&0) {
                    stored.own(&key, &value)?;
                } else {
                    stored.state.load(&key, &value)?;
                }
            }
        }
        place(
            &mut stored.state,
            stored.applied.map_or(0, |applied| applied.index),
            &stored.membership,
        );
        Ok(stored)
    }

    /// What was read so far.
    pub(crate) const fn state(&self) -> &State {
        &self.state
    }

    /// Reads all others. Blocks; a million take some seconds.
    pub(crate) fn complete(mut self, database: &dyn Database) -> Result<Self, SnapshotError> {
        let mut loader = Loader::new(self.state);
        for kinds in kind::MANY {
            for pair in of_kinds(database, kinds)? {
                let (key, value) = pair?;
                loader.take(key, value)?;
            }
        }
        self.state = loader.finish()?;
        Ok(self)
    }

    /// Takes a record of our own in; the birth record is not for us.
    fn own(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let damaged = |error: wire::WireError| StoreError::Damaged {
            what: "the applied position".into(),
            reason: error.to_string(),
        };
        if key == APPLIED_KEY {
            self.applied = wire::from_stored(value).map_err(damaged)?;
        } else if key == MEMBERSHIP_KEY {
            self.membership = wire::from_stored(value).map_err(damaged)?;
        } else if let Some(body) = key.strip_prefix(GARBAGE_PREFIX) {
            self.garbage.insert(body.to_vec());
        }
        Ok(())
    }
}

/// The records of some kinds, from the first to before the last.
fn of_kinds(database: &dyn Database, (from, to): (u8, u8)) -> Result<Scan, StoreError> {
    let (from, to) = (Bound::Included(&[from][..]), Bound::Excluded(&[to][..]));
    database.range(Tree::Records, from, to)
}

/// Removes the files of `old` once nobody reads it any more. Only lets go of it if the
/// run ends first.
pub(super) async fn retire(
    old: Arc<Generation>,
    store: Arc<dyn Store>,
    current: u64,
    fence: Fence,
) {
    let database = Arc::clone(&old.database);
    drop(old);
    let mut waited = Duration::ZERO;
    while Arc::strong_count(&database) > 1 {
        if waited >= RETIRE_WITHIN {
            return;
        }
        tokio::select! {
            biased;
            // The engine may write as it closes.
            _ = fence.tripped() => return blocking::run(store.blocks(), move || drop(database)).await,
            () = tokio::time::sleep(RETIRE_EVERY) => {}
        }
        waited += RETIRE_EVERY;
    }
    let blocks = store.blocks();
    let removed = blocking::run(blocks, move || {
        drop(database);
        // Another install may have begun a later generation meanwhile; then this
        // one's files stay until the next start.
        if store.current_generation()? == Some(current) {
            store.remove_generations_before(current)?;
        }
        Ok::<_, StoreError>(())
    })
    .await;
    if let Err(error) = removed {
        tracing::warn!(%error, "a replaced generation of the state stays on disk until the next start");
    }
}
