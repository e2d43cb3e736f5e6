//! A machine's disk: in memory, with flushes that take time, so that a crash finds
//! writes that are not durable yet, and loses them. It may fail for a while: then no
//! flush succeeds, and what was not durable is gone when it is read again.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use consensus::Identity;
use consensus::store::{Batch, Database, MemoryStore, Pair, Scan, Store, StoreError, Tree};

use crate::chance::Chance;

/// The bounds, in milliseconds, of what a disk's flushes take at most, but for a few.
const FLUSH_MS: (u64, u64) = (1, 12);

/// One in so many flushes is slow, as on a disk that others use, too.
const SLOW_ONE_IN: u64 = 60;

/// What a slow one takes at most, in milliseconds: more than half a heartbeat, far
/// less than what ends a replica.
const SLOW_MS: u64 = 60;

/// A disk; clones are the same disk.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    memory: MemoryStore,
    surface: Arc<Mutex<Surface>>,
}

#[derive(Debug)]
struct Surface {
    chance: Chance,
    flush_ms: u64,
    /// Changes written and not flushed, by database.
    volatile: BTreeMap<Option<u64>, usize>,
    fails: bool,
    /// Whether it ever refused a flush.
    has_failed: bool,
}

impl Surface {
    fn refuse(&mut self) -> Result<(), StoreError> {
        if !self.fails {
            return Ok(());
        }
        self.has_failed = true;
        Err(StoreError::File {
            action: "flush",
            path: PathBuf::from("disk"),
            source: std::io::Error::other("the simulated disk fails"),
        })
    }
}

impl Disk {
    /// An empty disk that keeps its snapshot files in the existing directory
    /// `snapshots`.
    pub(crate) fn new(snapshots: PathBuf, mut chance: Chance) -> Self {
        let flush_ms = chance.between(FLUSH_MS.0, FLUSH_MS.1);
        let surface = Surface {
            chance,
            flush_ms,
            volatile: BTreeMap::new(),
            fails: false,
            has_failed: false,
        };
        Self {
            memory: MemoryStore::new(snapshots),
            surface: Arc::new(Mutex::new(surface)),
        }
    }

    /// Whether there is something that a crash would lose.
    pub(crate) fn writes(&self) -> bool {
        !lock(&self.surface).volatile.is_empty()
    }

    /// The machine loses power. Answers with the number of changes lost.
    pub(crate) fn crash(&self) -> usize {
        self.memory.crash();
        std::mem::take(&mut lock(&self.surface).volatile)
            .into_values()
            .sum()
    }

    /// From now on it fails, or works again; false if it did so already.
    pub(crate) fn set_failing(&self, fails: bool) -> bool {
        std::mem::replace(&mut lock(&self.surface).fails, fails) != fails
    }

    /// Whether a replica on it had a reason to stop.
    pub(crate) fn has_failed(&self) -> bool {
        lock(&self.surface).has_failed
    }

    fn wrap(&self, name: Option<u64>, inner: Arc<dyn Database>) -> Arc<dyn Database> {
        Arc::new(DiskDatabase {
            name,
            inner,
            surface: Arc::clone(&self.surface),
        })
    }
}

fn lock(surface: &Mutex<Surface>) -> MutexGuard<'_, Surface> {
    // Each holder leaves it whole.
    surface.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store for Disk {
    fn open_log(&self) -> Result<Arc<dyn Database>, StoreError> {
        Ok(self.wrap(None, self.memory.open_log()?))
    }

    fn open_generation(&self, generation: u64) -> Result<Arc<dyn Database>, StoreError> {
        Ok(self.wrap(Some(generation), self.memory.open_generation(generation)?))
    }

    fn current_generation(&self) -> Result<Option<u64>, StoreError> {
        self.memory.current_generation()
    }

    fn switch_generation(&self, generation: u64) -> Result<(), StoreError> {
        self.memory.switch_generation(generation)
    }

    fn remove_other_generations(&self, keep: u64) -> Result<(), StoreError> {
        self.memory.remove_other_generations(keep)
    }

    fn remove_generations_before(&self, keep: u64) -> Result<(), StoreError> {
        self.memory.remove_generations_before(keep)
    }

    fn identity(&self) -> Result<Option<Identity>, StoreError> {
        self.memory.identity()
    }

    fn write_identity(&self, identity: &Identity) -> Result<(), StoreError> {
        self.memory.write_identity(identity)
    }

    fn probe(&self) -> Result<(), StoreError> {
        lock(&self.surface).refuse()?;
        self.memory.probe()
    }

    fn forget_cached(&self) -> Result<(), StoreError> {
        lock(&self.surface).volatile.clear();
        self.memory.forget_cached()
    }

    fn snapshots(&self) -> PathBuf {
        self.memory.snapshots()
    }

    fn blocks(&self) -> bool {
        false
    }
}

struct DiskDatabase {
    name: Option<u64>,
    inner: Arc<dyn Database>,
    surface: Arc<Mutex<Surface>>,
}

impl Database for DiskDatabase {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(tree, key)
    }

    fn range(&self, tree: Tree, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<Scan, StoreError> {
        self.inner.range(tree, from, to)
    }

    fn last(&self, tree: Tree) -> Result<Option<Pair>, StoreError> {
        self.inner.last(tree)
    }

    fn write_atomic(&self, tree: Tree, batch: &Batch) -> Result<(), StoreError> {
        self.inner.write_atomic(tree, batch)?;
        *lock(&self.surface).volatile.entry(self.name).or_default() += batch.changes().len();
        Ok(())
    }

    fn flush_durable(&self) -> Result<(), StoreError> {
        lock(&self.surface).refuse()?;
        self.inner.flush_durable()?;
        lock(&self.surface).volatile.remove(&self.name);
        Ok(())
    }

    fn flush_takes(&self) -> Duration {
        let mut surface = lock(&self.surface);
        let slow = surface.chance.one_in(SLOW_ONE_IN);
        let most = if slow { SLOW_MS } else { surface.flush_ms };
        Duration::from_millis(surface.chance.between(0, most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_loses_what_was_not_flushed_and_counts_it() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::new(directory.path().to_owned(), Chance::new(1));
        let log = disk.open_log().unwrap();
        let put = |key: &[u8]| {
            let mut batch = Batch::new();
            batch.put(key, b"value");
            log.write_atomic(Tree::Log, &batch).unwrap();
        };
        put(b"kept");
        log.flush_durable().unwrap();
        put(b"lost");
        assert!(disk.writes());
        assert_eq!(disk.crash(), 1);
        assert_eq!(disk.crash(), 0);
        let log = disk.open_log().unwrap();
        assert!(log.get(Tree::Log, b"kept").unwrap().is_some());
        assert!(log.get(Tree::Log, b"lost").unwrap().is_none());
    }
}
