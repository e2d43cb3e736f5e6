//! A machine's disk: in memory, with flushes that take time, so that a crash finds
//! writes that are not durable yet, and loses them, or a part of them. It may fail for a
//! while: then no flush succeeds, and what was not durable is gone when it is read again.
//! It may be full, so that nothing more is written; or slow.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use consensus::Identity;
use consensus::store::{Batch, Database, MemoryStore, Pair, Scan, Store, StoreError, Tree};
use serde::{Deserialize, Serialize};

use crate::chance::Chance;

/// The bounds, in milliseconds, of what a disk's flushes take at most, but for a few.
const FLUSH_MS: (u64, u64) = (1, 12);

/// One in so many flushes is slow, as on a disk that others use, too.
const SLOW_ONE_IN: u64 = 60;

/// What a slow one takes at most, in milliseconds: more than half a heartbeat, far
/// less than what ends a replica.
const SLOW_MS: u64 = 60;

/// What ails a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ailment {
    /// No flush succeeds.
    Fails,
    /// No write does.
    Full,
    /// Each flush takes up to so many milliseconds more.
    Slow(u64),
}

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
    volatile: BTreeMap<Option<u64>, Vec<(Tree, Batch)>>,
    ailment: Option<Ailment>,
    /// Whether it ever gave a replica a reason to stop.
    has_failed: bool,
}

impl Surface {
    fn refuse(&mut self, ailment: Ailment, action: &'static str) -> Result<(), StoreError> {
        if self.ailment != Some(ailment) {
            return Ok(());
        }
        self.has_failed = true;
        Err(StoreError::File {
            action,
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
            ailment: None,
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

    /// The machine loses power. Answers with the number of changes lost. If it is `torn`,
    /// what was written first may be there although it was never flushed: of each
    /// database a part, as an engine finds its own log cut off somewhere.
    pub(crate) fn crash(&self, torn: bool) -> usize {
        self.memory.crash();
        let volatile = std::mem::take(&mut lock(&self.surface).volatile);
        let mut lost = 0;
        for (name, batches) in volatile {
            let kept = if torn {
                lock(&self.surface).chance.between(0, batches.len() as u64)
            } else {
                0
            };
            for (place, (tree, batch)) in (0..).zip(&batches) {
                if place >= kept || self.keep(name, *tree, batch).is_err() {
                    lost += batch.changes().len();
                }
            }
        }
        lost
    }

    fn keep(&self, name: Option<u64>, tree: Tree, batch: &Batch) -> Result<(), StoreError> {
        let database = match name {
            None => self.memory.open_log()?,
            Some(generation) => self.memory.open_generation(generation)?,
        };
        database.write_atomic(tree, batch)?;
        database.flush_durable()
    }

    /// From now on it ails, or is well again; false if it was so already.
    pub(crate) fn set_ailment(&self, ailment: Option<Ailment>) -> bool {
        let mut surface = lock(&self.surface);
        if matches!(ailment, Some(Ailment::Slow(_))) {
            // Slow enough, it stops a replica as one that fails.
            surface.has_failed = true;
        }
        std::mem::replace(&mut surface.ailment, ailment) != ailment
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
        let mut surface = lock(&self.surface);
        surface.refuse(Ailment::Fails, "flush")?;
        surface.refuse(Ailment::Full, "write")?;
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
        lock(&self.surface).refuse(Ailment::Full, "write")?;
        self.inner.write_atomic(tree, batch)?;
        let written = (tree, batch.clone());
        let mut surface = lock(&self.surface);
        surface.volatile.entry(self.name).or_default().push(written);
        Ok(())
    }

    fn flush_durable(&self) -> Result<(), StoreError> {
        lock(&self.surface).refuse(Ailment::Fails, "flush")?;
        self.inner.flush_durable()?;
        lock(&self.surface).volatile.remove(&self.name);
        Ok(())
    }

    fn flush_takes(&self) -> Duration {
        let mut surface = lock(&self.surface);
        let slow = surface.chance.one_in(SLOW_ONE_IN);
        let mut most = if slow { SLOW_MS } else { surface.flush_ms };
        if let Some(Ailment::Slow(millis)) = surface.ailment {
            most += millis;
        }
        Duration::from_millis(surface.chance.between(0, most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(seed: u64) -> (tempfile::TempDir, Disk) {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::new(directory.path().to_owned(), Chance::new(seed));
        (directory, disk)
    }

    fn put(log: &dyn Database, key: &[u8]) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(key, b"value");
        log.write_atomic(Tree::Log, &batch)
    }

    #[test]
    fn a_crash_loses_what_was_not_flushed_and_counts_it() {
        let (_directory, disk) = disk(1);
        let log = disk.open_log().unwrap();
        put(&*log, b"kept").unwrap();
        log.flush_durable().unwrap();
        put(&*log, b"lost").unwrap();
        assert!(disk.writes());
        assert_eq!(disk.crash(false), 1);
        assert_eq!(disk.crash(false), 0);
        let log = disk.open_log().unwrap();
        assert!(log.get(Tree::Log, b"kept").unwrap().is_some());
        assert!(log.get(Tree::Log, b"lost").unwrap().is_none());
    }

    #[test]
    fn a_torn_crash_keeps_what_was_written_first() {
        let mut counts = std::collections::BTreeSet::new();
        for seed in 0..20 {
            let (_directory, disk) = disk(seed);
            let log = disk.open_log().unwrap();
            for key in [b"a", b"b", b"c"] {
                put(&*log, key).unwrap();
            }
            let lost = disk.crash(true);
            let log = disk.open_log().unwrap();
            let found = [b"a", b"b", b"c"].map(|key| log.get(Tree::Log, key).unwrap().is_some());
            let kept = found.iter().take_while(|found| **found).count();
            assert_eq!(found.iter().filter(|found| **found).count(), kept);
            assert_eq!(kept + lost, 3);
            counts.insert(kept);
        }
        assert!(counts.len() > 2, "{counts:?}");
    }

    #[test]
    fn a_full_disk_takes_nothing_more() {
        let (_directory, disk) = disk(1);
        let log = disk.open_log().unwrap();
        assert!(disk.set_ailment(Some(Ailment::Full)));
        assert!(put(&*log, b"key").is_err() && disk.probe().is_err() && disk.has_failed());
        assert!(disk.set_ailment(None));
        put(&*log, b"key").unwrap();
    }
}
