//! A store in memory that forgets like a disk: what was not flushed is lost in
//! [`MemoryStore::crash`]. For simulation, where thousands of crashes must cost
//! nothing and happen on one thread.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use imbl::OrdMap;

use super::{Batch, Change, Database, Pair, Scan, Store, StoreError, Tree};
use crate::identity::Identity;

/// Sharing structure, so that a flush is a copy of a pointer.
type Content = BTreeMap<Tree, OrdMap<Vec<u8>, Vec<u8>>>;

#[derive(Debug, Default)]
struct Cell {
    volatile: Content,
    durable: Content,
}

#[derive(Debug, Default)]
struct Shared {
    /// Counts crashes: handles opened before the last one are dead.
    epoch: u64,
    /// The log under `None`, generations under their number.
    databases: BTreeMap<Option<u64>, Cell>,
    current: Option<u64>,
    identity: Option<Identity>,
}

/// A disk in memory. Clones are the same disk.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    shared: Arc<Mutex<Shared>>,
    snapshots: PathBuf,
}

impl MemoryStore {
    /// An empty disk; snapshot files go to the existing directory `snapshots`.
    #[must_use]
    pub fn new(snapshots: impl Into<PathBuf>) -> Self {
        Self {
            shared: Arc::default(),
            snapshots: snapshots.into(),
        }
    }

    /// The machine loses power: all that was not flushed is gone, and what had the
    /// store open can no longer touch it.
    pub fn crash(&self) {
        let mut shared = lock(&self.shared);
        shared.epoch += 1;
        for cell in shared.databases.values_mut() {
            cell.volatile = cell.durable.clone();
        }
    }

    /// The disk is lost, and another that is empty is in its place. Snapshot files are
    /// left to whoever owns their directory.
    pub fn wipe(&self) {
        let mut shared = lock(&self.shared);
        *shared = Shared {
            epoch: shared.epoch + 1,
            ..Shared::default()
        };
    }

    fn open(&self, name: Option<u64>) -> Arc<dyn Database> {
        let mut shared = lock(&self.shared);
        shared.databases.entry(name).or_default();
        Arc::new(MemoryDatabase {
            shared: Arc::clone(&self.shared),
            epoch: shared.epoch,
            name,
        })
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    // Each holder leaves the maps whole, so a panic elsewhere does not matter.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store for MemoryStore {
    fn open_log(&self) -> Result<Arc<dyn Database>, StoreError> {
        Ok(self.open(None))
    }

    fn open_generation(&self, generation: u64) -> Result<Arc<dyn Database>, StoreError> {
        Ok(self.open(Some(generation)))
    }

    fn current_generation(&self) -> Result<Option<u64>, StoreError> {
        Ok(lock(&self.shared).current)
    }

    fn switch_generation(&self, generation: u64) -> Result<(), StoreError> {
        lock(&self.shared).current = Some(generation);
        Ok(())
    }

    fn remove_other_generations(&self, keep: u64) -> Result<(), StoreError> {
        lock(&self.shared)
            .databases
            .retain(|name, _| name.is_none_or(|name| name == keep));
        Ok(())
    }

    fn remove_generations_before(&self, keep: u64) -> Result<(), StoreError> {
        lock(&self.shared)
            .databases
            .retain(|name, _| name.is_none_or(|name| name >= keep));
        Ok(())
    }

    fn identity(&self) -> Result<Option<Identity>, StoreError> {
        Ok(lock(&self.shared).identity)
    }

    fn write_identity(&self, identity: &Identity) -> Result<(), StoreError> {
        lock(&self.shared).identity = Some(*identity);
        Ok(())
    }

    fn probe(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// What was not flushed is gone, as on a disk whose flush failed.
    fn forget_cached(&self) -> Result<(), StoreError> {
        self.crash();
        Ok(())
    }

    fn snapshots(&self) -> PathBuf {
        self.snapshots.clone()
    }

    fn blocks(&self) -> bool {
        false
    }
}

struct MemoryDatabase {
    shared: Arc<Mutex<Shared>>,
    epoch: u64,
    name: Option<u64>,
}

impl MemoryDatabase {
    fn with<T>(&self, use_cell: impl FnOnce(&mut Cell) -> T) -> Result<T, StoreError> {
        let mut shared = lock(&self.shared);
        if shared.epoch != self.epoch {
            return Err(StoreError::Closed);
        }
        shared
            .databases
            .get_mut(&self.name)
            .map(use_cell)
            .ok_or(StoreError::Closed)
    }
}

impl Database for MemoryDatabase {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.with(|cell| {
            cell.volatile
                .get(&tree)
                .and_then(|tree| tree.get(key))
                .cloned()
        })
    }

    fn range(&self, tree: Tree, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<Scan, StoreError> {
        let tree = self.with(|cell| cell.volatile.get(&tree).cloned().unwrap_or_default())?;
        let (from, to) = (from.map(<[u8]>::to_vec), to.map(<[u8]>::to_vec));
        let pairs: Vec<Result<Pair, StoreError>> = tree
            .iter()
            .skip_while(|(key, _)| !after(key, &from))
            .take_while(|(key, _)| before(key, &to))
            .map(|(key, value)| Ok((key.clone(), value.clone())))
            .collect();
        Ok(Box::new(pairs.into_iter()))
    }

    fn last(&self, tree: Tree) -> Result<Option<Pair>, StoreError> {
        self.with(|cell| {
            let last = cell.volatile.get(&tree).and_then(OrdMap::get_max);
            last.map(|(key, value)| (key.clone(), value.clone()))
        })
    }

    fn write_atomic(&self, tree: Tree, batch: &Batch) -> Result<(), StoreError> {
        batch.check()?;
        self.with(|cell| {
            let tree = cell.volatile.entry(tree).or_default();
            for change in batch.changes() {
                match change {
                    Change::Put { key, value } => tree.insert(key.clone(), value.clone()),
                    Change::Remove { key } => tree.remove(key),
                };
            }
        })
    }

    fn flush_durable(&self) -> Result<(), StoreError> {
        self.with(|cell| cell.durable = cell.volatile.clone())
    }
}

fn after(key: &[u8], from: &Bound<Vec<u8>>) -> bool {
    match from {
        Bound::Unbounded => true,
        Bound::Included(from) => key >= from.as_slice(),
        Bound::Excluded(from) => key > from.as_slice(),
    }
}

fn before(key: &[u8], to: &Bound<Vec<u8>>) -> bool {
    match to {
        Bound::Unbounded => true,
        Bound::Included(to) => key <= to.as_slice(),
        Bound::Excluded(to) => key < to.as_slice(),
    }
}
