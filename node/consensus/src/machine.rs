//! The state machine: entries in, records on disk, a published state out.
//!
//! One call of apply is one atomic batch: the changed records, the applied index and
//! the membership, after the bodies that the records name; flushed; then published
//! and answered. The order never varies, so a reader of the published state finds
//! every body, and an answer was durable before it was given.
//!
//! **Bodies that go.** A body that no record names any more is first only noted as
//! garbage (in the same batch). It is deleted with a batch that is a minute later at
//! least, for whoever reads by a record that was just replaced, and not while a snapshot
//! is being written, whose point in time may still name it; a note that outlives a crash
//! is found again at the next start.

mod garbage;
mod generation;
mod published;

use std::{collections::BTreeSet, sync::Arc};

use openraft::storage::RaftStateMachine;
use openraft::{AnyError, EntryPayload, OptionalSend};
use state::{Changes, Index, Outcome, State, Write, codec};

use self::garbage::Garbage;
pub(crate) use self::generation::{Generation, Handles, MachineParts, Stored};
pub(crate) use self::published::Published;
use crate::blocking;
use crate::fence::{Halt, chain};
use crate::snapshot::{Builder, Loaded, SnapshotError, SnapshotFile, Source, load, place};
use crate::store::{Batch, Tree};
use crate::types::{
    Answer, Entry, LogId, Snapshot, SnapshotMeta, StorageError, StorageIoError, StoredMembership,
    TypeConfig,
};
use crate::wire::{self, WireError};

/// Records of kind 0 are ours; the state's kinds begin at 1.
const APPLIED_KEY: &[u8] = b"\0applied";
const MEMBERSHIP_KEY: &[u8] = b"\0membership";
const GARBAGE_PREFIX: &[u8] = b"\0garbage:";

/// Bytes after which a long run of entries is written and published in between: a
/// node that catches up shows progress, and one batch stays small.
const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Most bodies deleted with one batch.
const MAX_DELETIONS: usize = 256;

/// See the module.
pub(crate) struct Machine {
    parts: MachineParts,
    state: State,
    applied: Option<LogId>,
    membership: StoredMembership,
    generation: Arc<Generation>,
    garbage: Garbage,
    published: Arc<Published>,
    next_generation: u64,
    snapshots_begun: u64,
}

/// What one batch is gathered into.
#[derive(Default)]
struct Gathered {
    records: Batch,
    bodies: Batch,
}

impl Machine {
    /// The state machine over `generation`, from which `stored` was read; shown by
    /// `published` from now on.
    pub(crate) fn new(
        parts: MachineParts,
        generation: Arc<Generation>,
        stored: Stored,
        published: Arc<Published>,
    ) -> Self {
        published.open(Arc::clone(&generation));
        published.show(&stored.state);
        Self {
            next_generation: generation.number + 1,
            parts,
            state: stored.state,
            applied: stored.applied,
            membership: stored.membership,
            generation,
            garbage: Garbage::found(stored.garbage),
            published,
            snapshots_begun: 0,
        }
    }

    /// Applies one entry in memory and gathers what it writes.
    fn take(
        &mut self,
        entry: &Entry,
        gathered: &mut Gathered,
    ) -> Result<Answer, codec::DecodeError> {
        let (outcomes, changes) = apply(&mut self.state, &mut self.membership, entry)?;
        self.gather(changes, gathered);
        self.applied = Some(entry.log_id);
        Ok(Answer { outcomes })
    }

    fn gather(&mut self, changes: Changes, gathered: &mut Gathered) {
        for write in changes.records {
            match write {
                Write::Put { key, value } => gathered.records.put(key, value),
                Write::Delete { key } => gathered.records.remove(key),
            }
        }
        for write in changes.bodies {
            match write {
                Write::Put { key, value } => {
                    if self.garbage.take_back(&key) {
                        gathered.records.remove(garbage_key(&key));
                    }
                    gathered.bodies.put(key, value);
                }
                Write::Delete { key } => {
                    gathered.records.put(garbage_key(&key), []);
                    self.garbage.note(key);
                }
            }
        }
    }

    /// Adds the deletion of garbage noted long before this batch, unless a snapshot may
    /// need it.
    fn sweep(&mut self, gathered: &mut Gathered) {
        self.garbage.ripen();
        if Arc::strong_count(&self.generation.pin) > 1 {
            return;
        }
        for _ in 0..MAX_DELETIONS {
            let Some(key) = self.garbage.pop() else {
                return;
            };
            gathered.records.remove(garbage_key(&key));
            gathered.bodies.remove(key);
        }
    }

    /// Writes what was gathered, with the position; then publishes.
    async fn write(&mut self, gathered: Gathered) -> Result<(), StorageError> {
        let Gathered {
            mut records,
            bodies,
        } = gathered;
        let failed = |error: &dyn std::fmt::Display| {
            StorageIoError::write_state_machine(AnyError::error(error.to_string()))
        };
        put_position(&mut records, self.applied, &self.membership)
            .map_err(|error| failed(&error))?;
        let steps = vec![(Tree::Bodies, bodies), (Tree::Records, records)];
        self.generation
            .writer
            .write(steps)
            .await
            .map_err(|error| failed(&error))?;
        self.published.show(&self.state);
        Ok(())
    }

