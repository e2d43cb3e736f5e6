//! openraft's own storage suite, on every kind of store, and what it does not ask.

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::storage::RaftStateMachine;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt};
use openraft::testing::{StoreBuilder, Suite};
use openraft::{CommittedLeaderId, EntryPayload, RaftLogReader, RaftSnapshotBuilder};
use state::{Actor, Change, ClusterId, Command, Index, NodeId, Timestamp, codec};
use tokio::sync::watch;

use crate::fence::{Fence, Halt};
use crate::identity::Identity;
use crate::log::Log;
use crate::machine::{Handles, Machine, MachineParts, Published, Stored};
use crate::snapshot::Snapshots;
use crate::store::{DiskStore, Engine, MemoryStore, Store, Tree};
use crate::types::{Entry, LogId, Proposal, StorageError, TypeConfig};
use crate::writer::Writer;

const LIMIT: Duration = Duration::from_secs(10);

/// Opens the log on `store`, of a state machine that holds what `held` says.
fn open_log(store: &dyn Store, fence: &Fence, held: watch::Receiver<u64>) -> Log {
    let blocks = store.blocks();
    let database = store.open_log().unwrap();
    let writer = Writer::new(Arc::clone(&database), "log", blocks, LIMIT, fence.clone()).unwrap();
    Log::open(database, writer, blocks, held).unwrap()
}

/// Opens log and state machine on `store`.
pub(crate) fn open(
    store: Arc<dyn Store>,
    node: u64,
    fence: &Fence,
) -> (Log, Machine, Arc<Published>) {
    // The suite of openraft purges what no state machine holds.
    let (_, held) = watch::channel(u64::MAX);
    let log = open_log(&*store, fence, held);
    let parts = MachineParts {
        identity: Identity {
            cluster: ClusterId([1; 16]),
            node: NodeId(node),
        },
        snapshots: Snapshots::open(&store.snapshots(), log.ends().0).unwrap(),
        fence: fence.clone(),
        write_limit: LIMIT,
        handles: Handles::default(),
        store: Arc::clone(&store),
    };
    let current = store.current_generation().unwrap().unwrap_or_default();
    let generation = parts
        .generation(current, store.open_generation(current).unwrap())
        .unwrap();
    let stored = Stored::begin(&*generation.database).unwrap();
    let stored = stored.complete(&*generation.database).unwrap();
    let published = Arc::new(Published::new());
    let machine = Machine::new(parts, Arc::new(generation), stored, Arc::clone(&published));
    (log, machine, published)
}

struct Builder<F>(F);

impl<F> StoreBuilder<TypeConfig, Log, Machine, tempfile::TempDir> for Builder<F>
where
    F: Fn(&Path) -> Arc<dyn Store> + Send + Sync,
{
    async fn build(&self) -> Result<(tempfile::TempDir, Log, Machine), StorageError> {
        let directory = tempfile::tempdir().unwrap();
        let store = (self.0)(directory.path());
        let (log, machine, _) = open(store, 1, &Fence::new());
        Ok((directory, log, machine))
    }
}

#[test]
fn sled_passes_the_suite_of_openraft() {
    let store =
        |path: &Path| Arc::new(DiskStore::new(path, Engine::Sled).unwrap()) as Arc<dyn Store>;
    Suite::test_all(Builder(store)).unwrap();
}

#[test]
fn redb_passes_the_suite_of_openraft() {
    let store =
        |path: &Path| Arc::new(DiskStore::new(path, Engine::Redb).unwrap()) as Arc<dyn Store>;
    Suite::test_all(Builder(store)).unwrap();
}

#[test]
fn memory_passes_the_suite_of_openraft() {
    let store = |path: &Path| Arc::new(MemoryStore::new(path)) as Arc<dyn Store>;
    Suite::test_all(Builder(store)).unwrap();
}

