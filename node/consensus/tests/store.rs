//! Every engine keeps the same promises.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, not only tests, fail by panicking"
)]

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use consensus::store::{Batch, Database, DiskStore, Engine, MemoryStore, Store, StoreError, Tree};

type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// Runs `body` on each kind of store, each in an empty directory.
fn on_every_store(body: impl Fn(&dyn Store)) {
    for engine in [Engine::Sled, Engine::Redb] {
        let directory = tempfile::tempdir().unwrap();
        body(&DiskStore::new(directory.path(), engine).unwrap());
    }
    let directory = tempfile::tempdir().unwrap();
    body(&MemoryStore::new(directory.path()));
}

fn put(database: &dyn Database, pairs: &[(&[u8], &[u8])]) {
    let mut batch = Batch::new();
    for (key, value) in pairs {
        batch.put(*key, *value);
    }
    database.write_atomic(Tree::Records, &batch).unwrap();
}

fn keys(database: &dyn Database, (from, to): Bounds<'_>) -> Vec<Vec<u8>> {
    database
        .range(Tree::Records, from, to)
        .unwrap()
        .map(|pair| pair.unwrap().0)
        .collect()
}

#[test]
fn what_was_written_is_read_in_order() {
    on_every_store(|store| {
        let database = store.open_log().unwrap();
        put(
            database.as_ref(),
            &[
                (b"b", b"2"),
                (b"a", b"1"),
                (b"", b"0"),
                (b"a\0", b"1+"),
                (b"\xff\xff", b"3"),
            ],
        );
        assert_eq!(database.get(Tree::Records, b"a").unwrap().unwrap(), b"1");
        assert_eq!(database.get(Tree::Records, b"c").unwrap(), None);
        assert_eq!(database.get(Tree::Bodies, b"a").unwrap(), None);
        let all: Bounds<'_> = (Bound::Unbounded, Bound::Unbounded);
        assert_eq!(
            keys(database.as_ref(), all),
            [&b""[..], b"a", b"a\0", b"b", b"\xff\xff"]
        );
        let some: Bounds<'_> = (Bound::Excluded(b"a"), Bound::Included(b"b"));
        assert_eq!(keys(database.as_ref(), some), [&b"a\0"[..], b"b"]);
        let none: Bounds<'_> = (Bound::Included(b"b"), Bound::Excluded(b"b"));
        assert!(keys(database.as_ref(), none).is_empty());
        let last = database.last(Tree::Records).unwrap().unwrap();
        assert_eq!(last, (b"\xff\xff".to_vec(), b"3".to_vec()));
        assert_eq!(database.last(Tree::Bodies).unwrap(), None);
    });
}

#[test]
fn large_values_are_kept_replaced_and_removed() {
    on_every_store(|store| {
        let database = store.open_log().unwrap();
        let large = |seed: u8, length: usize| -> Vec<u8> {
            (0..length).map(|at| at as u8 ^ seed).collect()
        };
        for (seed, length) in [(1, 300_000), (2, 5_000), (3, 100_000)] {
            let value = large(seed, length);
            put(database.as_ref(), &[(b"k", &value), (b"l", b"after")]);
            database.flush_durable().unwrap();
            assert_eq!(database.get(Tree::Records, b"k").unwrap().unwrap(), value);
            assert_eq!(
                keys(database.as_ref(), (Bound::Unbounded, Bound::Unbounded)).len(),
                2
            );
        }
        let mut batch = Batch::new();
        batch.remove(b"k");
        batch.put(b"m", b"");
        database.write_atomic(Tree::Records, &batch).unwrap();
        assert_eq!(database.get(Tree::Records, b"k").unwrap(), None);
        assert_eq!(database.get(Tree::Records, b"m").unwrap().unwrap(), b"");
    });
}

#[test]
fn too_large_a_value_is_refused_before_anything_is_written() {
    on_every_store(|store| {
        let database = store.open_log().unwrap();
        let mut batch = Batch::new();
        batch.put(b"small", b"1");
        batch.put(b"large", vec![0; 17 * 1024 * 1024]);
        let error = database.write_atomic(Tree::Records, &batch).unwrap_err();
        assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
        assert_eq!(database.get(Tree::Records, b"small").unwrap(), None);
    });
}

fn open(directory: &Path, engine: Engine) -> Arc<dyn Database> {
    DiskStore::new(directory, engine)
        .unwrap()
        .open_log()
        .unwrap()
}

#[test]
fn what_was_flushed_is_there_after_reopening() {
    for engine in [Engine::Sled, Engine::Redb] {
        let directory = tempfile::tempdir().unwrap();
        for round in 0..5_u8 {
            let database = open(directory.path(), engine);
            assert_eq!(
                keys(database.as_ref(), (Bound::Unbounded, Bound::Unbounded)).len(),
                usize::from(round)
            );
            put(database.as_ref(), &[(&[round], &vec![round; 20_000])]);
            database.flush_durable().unwrap();
        }
    }
}

#[test]
fn a_crash_in_memory_loses_what_was_not_flushed_and_disarms_old_handles() {
    let directory = tempfile::tempdir().unwrap();
    let store = MemoryStore::new(directory.path());
    let database = store.open_log().unwrap();
    put(database.as_ref(), &[(b"kept", b"1")]);
    database.flush_durable().unwrap();
    put(database.as_ref(), &[(b"lost", b"2")]);
    store.crash();
    assert!(matches!(database.flush_durable(), Err(StoreError::Closed)));
    let reopened = store.open_log().unwrap();
    assert_eq!(
        keys(reopened.as_ref(), (Bound::Unbounded, Bound::Unbounded)),
        [b"kept"]
    );
}

#[test]
fn generations_are_apart_and_switched_in_one_step() {
    on_every_store(|store| {
        assert_eq!(store.current_generation().unwrap(), None);
        let first = store.open_generation(0).unwrap();
        put(first.as_ref(), &[(b"generation", b"0")]);
        first.flush_durable().unwrap();
        store.switch_generation(0).unwrap();
        let second = store.open_generation(1).unwrap();
        assert_eq!(second.get(Tree::Records, b"generation").unwrap(), None);
        put(second.as_ref(), &[(b"generation", b"1")]);
        second.flush_durable().unwrap();
        assert_eq!(store.current_generation().unwrap(), Some(0));
        store.switch_generation(1).unwrap();
        assert_eq!(store.current_generation().unwrap(), Some(1));
        drop(first);
        store.remove_other_generations(1).unwrap();
        assert_eq!(
            second.get(Tree::Records, b"generation").unwrap().unwrap(),
            b"1"
        );
        let again = store.open_generation(0).unwrap();
        assert_eq!(again.get(Tree::Records, b"generation").unwrap(), None);
    });
}

#[test]
fn what_was_flushed_is_there_once_the_cache_is_forgotten_and_a_probe_leaves_nothing() {
    on_every_store(|store| {
        let database = store.open_log().unwrap();
        put(database.as_ref(), &[(b"kept", b"1")]);
        database.flush_durable().unwrap();
        store.probe().unwrap();
        drop(database);
        store.forget_cached().unwrap();
        let database = store.open_log().unwrap();
        let kept = database.get(Tree::Records, b"kept").unwrap();
        assert_eq!(kept.as_deref(), Some(&b"1"[..]));
        let directory = store.snapshots();
        let beside = directory.parent().unwrap();
        assert!(!beside.join("probe").exists() && !beside.join("probe.tmp").exists());
    });
}
