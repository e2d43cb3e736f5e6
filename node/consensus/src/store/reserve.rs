//! Stopping before the disk is full, and not when it is.
//!
//! An engine whose write failed may refuse to read as well (sled does), and then the
//! node could not open the keys that it serves. So nothing is written once less than
//! [`RESERVE_BYTES`] are free: the replica ends, its engine stays whole, and the edge
//! reads on.

use std::{
    ops::Bound,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{Batch, Database, Pair, Scan, StoreError, Tree};

/// What must stay free. A starting value, not a measured one: a hundred times the
/// largest batch (256 KiB), for the pages that an engine rewrites with it, and room to
/// tidy up while it is only read.
pub(super) const RESERVE_BYTES: u64 = 32 * 1024 * 1024;

/// A database that is not written while its disk is nearly full.
pub(super) struct Reserved {
    database: Arc<dyn Database>,
    directory: PathBuf,
    reserve: u64,
}

impl Reserved {
    pub(super) fn new(database: Arc<dyn Database>, directory: PathBuf, reserve: u64) -> Self {
        Self {
            database,
            directory,
            reserve,
        }
    }
}

/// Whether at least `reserve` bytes are free where `directory` is.
pub(super) fn check(directory: &Path, reserve: u64) -> Result<(), StoreError> {
    let space = rustix::fs::statvfs(directory).map_err(|error| StoreError::File {
        action: "ask for the free space of",
        path: directory.to_owned(),
        source: error.into(),
    })?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    if free < reserve {
        let path = directory.to_owned();
        return Err(StoreError::NearlyFull {
            path,
            free,
            reserve,
        });
    }
    Ok(())
}

impl Database for Reserved {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.database.get(tree, key)
    }

    fn range(&self, tree: Tree, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<Scan, StoreError> {
        self.database.range(tree, from, to)
    }

    fn last(&self, tree: Tree) -> Result<Option<Pair>, StoreError> {
        self.database.last(tree)
    }

    fn write_atomic(&self, tree: Tree, batch: &Batch) -> Result<(), StoreError> {
        check(&self.directory, self.reserve)?;
        self.database.write_atomic(tree, batch)
    }

    fn flush_durable(&self) -> Result<(), StoreError> {
        self.database.flush_durable()
    }

    fn flush_takes(&self) -> Duration {
        self.database.flush_takes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{DiskStore, Engine, Store};

    #[test]
    fn a_nearly_full_disk_is_read_and_not_written() {
        for engine in [Engine::Sled, Engine::Redb] {
            let directory = tempfile::tempdir().unwrap();
            let store = DiskStore::new(directory.path(), engine).unwrap();
            let database = store.open_log().unwrap();
            let mut batch = Batch::new();
            batch.put(b"key", b"value");
            database.write_atomic(Tree::Log, &batch).unwrap();
            database.flush_durable().unwrap();
            let full = Reserved::new(database, directory.path().to_owned(), u64::MAX);
            let error = full
                .write_atomic(Tree::Log, &batch)
                .unwrap_err()
                .to_string();
            assert!(error.contains("nearly full"), "{engine:?}: {error}");
            assert_eq!(
                full.get(Tree::Log, b"key").unwrap().as_deref(),
                Some(&b"value"[..])
            );
        }
    }
}
