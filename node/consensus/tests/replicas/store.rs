//! A store whose disk can hang, fill up, be slow, refuse to be read or lose data.

use std::ops::Bound;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use consensus::Identity;
use consensus::store::{Batch, Database, DiskStore, Pair, Scan, Store, StoreError, Tree};
use state::codec::record::kind;

/// What ails a disk. Shared with the test that sets it.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) hangs: AtomicBool,
    pub(crate) full: AtomicBool,
    pub(crate) flush_ms: AtomicU64,
    /// Reads fail, as sled's may after a write has.
    pub(crate) refuses: AtomicBool,
    /// Reads hang, as they do on a disk whose pages are not cached.
    pub(crate) reads_hang: AtomicBool,
    /// Reads of all hostnames hang.
    pub(crate) scans_hang: AtomicBool,
    /// What the log's folder holds once its cached pages are dropped.
    pub(crate) earlier_log: Mutex<Option<PathBuf>>,
}

impl Faults {
    fn suffer(&self) -> Result<(), StoreError> {
        while self.hangs.load(Ordering::SeqCst) {
            std::thread::park_timeout(Duration::from_millis(10));
        }
        match self.flush_ms.load(Ordering::SeqCst) {
            0 => {}
            ms => std::thread::park_timeout(Duration::from_millis(ms)),
        }
        if self.full.load(Ordering::SeqCst) {
            let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
            return Err(StoreError::File {
                action: "write",
                path: PathBuf::from("disk"),
                source,
            });
        }
        Ok(())
    }
}

pub(crate) struct FaultyStore {
    pub(crate) inner: DiskStore,
    pub(crate) faults: Arc<Faults>,
}

struct FaultyDatabase {
    inner: Arc<dyn Database>,
    faults: Arc<Faults>,
}

impl FaultyStore {
    fn wrap(&self, inner: Arc<dyn Database>) -> Arc<dyn Database> {
        Arc::new(FaultyDatabase {
            inner,
            faults: Arc::clone(&self.faults),
        })
    }
}

impl Store for FaultyStore {
    fn open_log(&self) -> Result<Arc<dyn Database>, StoreError> {
        self.inner.open_log().map(|database| self.wrap(database))
    }

    fn open_generation(&self, generation: u64) -> Result<Arc<dyn Database>, StoreError> {
        self.inner
            .open_generation(generation)
            .map(|database| self.wrap(database))
    }

    fn current_generation(&self) -> Result<Option<u64>, StoreError> {
        self.inner.current_generation()
    }

    fn switch_generation(&self, generation: u64) -> Result<(), StoreError> {
        self.inner.switch_generation(generation)
    }

    fn remove_other_generations(&self, keep: u64) -> Result<(), StoreError> {
        self.inner.remove_other_generations(keep)
    }

    fn remove_generations_before(&self, keep: u64) -> Result<(), StoreError> {
        self.inner.remove_generations_before(keep)
    }

    fn identity(&self) -> Result<Option<Identity>, StoreError> {
        self.inner.identity()
    }

    fn write_identity(&self, identity: &Identity) -> Result<(), StoreError> {
        self.inner.write_identity(identity)
    }

    fn probe(&self) -> Result<(), StoreError> {
        self.faults.suffer()?;
        self.inner.probe()
    }

    fn forget_cached(&self) -> Result<(), StoreError> {
        if let Some(earlier) = self.faults.earlier_log.lock().unwrap().take() {
            let log = self.inner.snapshots().with_file_name("raft");
            std::fs::remove_dir_all(&log).unwrap();
            std::fs::rename(earlier, &log).unwrap();
        }
        self.inner.forget_cached()
    }

    fn snapshots(&self) -> PathBuf {
        self.inner.snapshots()
    }
}

impl Database for FaultyDatabase {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        while self.faults.reads_hang.load(Ordering::SeqCst) {
            std::thread::park_timeout(Duration::from_millis(10));
        }
        if self.faults.refuses.load(Ordering::SeqCst) {
            return Err(StoreError::Closed);
        }
        self.inner.get(tree, key)
    }

    fn range(&self, tree: Tree, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<Scan, StoreError> {
        let hostnames = Bound::Included(&[kind::HOSTNAME][..]);
        while from == hostnames && self.faults.scans_hang.load(Ordering::SeqCst) {
            std::thread::park_timeout(Duration::from_millis(10));
        }
        self.inner.range(tree, from, to)
    }

    fn last(&self, tree: Tree) -> Result<Option<Pair>, StoreError> {
        self.inner.last(tree)
    }

    fn write_atomic(&self, tree: Tree, batch: &Batch) -> Result<(), StoreError> {
        self.inner.write_atomic(tree, batch)
    }

    fn flush_durable(&self) -> Result<(), StoreError> {
        self.faults.suffer()?;
        self.inner.flush_durable()
    }
}
