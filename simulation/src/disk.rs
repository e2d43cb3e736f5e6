//! A machine's disk: in memory, with flushes that take time, so that a crash finds
//! writes that are not durable yet, and loses them, or a part of them. It may fail for a
//! while: then no flush succeeds, and what was not durable is gone when it is read again.
//! It may be full, so that nothing more is written; or slow. A record may rot, which the
//! engine's checksum shows to whoever reads it; and all of it may be lost.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use consensus::Identity;
use consensus::store::{Batch, Change, Database, MemoryStore, Pair, Scan, Store, StoreError, Tree};
use consensus::testing::stored_entry;
use serde::{Deserialize, Serialize};
use state::Index;

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
    /// What has rotted: the engine's checksum says so whenever it is read.
    rotten: Option<Record>,
    /// Whether it ever gave a replica a reason to stop.
    has_failed: bool,
}

/// A database, its tree, and a key there.
type Record = (Option<u64>, Tree, Vec<u8>);

impl Surface {
    fn read(&self, name: Option<u64>, tree: Tree, key: &[u8]) -> Result<(), StoreError> {
        let rotten = self.rotten.as_ref();
        if rotten.is_none_or(|(database, there, rotten)| {
            (*database, *there, &rotten[..]) != (name, tree, key)
        }) {
            return Ok(());
        }
        Err(StoreError::Damaged {
            what: "a record".into(),
            reason: "its checksum is wrong".into(),
        })
    }

    /// What is written anew is whole.
    fn write(&mut self, name: Option<u64>, tree: Tree, batch: &Batch) {
        let rotten = self.rotten.as_ref();
        let written = rotten.is_some_and(|(database, there, rotten)| {
            let mut changes = batch.changes().iter();
            (*database, *there) == (name, tree)
                && changes.any(|change| match change {
                    Change::Put { key, .. } | Change::Remove { key } => key == rotten,
                })
        });
        if written {
            self.rotten = None;
        }
    }

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
            rotten: None,
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

    /// The disk is lost whole, and an empty one is in its place.
    pub(crate) fn wipe(&self) -> std::io::Result<()> {
        {
            let mut surface = lock(&self.surface);
            surface.volatile.clear();
            surface.rotten = None;
        }
        self.memory.wipe();
        let snapshots = self.memory.snapshots();
        std::fs::remove_dir_all(&snapshots)?;
        std::fs::create_dir(&snapshots)
    }

    /// A bit flips somewhere: in the log, or in the records or bodies of the state. False
    /// if there is nothing.
    pub(crate) fn rot(&self) -> Result<bool, StoreError> {
        let generation = self.memory.current_generation()?;
        let trees = [
            (None, Tree::Log),
            (generation, Tree::Records),
            (generation, Tree::Bodies),
        ];
        let mut surface = lock(&self.surface);
        let Some((name, tree)) = surface.chance.pick(&trees).copied() else {
            return Ok(false);
        };
        let database = match name {
            None => self.memory.open_log()?,
            Some(generation) => self.memory.open_generation(generation)?,
        };
        let pairs = database.range(tree, Bound::Unbounded, Bound::Unbounded)?;
        let pairs: Vec<Pair> = pairs.collect::<Result<_, _>>()?;
        let picked = surface.chance.pick(&pairs);
        surface.rotten = picked.map(|(key, _)| (name, tree, key.clone()));
        surface.has_failed |= surface.rotten.is_some();
        Ok(surface.rotten.is_some())
    }

    /// Whether something on it cannot be read.
    pub(crate) fn is_rotten(&self) -> bool {
        lock(&self.surface).rotten.is_some()
    }

    /// The entry of its log at `index`, if there is one.
    pub(crate) fn entry(&self, index: u64) -> Option<Vec<u8>> {
        let log = self.memory.open_log().ok()?;
        stored_entry(&*log, index).ok().flatten()
    }

    /// How many entries its log has, the index of the first, and how many files of snapshots
    /// there are.
    pub(crate) fn holds(&self) -> Result<(usize, Option<Index>, usize), StoreError> {
        let log = self.memory.open_log()?;
        let mut entries = log.range(Tree::Log, Bound::Unbounded, Bound::Unbounded)?;
        let first = entries.next().transpose()?;
        let first = first.and_then(|(key, _)| <[u8; 8]>::try_from(&*key).ok());
        let count = usize::from(first.is_some()) + entries.count();
        let first = first.map(|key| Index(u64::from_be_bytes(key)));
        let snapshots = self.memory.snapshots();
        let files = std::fs::read_dir(&snapshots).map_err(|source| StoreError::File {
            action: "list",
            path: snapshots,
            source,
        })?;
        Ok((count, first, files.count()))
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
        lock(&self.surface).read(self.name, tree, key)?;
        self.inner.get(tree, key)
    }

    fn range(&self, tree: Tree, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<Scan, StoreError> {
        let pairs = self.inner.range(tree, from, to)?;
        let (surface, name) = (Arc::clone(&self.surface), self.name);
        Ok(Box::new(pairs.map(move |pair| {
            let (key, value) = pair?;
            lock(&surface).read(name, tree, &key)?;
            Ok((key, value))
        })))
    }

    fn last(&self, tree: Tree) -> Result<Option<Pair>, StoreError> {
        let last = self.inner.last(tree)?;
        if let Some((key, _)) = &last {
            lock(&self.surface).read(self.name, tree, key)?;
        }
        Ok(last)
    }

    fn write_atomic(&self, tree: Tree, batch: &Batch) -> Result<(), StoreError> {
        lock(&self.surface).refuse(Ailment::Full, "write")?;
        self.inner.write_atomic(tree, batch)?;
        let written = (tree, batch.clone());
        let mut surface = lock(&self.surface);
        surface.write(self.name, tree, batch);
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
    fn a_wiped_disk_has_nothing_and_lets_nobody_write_what_was() {
        let (directory, disk) = disk(1);
        std::fs::write(directory.path().join("snapshot"), "bytes").unwrap();
        let log = disk.open_log().unwrap();
        put(&*log, b"kept").unwrap();
        log.flush_durable().unwrap();
        disk.wipe().unwrap();
        assert!(put(&*log, b"late").is_err());
        let log = disk.open_log().unwrap();
        assert_eq!(log.last(Tree::Log).unwrap(), None);
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn what_has_rotted_is_not_read_until_it_is_written_anew() {
        let mut read = 0;
        for seed in 0..20 {
            let (_directory, disk) = disk(seed);
            let log = disk.open_log().unwrap();
            put(&*log, b"key").unwrap();
            // Not always the log.
            if !disk.rot().unwrap() {
                continue;
            }
            assert!(disk.is_rotten() && log.get(Tree::Log, b"key").is_err());
            assert!(log.last(Tree::Log).is_err());
            let mut all = log
                .range(Tree::Log, Bound::Unbounded, Bound::Unbounded)
                .unwrap();
            assert!(all.next().unwrap().is_err());
            put(&*log, b"key").unwrap();
            assert!(log.get(Tree::Log, b"key").unwrap().is_some());
            read += 1;
        }
        assert!(read > 0);
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
