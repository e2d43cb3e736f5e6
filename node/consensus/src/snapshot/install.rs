//! Loading a snapshot into a new generation of the store.

use std::collections::BTreeSet;

use state::codec::Loader;
use state::{Index, NodeId, State};

use super::file::FileReader;
use super::{SnapshotError, SnapshotFile};
use crate::store::{Batch, Database, Tree};
use crate::types::{SnapshotMeta, StoredMembership};

/// Bytes written between two batches: bounds the memory of a load.
const BATCH_BYTES: usize = 1024 * 1024;

/// What was loaded.
pub(crate) struct Loaded {
    pub(crate) meta: SnapshotMeta,
    pub(crate) state: State,
}

/// Loads `file` into `database`, which is empty and not current, and checks every
/// byte on the way. `last` is added to the last batch. When it returns, all is
/// durable.
pub(crate) fn load(
    file: &SnapshotFile,
    database: &dyn Database,
    last: impl FnOnce(&mut Batch, &SnapshotMeta) -> Result<(), SnapshotError>,
) -> Result<Loaded, SnapshotError> {
    let (meta, mut reader) = FileReader::open(file)?;
    let mut loader = Loader::default();
    let mut records = Batch::new();
    let mut bodies = Batch::new();
    while let Some((tree, (key, value))) = reader.next()? {
        let batch = if tree == Tree::Bodies {
            &mut bodies
        } else {
            loader.take(key.clone(), value.clone())?;
            &mut records
        };
        batch.put(key, value);
        if batch.bytes() >= BATCH_BYTES {
            database.write_atomic(tree, &std::mem::take(batch))?;
        }
    }
    let mut state = loader.finish()?;
    last(&mut records, &meta)?;
    database.write_atomic(Tree::Bodies, &bodies)?;
    database.write_atomic(Tree::Records, &records)?;
    database.flush_durable()?;
    place(
        &mut state,
        meta.last_log_id.map_or(0, |last| last.index),
        &meta.last_membership,
    );
    Ok(Loaded { meta, state })
}

/// Tells a state that was loaded where it stands.
pub(crate) fn place(state: &mut State, index: u64, membership: &StoredMembership) {
    let voters: BTreeSet<NodeId> = membership.membership().voter_ids().map(NodeId).collect();
    let learners = membership.membership().learner_ids().map(NodeId).collect();
    state.set_membership(Index(index), voters, learners);
}
