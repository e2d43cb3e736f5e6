//! Snapshots: a state at one point of the log, as a file.
//!
//! A snapshot is streamed to a file while apply goes on: the records are a clone of
//! the persistent state, taken between two batches of apply; the bodies are
//! immutable and read from the store as the clone names them (their deletion waits,
//! see [`crate::machine`]). It is complete when it has its final name: written to a
//! temporary file with a digest at its end, fsynced, renamed, directory fsynced.
//!
//! A snapshot that was received is loaded into the next generation of the store,
//! never into the present one.

mod build;
mod file;
mod install;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use build::{Builder, Source};
pub(crate) use file::{DIGEST_BYTES, Digest, SnapshotError, digest};
pub(crate) use install::{Loaded, load, place};

use crate::store::{StoreError, directory};
use crate::types::{LogId, Snapshot, SnapshotMeta};

/// Ending of a finished snapshot's name.
const EXTENSION: &str = "snap";

/// A finished snapshot's bytes. Stays readable when the file is replaced.
#[derive(Debug, Clone)]
pub(crate) struct SnapshotFile {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<File>,
    /// Bytes of the content, without the digest that follows it.
    pub(crate) length: u64,
    /// SHA-256 of the content.
    pub(crate) digest: Digest,
}

#[derive(Debug, Clone)]
struct Current {
    meta: SnapshotMeta,
    file: SnapshotFile,
}

/// The directory of snapshots: one finished, at most a few being written.
#[derive(Debug, Clone)]
pub(crate) struct Snapshots {
    directory: PathBuf,
    current: Arc<Mutex<Option<Current>>>,
    /// A receiver found the digest wrong: the file may have rotted.
    suspect: Arc<AtomicBool>,
}

impl Snapshots {
    /// Looks into `directory`: keeps the newest finished snapshot and removes what a
    /// crash left. `floor` is the last position that the log no longer has: an older
    /// snapshot cannot bring a follower to where the log begins, and is removed.
    pub(crate) fn open(directory: &Path, floor: Option<LogId>) -> Result<Self, SnapshotError> {
        let mut newest: Option<Current> = None;
        for path in directory::list(directory)? {
            let finished = path
                .extension()
                .is_some_and(|extension| extension == EXTENSION);
            let found = if finished { readable(&path) } else { None };
            match found {
                Some((meta, file))
                    if meta.last_log_id >= floor
                        && newest
                            .as_ref()
                            .is_none_or(|newest| newest.meta.last_log_id < meta.last_log_id) =>
                {
                    if let Some(older) = newest.replace(Current { meta, file }) {
                        directory::remove(&older.file.path)?;
                    }
                }
                _ => directory::remove(&path)?,
            }
        }
        Ok(Self {
            directory: directory.to_owned(),
            current: Arc::new(Mutex::new(newest)),
            suspect: Arc::default(),
        })
    }

    /// The finished snapshot.
    pub(crate) fn current(&self) -> Option<Snapshot> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(|current| Snapshot {
            meta: current.meta.clone(),
            snapshot: Box::new(current.file.clone()),
        })
    }

    /// Bytes of the finished snapshot; 0 if there is none.
    pub(crate) fn length(&self) -> u64 {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map_or(0, |current| current.file.length)
    }

    /// Somebody who received the present snapshot found it damaged.
    pub(crate) fn doubt(&self) {
        self.suspect.store(true, Ordering::Relaxed);
    }

    /// Whether a new one is wanted, because the present one is doubted.
    pub(crate) fn is_doubted(&self) -> bool {
        self.suspect.load(Ordering::Relaxed)
    }

    /// A name for a snapshot that is being written.
    pub(crate) fn temporary(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.tmp"))
    }

    /// Gives the complete, fsynced file at `temporary` its final name and removes
    /// the one before; unless that is newer, then `temporary` is removed.
    pub(crate) fn publish(
        &self,
        meta: &SnapshotMeta,
        mut file: SnapshotFile,
    ) -> Result<SnapshotFile, StoreError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current
            .as_ref()
            .is_some_and(|current| current.meta.last_log_id > meta.last_log_id)
        {
            directory::remove(&file.path)?;
            return Ok(file);
        }
        let path = self
            .directory
            .join(format!("{}.{EXTENSION}", meta.snapshot_id));
        directory::publish(&file.path, &path)?;
        file.path = path;
        self.suspect.store(false, Ordering::Relaxed);
        let older = current.replace(Current {
            meta: meta.clone(),
            file: file.clone(),
        });
        if let Some(older) = older
            && older.file.path != file.path
        {
            directory::remove(&older.file.path)?;
        }
        Ok(file)
    }
}

/// The finished file at `path`, unless its head is damaged: then it is as good as
/// none, and openraft asks for a new one if the log needs it.
fn readable(path: &Path) -> Option<(SnapshotMeta, SnapshotFile)> {
    match file::open(path) {
        Ok(found) => Some(found),
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "a snapshot cannot be read and is removed");
            None
        }
    }
}
