//! A snapshot as it comes in: to a file of its own, checked, then installed.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use proto::peer::v1::snapshot_part::Part;
use proto::peer::v1::{SnapshotHeader, SnapshotPart};
use tonic::{Status, Streaming};

use crate::blocking;
use crate::fence::Halt;
use crate::run::Shared;
use crate::snapshot::{DIGEST_BYTES, Digest, SnapshotFile, digest};
use crate::store::directory;
use crate::transport::SNAPSHOT_IDLE;
use crate::types::{Snapshot, SnapshotMeta, Vote};
use crate::wire;

/// Names files of snapshots that come in.
static RECEIVED: AtomicU64 = AtomicU64::new(0);

/// The first part.
pub(crate) async fn header(parts: &mut Streaming<SnapshotPart>) -> Result<SnapshotHeader, Status> {
    match next(parts).await? {
        Some(Part::Header(header)) => Ok(header),
        _ => Err(Status::invalid_argument(
            "a snapshot begins with its header",
        )),
    }
}

/// Takes the rest in and has Raft install it. Answers with Raft's vote.
pub(crate) async fn receive(
    shared: &Shared,
    header: SnapshotHeader,
    mut parts: Streaming<SnapshotPart>,
) -> Result<Vote, Status> {
    let Ok(one) = Arc::clone(&shared.receiving).try_acquire_owned() else {
        return Err(Status::resource_exhausted(
            "another snapshot is being received",
        ));
    };
    let nonsense = |error: wire::WireError| Status::invalid_argument(error.to_string());
    let vote: Vote = wire::from_sent(header.version, &header.vote).map_err(nonsense)?;
    let meta: SnapshotMeta = wire::from_sent(header.version, &header.meta).map_err(nonsense)?;
    let number = RECEIVED.fetch_add(1, Ordering::Relaxed);
    let path = shared.snapshots.temporary(&format!("received-{number}"));
    let incoming = Incoming::create(path, shared.blocks).map_err(|error| full(shared, &error))?;
    let expected: Digest = header.digest[..].try_into().map_err(|_| {
        Status::invalid_argument(format!("the digest is not {DIGEST_BYTES} bytes long"))
    })?;
    let incoming = fill(shared, incoming, &header, expected, &mut parts).await?;
    let file = incoming.file().map_err(|error| full(shared, &error))?;
    let snapshot = SnapshotFile {
        path: incoming.path.clone(),
        file,
        length: header.length,
        digest: expected,
    };
    let snapshot = Snapshot {
        meta,
        snapshot: Box::new(snapshot),
    };
    let raft = shared.raft.clone();
    // In a task of its own: the sender may give up at any time, as when the membership
    // changes meanwhile, and the file must be there until Raft is done with it.
    let installing = tokio::spawn(async move {
        let installed = raft.install_full_snapshot(vote, snapshot).await;
        // The state machine has renamed it, unless Raft had no use for it.
        drop((incoming, one));
        installed
    });
    let ended =
        |error: &dyn std::error::Error| Status::unavailable(format!("raft has stopped: {error}"));
    let installed = installing.await.map_err(|error| ended(&error))?;
    let installed = installed.map_err(|error| ended(&error))?;
    Ok(installed.vote)
}

/// Writes all chunks, checks length and digest, makes the file durable.
async fn fill(
    shared: &Shared,
    mut incoming: Incoming,
    header: &SnapshotHeader,
    expected: Digest,
    parts: &mut Streaming<SnapshotPart>,
) -> Result<Incoming, Status> {
    let mut received = 0;
    while received < header.length {
        let Some(Part::Chunk(chunk)) = next(parts).await? else {
            return Err(Status::data_loss("the snapshot ended early"));
        };
        received += chunk.len() as u64;
        if received > header.length {
            return Err(Status::data_loss("the snapshot is longer than announced"));
        }
        incoming = incoming
            .write(chunk)
            .await
            .map_err(|error| full(shared, &error))?;
    }
    if digest(incoming.hash.clone()) != expected {
        return Err(Status::data_loss("the snapshot's digest does not match"));
    }
    incoming
        .finish(expected)
        .await
        .map_err(|error| full(shared, &error))
}

async fn next(parts: &mut Streaming<SnapshotPart>) -> Result<Option<Part>, Status> {
    let part = tokio::time::timeout(SNAPSHOT_IDLE, parts.message()).await;
    let part =
        part.map_err(|_| Status::deadline_exceeded("no part of the snapshot came for too long"))??;
    Ok(part.and_then(|part| part.part))
}

/// A disk that cannot take a snapshot cannot be relied on for the log either.
fn full(shared: &Shared, error: &std::io::Error) -> Status {
    shared.fence.trip(Halt::Store {
        database: "snapshot",
        reason: error.to_string(),
    });
    Status::unavailable("the snapshot could not be written")
}

/// The file that is being filled; removed when dropped, unless it was renamed.
struct Incoming {
    path: PathBuf,
    output: File,
    hash: Context,
    blocks: bool,
}

impl Incoming {
    fn create(path: PathBuf, blocks: bool) -> std::io::Result<Self> {
        let output = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)?;
        Ok(Self {
            path,
            output,
            hash: Context::new(&SHA256),
            blocks,
        })
    }

    async fn write(mut self, chunk: Bytes) -> std::io::Result<Self> {
        blocking::run(self.blocks, move || {
            self.hash.update(&chunk);
            self.append(&chunk)?;
            Ok(self)
        })
        .await
    }

    async fn finish(mut self, digest: Digest) -> std::io::Result<Self> {
        blocking::run(self.blocks, move || {
            self.append(&digest)?;
            self.output.sync_all()?;
            Ok(self)
        })
        .await
    }

    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.output.write_all(bytes)
    }

    /// A handle for readers.
    fn file(&self) -> std::io::Result<Arc<File>> {
        File::open(&self.path).map(Arc::new)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let path: &Path = &self.path;
        // A leftover is removed at the next start.
        let _ = directory::remove(path);
    }
}
