//! Writing a snapshot while apply goes on.

use std::sync::Arc;

use openraft::{AnyError, RaftSnapshotBuilder};
use state::State;

use super::file::FileWriter;
use super::{SnapshotError, SnapshotFile, Snapshots};
use crate::blocking;
use crate::fence::{Fence, Halt, chain};
use crate::store::{Database, Tree};
use crate::types::{Snapshot, SnapshotMeta, StorageError, StorageIoError, TypeConfig};

/// A point in time: the state as it was, and where its bodies are.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) meta: SnapshotMeta,
    pub(crate) state: State,
    pub(crate) database: Arc<dyn Database>,
    /// While a clone of it lives, no body is deleted.
    pub(crate) pin: Arc<()>,
}

/// Builds one snapshot.
pub(crate) struct Builder {
    pub(crate) source: Source,
    pub(crate) snapshots: Snapshots,
    pub(crate) blocks: bool,
    pub(crate) fence: Fence,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    async fn build_snapshot(&mut self) -> Result<Snapshot, StorageError> {
        let (source, snapshots) = (self.source.clone(), self.snapshots.clone());
        let meta = source.meta.clone();
        let built = blocking::run(self.blocks, move || build(&source, &snapshots)).await;
        match built {
            Ok(file) => Ok(Snapshot {
                meta,
                snapshot: Box::new(file),
            }),
            Err(error) => {
                // A disk that is full for a snapshot is full for the log, too.
                self.fence.trip(Halt::Store {
                    database: "snapshot",
                    reason: chain(&error),
                });
                Err(
                    StorageIoError::write_snapshot(Some(meta.signature()), AnyError::new(&error))
                        .into(),
                )
            }
        }
    }
}

fn build(source: &Source, snapshots: &Snapshots) -> Result<SnapshotFile, SnapshotError> {
    let path = snapshots.temporary(&source.meta.snapshot_id);
    let mut writer = FileWriter::create(&path, &source.meta)?;
    for (key, value) in source.state.records() {
        writer.pair(Tree::Records, &key, &value)?;
    }
    for key in source.state.body_keys() {
        let body = source.database.get(Tree::Bodies, &key)?;
        let body = body.ok_or(SnapshotError::Damaged(
            "the store lacks a body that the state names",
        ))?;
        writer.pair(Tree::Bodies, &key, &body)?;
    }
    let file = writer.finish(&path)?;
    let file = snapshots.publish(&source.meta, file)?;
    tracing::info!(
        snapshot = source.meta.snapshot_id,
        bytes = file.length,
        "snapshot written"
    );
    // Only now may bodies be deleted.
    let _: &Arc<()> = &source.pin;
    Ok(file)
}