/// An entry of one command.
fn entry(index: u64, change: Change) -> Entry {
    let command = Command {
        at: Timestamp(index),
        actor: Actor::operator("test"),
        duty: None,
        change,
    };
    let batch = codec::batch_to(&state::Batch {
        commands: vec![command],
    });
    Entry {
        log_id: LogId::new(CommittedLeaderId::new(1, 1), index),
        payload: EntryPayload::Normal(Proposal::new(batch.into()).0),
    }
}

#[tokio::test]
async fn bodies_are_deleted_after_the_snapshot_that_names_them_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(DiskStore::new(directory.path(), Engine::Sled).unwrap());
    let (_log, mut machine, published) = open(Arc::clone(&store), 1, &Fence::new());
    let hostname = state::testing::host("shop.customer.example");
    let authorize = state::testing::authorize(hostname.as_str());
    let remove = Change::RemoveHostname {
        hostname: hostname.clone(),
        revision: None,
    };
    let found = Change::Found(Box::new(state::testing::found()));
    machine
        .apply([entry(1, found), entry(2, authorize)])
        .await
        .unwrap();
    let generation = published.generation().unwrap();
    let body = state::bodies::event_key(&hostname, 0);
    let there = || {
        generation
            .database
            .get(Tree::Bodies, &body)
            .unwrap()
            .is_some()
    };
    assert!(there());
    let mut builder = machine.get_snapshot_builder().await;
    machine.apply([entry(3, remove)]).await.unwrap();
    let blank = |index| Entry {
        log_id: LogId::new(CommittedLeaderId::new(1, 1), index),
        ..Entry::default()
    };
    machine.apply([blank(4)]).await.unwrap();
    assert!(there(), "the snapshot needs it");
    let snapshot = builder.build_snapshot().await.unwrap();
    drop(builder);
    machine.apply([blank(5)]).await.unwrap();
    assert!(there(), "somebody may be reading it");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(180)).await;
    tokio::time::resume();
    machine.apply([blank(6)]).await.unwrap();
    assert!(!there(), "nobody needs it");
    // The snapshot is of index 2, whole.
    let (_log, mut other, published) = open(
        Arc::new(MemoryStore::new(tempfile::tempdir().unwrap().keep())),
        2,
        &Fence::new(),
    );
    other
        .install_snapshot(&snapshot.meta, snapshot.snapshot)
        .await
        .unwrap();
    let state = published.state();
    assert_eq!((state.index(), state.hostname_count()), (Index(2), 1));
    let installed = published.generation().unwrap();
    assert!(
        installed
            .database
            .get(Tree::Bodies, &body)
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn entries_of_a_range_whose_beginning_was_purged_are_not_sent() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::new(directory.path()));
    let (mut log, ..) = open(store, 1, &Fence::new());
    let id = |index| LogId::new(CommittedLeaderId::new(1, 1), index);
    let entries = (1..=10).map(|index| Entry {
        log_id: id(index),
        payload: EntryPayload::Blank,
    });
    log.blocking_append(entries).await.unwrap();
    log.purge(id(5)).await.unwrap();
    for (start, end, expected) in [(3, 9, 0), (5, 9, 0), (6, 9, 3), (10, 11, 1), (11, 12, 0)] {
        let sent = log.limited_get_log_entries(start, end).await.unwrap();
        assert_eq!(sent.len(), expected, "{start} to {end}");
        assert!(sent.first().is_none_or(|first| first.log_id.index == start));
    }
}

