//! Entries to what reads a peer's or a disk's bytes behind private doors, for `tests/fuzz`.
//! The feature of this name adds them and changes nothing.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use openraft::EntryPayload;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest, VoteResponse};
use serde::Serialize;
use serde::de::DeserializeOwned;
use state::State;

use crate::snapshot::{self, SnapshotFile, digest};
use crate::store::{MemoryStore, Store as _};
use crate::types::{Entry, LogId, SnapshotMeta, StoredMembership, TypeConfig, Vote};
use crate::wire;

/// The state in a snapshot's content with a right digest, as a peer could send it; `path`
/// is where its file is written.
///
/// # Errors
///
/// Why it cannot be installed.
pub fn install(content: &[u8], path: &Path) -> Result<State, String> {
    let fail = |error: std::io::Error| format!("the test's file: {error}");
    fs::write(path, content).map_err(fail)?;
    let mut hash = Context::new(&SHA256);
    hash.update(content);
    let file = SnapshotFile {
        path: path.to_owned(),
        file: Arc::new(File::open(path).map_err(fail)?),
        length: content.len() as u64,
        digest: digest(hash),
    };
    let store = MemoryStore::new(path.parent().unwrap_or(path));
    let database = store
        .open_generation(1)
        .map_err(|error| error.to_string())?;
    let loaded = snapshot::load(&file, &*database, |_, _| Ok(()));
    loaded
        .map(|loaded| loaded.state)
        .map_err(|error| error.to_string())
}

/// What a log's entry holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// Nothing.
    Blank,
    /// A batch of `state`.
    Batch(Bytes),
    /// A membership.
    Membership,
}

/// Reads an entry of the log as it stands on disk, and answers with what it holds and with
/// its bytes written again.
pub fn entry(stored: &[u8]) -> Option<(Held, Vec<u8>)> {
    let entry: Entry = wire::from_stored(stored).ok()?;
    let again = wire::to_stored(&entry).ok()?;
    let held = match entry.payload {
        EntryPayload::Blank => Held::Blank,
        EntryPayload::Normal(proposal) => Held::Batch(proposal.batch().clone()),
        EntryPayload::Membership(_) => Held::Membership,
    };
    Some((held, again))
}

/// How many kinds of value [`again`] knows.
pub const KINDS: u8 = 8;

/// Reads what is stored or sent as the value of a kind, and answers with its bytes written
/// again.
pub fn again(kind: u8, stored: &[u8]) -> Option<Vec<u8>> {
    match kind % KINDS {
        0 => written_again::<Vote>(stored),
        1 => written_again::<LogId>(stored),
        2 => written_again::<StoredMembership>(stored),
        3 => written_again::<SnapshotMeta>(stored),
        4 => written_again::<AppendEntriesRequest<TypeConfig>>(stored),
        5 => written_again::<AppendEntriesResponse<u64>>(stored),
        6 => written_again::<VoteRequest<u64>>(stored),
        _ => written_again::<VoteResponse<u64>>(stored),
    }
}

fn written_again<T: Serialize + DeserializeOwned>(stored: &[u8]) -> Option<Vec<u8>> {
    let value: T = wire::from_stored(stored).ok()?;
    wire::to_stored(&value).ok()
}