    async fn install(
        &mut self,
        expected: SnapshotMeta,
        file: SnapshotFile,
    ) -> Result<(), SnapshotError> {
        let parts = self.parts.clone();
        let number = self.next_generation;
        // A number is tried once: what a failed attempt left is removed at the next start.
        self.next_generation += 1;
        let identity = parts.identity;
        let store = Arc::clone(&parts.store);
        let read = file.clone();
        let (database, loaded) = blocking::run(parts.store.blocks(), move || {
            let database = store.open_generation(number)?;
            let loaded = load(&read, &*database, |batch, meta| {
                if *meta != expected {
                    return Err(SnapshotError::Damaged(
                        "it is not the one that was announced",
                    ));
                }
                crate::identity::put_birth(batch, identity);
                put_position(batch, meta.last_log_id, &meta.last_membership)
                    .map_err(|error| SnapshotError::Undecodable(error.to_string()))
            })?;
            store.switch_generation(number)?;
            Ok::<_, SnapshotError>((database, loaded))
        })
        .await?;
        let Loaded { meta, state } = loaded;
        let generation = Arc::new(
            parts
                .generation(number, database)
                .map_err(SnapshotError::io("write"))?,
        );
        self.parts.snapshots.publish(&meta, file)?;
        self.state = state;
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership;
        self.garbage = Garbage::found(BTreeSet::new());
        self.published.open(Arc::clone(&generation));
        let old = std::mem::replace(&mut self.generation, generation);
        self.published.show(&self.state);
        let (store, fence) = (Arc::clone(&self.parts.store), self.parts.fence.clone());
        tokio::spawn(generation::retire(old, store, number, fence));
        tracing::info!(
            snapshot = meta.snapshot_id,
            generation = number,
            "snapshot installed"
        );
        Ok(())
    }
}

/// Applies one entry to a state and its membership.
pub(crate) fn apply(
    state: &mut State,
    membership: &mut StoredMembership,
    entry: &Entry,
) -> Result<(Vec<Outcome>, Changes), codec::DecodeError> {
    let index = Index(entry.log_id.index);
    match &entry.payload {
        EntryPayload::Blank => state.advance(index),
        EntryPayload::Normal(proposal) => {
            return Ok(state.apply(index, &codec::batch_from(proposal.batch())?));
        }
        EntryPayload::Membership(changed) => {
            *membership = StoredMembership::new(Some(entry.log_id), changed.clone());
            place(state, index.0, membership);
        }
    }
    Ok((Vec::new(), Changes::default()))
}

fn garbage_key(body: &[u8]) -> Vec<u8> {
    [GARBAGE_PREFIX, body].concat()
}

/// Adds the applied index and the membership.
fn put_position(
    batch: &mut Batch,
    applied: Option<LogId>,
    membership: &StoredMembership,
) -> Result<(), WireError> {
    batch.put(APPLIED_KEY, wire::to_stored(&applied)?);
    batch.put(MEMBERSHIP_KEY, wire::to_stored(membership)?);
    Ok(())
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Answer>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        // Gathered first, because an iterator of openraft need not be Send.
        let entries: Vec<Entry> = entries.into_iter().collect();
        let mut answers = Vec::with_capacity(entries.len());
        let mut gathered = Gathered::default();
        self.sweep(&mut gathered);
        for entry in &entries {
            let answer = self.take(entry, &mut gathered).map_err(|error| {
                // Never skipped: this state would differ from the others'.
                let reason = error.to_string();
                self.parts.fence.trip(Halt::Undecodable {
                    index: entry.log_id.index,
                    reason,
                });
                StorageIoError::apply(entry.log_id, AnyError::new(&error))
            })?;
            answers.push(answer);
            if gathered.records.bytes() + gathered.bodies.bytes() >= MAX_BATCH_BYTES {
                self.write(std::mem::take(&mut gathered)).await?;
            }
        }
        self.write(gathered).await?;
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        self.snapshots_begun += 1;
        let index = self.applied.map_or(0, |applied| applied.index);
        let node = self.parts.identity.node;
        Builder {
            source: Source {
                meta: SnapshotMeta {
                    last_log_id: self.applied,
                    last_membership: self.membership.clone(),
                    snapshot_id: format!("{index:020}-{node}-{}", self.snapshots_begun),
                },
                state: self.state.clone(),
                database: Arc::clone(&self.generation.database),
                pin: Arc::clone(&self.generation.pin),
            },
            snapshots: self.parts.snapshots.clone(),
            blocks: self.parts.store.blocks(),
            fence: self.parts.fence.clone(),
        }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<SnapshotFile>, StorageError> {
        // The transport writes what it receives to a file of its own. openraft's test
        // suite asks for a blank and fills it in.
        let blank = std::fs::File::open(self.parts.store.snapshots())
            .map_err(|error| StorageIoError::write_snapshot(None, AnyError::new(&error)))?;
        Ok(Box::new(SnapshotFile {
            path: self.parts.store.snapshots(),
            file: Arc::new(blank),
            length: 0,
            digest: [0; 32],
        }))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<SnapshotFile>,
    ) -> Result<(), StorageError> {
        self.install(meta.clone(), *snapshot)
            .await
            .map_err(|error| {
                let reason = chain(&error);
                self.parts.fence.trip(match &error {
                    SnapshotError::Undecodable(_) => Halt::Undecodable {
                        index: meta.last_log_id.map_or(0, |last| last.index),
                        reason,
                    },
                    _ => Halt::Store {
                        database: "snapshot",
                        reason,
                    },
                });
                StorageIoError::write_snapshot(Some(meta.signature()), AnyError::new(&error)).into()
            })
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, StorageError> {
        Ok(self.parts.snapshots.current())
    }
}