#[tokio::test]
async fn what_a_crash_left_of_a_purge_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(directory.path()));
    let (mut log, ..) = open(Arc::clone(&store), 1, &Fence::new());
    let id = |index| LogId::new(CommittedLeaderId::new(1, 1), index);
    let entries = (1..=1000).map(|index| Entry {
        log_id: id(index),
        payload: EntryPayload::Blank,
    });
    log.blocking_append(entries).await.unwrap();
    // Its runtime ends with the mark written, and nothing removed yet.
    log.purge(id(900)).await.unwrap();
    let database = store.open_log().unwrap();
    let kept = || {
        let all = database.range(Tree::Log, Bound::Unbounded, Bound::Unbounded);
        all.unwrap().count()
    };
    assert_eq!(kept(), 1000);
    let (log, ..) = open(store, 1, &Fence::new());
    log.finish_purge();
    tokio::time::timeout(LIMIT, async {
        while kept() != 100 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}

/// Entries from `first` to `last`, of nothing.
fn blanks(first: u64, last: u64) -> Vec<Entry> {
    let blank = |index| Entry {
        log_id: LogId::new(CommittedLeaderId::new(1, 1), index),
        payload: EntryPayload::Blank,
    };
    (first..=last).map(blank).collect()
}

#[tokio::test]
async fn a_log_is_not_purged_before_the_snapshot_that_takes_its_place_is_installed() {
    for ends_well in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(directory.path()));
        let fence = Fence::new();
        let (holds, held) = watch::channel(91);
        let mut log = open_log(&*store, &fence, held.clone());
        log.blocking_append(blanks(90, 91)).await.unwrap();
        let id = |index| LogId::new(CommittedLeaderId::new(1, 1), index);
        // openraft does not wait for the state machine, and sends what follows.
        log.purge(id(97)).await.unwrap();
        let ahead = log.get_log_state().await.unwrap();
        assert_eq!(ahead.last_purged_log_id, Some(id(97)));
        let mut appending = log.clone();
        let mut appended = tokio::spawn(async move {
            let appended = appending.blocking_append(blanks(98, 98)).await;
            appended.is_ok()
        });
        let soon = Duration::from_millis(50);
        assert!(tokio::time::timeout(soon, &mut appended).await.is_err());
        let reopened = || open_log(&*store, &Fence::new(), held.clone()).ends();
        assert_eq!(reopened(), (None, Some(id(91))), "as if it had crashed");
        if ends_well {
            holds.send_replace(97);
        } else {
            fence.trip(Halt::Shutdown);
        }
        assert_eq!(appended.await.unwrap(), ends_well);
        let left = if ends_well {
            (Some(id(97)), Some(id(98)))
        } else {
            (None, Some(id(91)))
        };
        assert_eq!(reopened(), left);
    }
}

#[tokio::test]
async fn an_entry_of_a_newer_version_halts_the_replica() {
    let directory = tempfile::tempdir().unwrap();
    let fence = Fence::new();
    let (_log, mut machine, _) = open(Arc::new(MemoryStore::new(directory.path())), 1, &fence);
    let newer = Entry {
        log_id: LogId::new(CommittedLeaderId::new(1, 1), 1),
        payload: EntryPayload::Normal(Proposal::new(Bytes::from_static(&[99, 1, 2])).0),
    };
    assert!(machine.apply([newer]).await.is_err());
    assert!(matches!(
        fence.halted(),
        Some(Halt::Undecodable { index: 1, .. })
    ));
}

#[tokio::test]
async fn a_damaged_snapshot_is_not_installed() {
    let directory = tempfile::tempdir().unwrap();
    let (_log, mut machine, _) = open(
        Arc::new(MemoryStore::new(directory.path())),
        1,
        &Fence::new(),
    );
    machine
        .apply([entry(1, Change::Found(Box::new(state::testing::found())))])
        .await
        .unwrap();
    let snapshot = machine
        .get_snapshot_builder()
        .await
        .build_snapshot()
        .await
        .unwrap();
    let mut bytes = std::fs::read(&snapshot.snapshot.path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&snapshot.snapshot.path, bytes).unwrap();
    let other_directory = tempfile::tempdir().unwrap();
    let store = Arc::new(MemoryStore::new(other_directory.path()));
    let (_log, mut other, published) = open(Arc::clone(&store) as Arc<dyn Store>, 2, &Fence::new());
    assert!(
        other
            .install_snapshot(&snapshot.meta, snapshot.snapshot)
            .await
            .is_err()
    );
    assert_eq!(
        store.current_generation().unwrap(),
        None,
        "the present generation is untouched"
    );
    assert_eq!(published.state().index(), Index(0));
}
