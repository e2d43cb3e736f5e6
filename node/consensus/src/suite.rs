//! openraft's own storage suite, on every kind of store.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use openraft::testing::{StoreBuilder, Suite};
use state::{ClusterId, NodeId};

use crate::fence::Fence;
use crate::identity::Identity;
use crate::log::Log;
use crate::machine::{Machine, MachineParts, Stored};
use crate::snapshot::Snapshots;
use crate::store::{DiskStore, Engine, MemoryStore, Store};
use crate::types::{StorageError, TypeConfig};
use crate::writer::Writer;

const LIMIT: Duration = Duration::from_secs(10);

/// Opens log and state machine on `store`.
pub(crate) fn open(store: Arc<dyn Store>, node: u64, fence: &Fence) -> (Log, Machine) {
    let blocks = store.blocks();
    let database = store.open_log().unwrap();
    let writer = Writer::new(Arc::clone(&database), "log", blocks, LIMIT, fence.clone()).unwrap();
    let log = Log::open(database, writer, blocks).unwrap();
    let parts = MachineParts {
        identity: Identity { cluster: ClusterId([1; 16]), node: NodeId(node) },
        snapshots: Snapshots::open(&store.snapshots(), log.ends().0).unwrap(),
        fence: fence.clone(),
        write_limit: LIMIT,
        store: Arc::clone(&store),
    };
    let current = store.current_generation().unwrap().unwrap_or_default();
    let generation = parts.generation(current, store.open_generation(current).unwrap()).unwrap();
    let stored = Stored::read(&*generation.database).unwrap();
    (log, Machine::new(parts, generation, stored))
}

struct Builder<F>(F);

impl<F> StoreBuilder<TypeConfig, Log, Machine, tempfile::TempDir> for Builder<F>
where
    F: Fn(&Path) -> Arc<dyn Store> + Send + Sync,
{
    async fn build(&self) -> Result<(tempfile::TempDir, Log, Machine), StorageError> {
        let directory = tempfile::tempdir().unwrap();
        let store = (self.0)(directory.path());
        let (log, machine) = open(store, 1, &Fence::new());
        Ok((directory, log, machine))
    }
}

#[test]
fn sled_passes_the_suite_of_openraft() {
    let store = |path: &Path| Arc::new(DiskStore::new(path, Engine::Sled).unwrap()) as Arc<dyn Store>;
    Suite::test_all(Builder(store)).unwrap();
}

#[test]
fn redb_passes_the_suite_of_openraft() {
    let store = |path: &Path| Arc::new(DiskStore::new(path, Engine::Redb).unwrap()) as Arc<dyn Store>;
    Suite::test_all(Builder(store)).unwrap();
}

#[test]
fn memory_passes_the_suite_of_openraft() {
    let store = |path: &Path| Arc::new(MemoryStore::new(path)) as Arc<dyn Store>;
    Suite::test_all(Builder(store)).unwrap();
}
