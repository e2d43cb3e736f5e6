//! What openraft is asked to agree on. No type of openraft leaves this crate.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use state::Outcome;

use crate::runtime::Runtime;
use crate::snapshot::SnapshotFile;

openraft::declare_raft_types!(
    /// openraft with our types in it.
    pub(crate) TypeConfig:
        D            = Proposal,
        R            = Answer,
        NodeId       = u64,
        Node         = Peer,
        Entry        = openraft::Entry<TypeConfig>,
        SnapshotData = SnapshotFile,
        AsyncRuntime = Runtime,
        Responder    = openraft::impls::OneshotResponder<TypeConfig>,
);

pub(crate) type Raft = openraft::Raft<TypeConfig>;
pub(crate) type Entry = openraft::Entry<TypeConfig>;
pub(crate) type LogId = openraft::LogId<u64>;
pub(crate) type Vote = openraft::Vote<u64>;
pub(crate) type StoredMembership = openraft::StoredMembership<u64, Peer>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<u64, Peer>;
pub(crate) type Snapshot = openraft::Snapshot<TypeConfig>;
pub(crate) type StorageError = openraft::StorageError<u64>;
pub(crate) type StorageIoError = openraft::StorageIOError<u64>;
pub(crate) type Metrics = openraft::RaftMetrics<u64, Peer>;

/// Where a member listens for its peers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Peer {
    /// host:port.
    pub(crate) address: String,
}

/// One entry's commands: a `state` batch in its versioned bytes.
#[derive(Clone, Default)]
pub(crate) struct Proposal {
    batch: Bytes,
    /// Set once the entry stands in this node's own log. A proposal that openraft
    /// turned away before that was certainly not proposed. Does not travel.
    appended: Option<Arc<AtomicBool>>,
}

impl Proposal {
    /// A proposal, and what says whether it got into the log.
    pub(crate) fn new(batch: Bytes) -> (Self, Arc<AtomicBool>) {
        let appended = Arc::new(AtomicBool::new(false));
        (
            Self {
                batch,
                appended: Some(Arc::clone(&appended)),
            },
            appended,
        )
    }

    pub(crate) const fn batch(&self) -> &Bytes {
        &self.batch
    }

    /// The log is about to hold it.
    pub(crate) fn appended(&self) {
        if let Some(appended) = &self.appended {
            appended.store(true, Ordering::Release);
        }
    }
}

/// Shows the length only: commands carry sealed secrets and names.
impl fmt::Debug for Proposal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Proposal({} bytes)", self.batch.len())
    }
}

impl Serialize for Proposal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.batch)
    }
}

impl<'de> Deserialize<'de> for Proposal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(AsBytes)
    }
}

struct AsBytes;

impl Visitor<'_> for AsBytes {
    type Value = Proposal;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the bytes of a batch")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Proposal, E> {
        Ok(Proposal {
            batch: Bytes::copy_from_slice(bytes),
            appended: None,
        })
    }
}

/// What became of an entry's commands, in their order; empty for Raft's own
/// entries. Stays within the process.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Answer {
    #[serde(skip)]
    pub(crate) outcomes: Vec<Outcome>,
}
