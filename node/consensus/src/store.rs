//! Where a replica keeps what it must not lose.
//!
//! A [`Store`] opens two kinds of database and remembers two facts beside them:
//!
//! - the **log** database: Raft's log and its hard state;
//! - one **generation** of the state: the records, and the bodies that they name.
//!   A snapshot is never installed in place: it is loaded into the next
//!   generation, and one durable pointer switches over;
//! - the pointer to the current generation;
//! - the [`Identity`] marker, kept outside the databases, so that a database
//!   that comes back empty is noticed (see [`crate::identity`]).
//!
//! What is written is visible to readers at once and survives a power cut only
//! after [`Database::flush_durable`] returned. Nothing else promises that; in
//! particular no engine's own idea of "flush" is trusted (sled's does not reach
//! the disk).
//!
//! One thread writes a database ([`crate::writer`]); any number read it.

mod chunk;
pub(crate) mod directory;
mod disk;
mod memory;
mod redb;
mod reserve;
mod sled;

use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use disk::{DiskStore, Engine};
pub use memory::MemoryStore;

use crate::identity::Identity;

/// A named, ordered map of bytes to bytes within a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tree {
    /// Raft's log: big-endian index to entry.
    Log,
    /// Raft's hard state: vote, purge mark, birth record.
    Hard,
    /// The state's records under a one-byte kind prefix, the applied index and the
    /// membership among them: one tree, because a batch is atomic only within one.
    Records,
    /// What the records name by id: chains, sealed keys, events. Apart, so that
    /// scanning the records reads nothing else.
    Bodies,
}

impl Tree {
    /// All trees, for engines that create them in advance.
    pub const ALL: [Self; 4] = [Self::Log, Self::Hard, Self::Records, Self::Bodies];

    /// Its name on disk; never changed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Hard => "hs",
            Self::Records => "records",
            Self::Bodies => "bodies",
        }
    }
}

/// One change of a [`Batch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Write `value` under `key`, replacing what was there.
    Put {
        /// At most [`MAX_KEY_BYTES`].
        key: Vec<u8>,
        /// At most [`MAX_VALUE_BYTES`].
        value: Vec<u8>,
    },
    /// Remove `key`, if it is there.
    Remove {
        /// The key.
        key: Vec<u8>,
    },
}

/// Longest key: far above any of ours, far below what makes sled's pages grow
/// beyond what it keeps in its one file.
pub const MAX_KEY_BYTES: usize = 1024;

/// Largest value: a whole proposal of the coalescer with room to spare.
pub const MAX_VALUE_BYTES: usize = 16 * 1024 * 1024;

/// Changes of one tree that happen together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    changes: Vec<Change>,
    bytes: usize,
}

impl Batch {
    /// A batch without changes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a write.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        let (key, value) = (key.into(), value.into());
        self.bytes += key.len() + value.len();
        self.changes.push(Change::Put { key, value });
    }

    /// Adds a removal.
    pub fn remove(&mut self, key: impl Into<Vec<u8>>) {
        let key = key.into();
        self.bytes += key.len();
        self.changes.push(Change::Remove { key });
    }

    /// Its changes, in the order in which they were added; a later one wins.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Bytes of all its keys and values.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it changes nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Refuses keys and values beyond the limits, before an engine sees them.
    fn check(&self) -> Result<(), StoreError> {
        for change in &self.changes {
            let (key, value) = match change {
                Change::Put { key, value } => (key.len(), value.len()),
                Change::Remove { key } => (key.len(), 0),
            };
            if key > MAX_KEY_BYTES || value > MAX_VALUE_BYTES {
                return Err(StoreError::TooLarge { key, value });
            }
        }
        Ok(())
    }
}

/// A key with its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Pairs in ascending order of their keys. Not a point in time: what is written
/// meanwhile may or may not be seen, except where the caller is the one writer.
pub type Scan = Box<dyn Iterator<Item = Result<Pair, StoreError>> + Send>;

/// One open database.
///
/// Every method may block on the disk; [`crate::writer::Writer`] and blocking
/// threads call them, never an async task.
pub trait Database: Send + Sync {
    /// The value under `key`.
    ///
    /// # Errors
    ///
    /// When the engine cannot read.
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The pairs between two bounds, ascending.
    ///
    /// # Errors
    ///
    /// When the engine cannot read.
    fn range(&self, tree: Tree, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<Scan, StoreError>;

    /// The pair with the greatest key.
    ///
    /// # Errors
    ///
    /// When the engine cannot read.
    fn last(&self, tree: Tree) -> Result<Option<Pair>, StoreError>;

    /// Makes all changes visible, together or not at all, also after a crash.
    /// They survive a power cut only after [`Database::flush_durable`].
    ///
    /// # Errors
    ///
    /// When a key or value is too large, or the engine cannot write. After an
    /// error the database is not to be written again.
    fn write_atomic(&self, tree: Tree, batch: &Batch) -> Result<(), StoreError>;

    /// Returns when all that was written before is on stable storage.
    ///
    /// # Errors
    ///
    /// When it may not be; then nothing written since the last success may be
    /// acknowledged, and trying again proves nothing (the kernel reports a failed
    /// write once).
    fn flush_durable(&self) -> Result<(), StoreError>;

    /// How long the next flush takes, for a store that does not block (see
    /// [`Store::blocks`]): the writer waits so long, in the runtime's time, between
    /// the write and its flush, so that a crash in between loses the write. A store
    /// that blocks takes its time in [`Database::flush_durable`] and is not asked.
    fn flush_takes(&self) -> Duration {
        Duration::ZERO
    }
}

/// Opens databases, and keeps the facts beside them.
pub trait Store: Send + Sync + 'static {
    /// Opens Raft's log and hard state, creating them if absent.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, or the engine finds it damaged.
    fn open_log(&self) -> Result<Arc<dyn Database>, StoreError>;

    /// Opens generation `generation` of the state, creating it if absent.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, or the engine finds it damaged.
    fn open_generation(&self, generation: u64) -> Result<Arc<dyn Database>, StoreError>;

    /// The generation that holds the state; `None` before there is one.
    ///
    /// # Errors
    ///
    /// When the pointer cannot be read.
    fn current_generation(&self) -> Result<Option<u64>, StoreError>;

    /// Makes `generation` the current one, durably, in one step.
    ///
    /// # Errors
    ///
    /// When it cannot be made durable; then either may be current.
    fn switch_generation(&self, generation: u64) -> Result<(), StoreError>;

    /// Removes every generation but `keep`. They must not be open.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read or changed.
    fn remove_other_generations(&self, keep: u64) -> Result<(), StoreError>;

    /// Removes the generations older than `keep`. They must not be open.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read or changed.
    fn remove_generations_before(&self, keep: u64) -> Result<(), StoreError>;

    /// The identity marker; `None` before the first start.
    ///
    /// # Errors
    ///
    /// When it cannot be read or makes no sense.
    fn identity(&self) -> Result<Option<Identity>, StoreError>;

    /// Writes the identity marker durably.
    ///
    /// # Errors
    ///
    /// When it cannot be made durable.
    fn write_identity(&self, identity: &Identity) -> Result<(), StoreError>;

    /// Whether the disk takes writes again: makes a small write durable beside the
    /// databases, which may be open, and takes it back.
    ///
    /// # Errors
    ///
    /// When it is not durable, or there is no room to go on.
    fn probe(&self) -> Result<(), StoreError>;

    /// From now on reads see what the device holds, and nothing that a failed write
    /// left in memory. No database may be open. Reads all that is there, once.
    ///
    /// # Errors
    ///
    /// When what is still unwritten cannot be made durable, or anything cannot be read.
    fn forget_cached(&self) -> Result<(), StoreError>;

    /// Where snapshot files are kept; exists.
    fn snapshots(&self) -> PathBuf;

    /// Whether its calls block on a disk, so that they belong on threads of their
    /// own. A store in memory answers `false` and is then called inline, which
    /// keeps a simulation on its one thread and so repeatable.
    fn blocks(&self) -> bool {
        true
    }
}

/// Why a store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file operation failed.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// Writing on would fill the disk.
    #[error(
        "the disk of {} is nearly full: {free} bytes are free and {reserve} must stay so; make \
         room, and it goes on by itself", path.display()
    )]
    NearlyFull {
        /// Where.
        path: PathBuf,
        /// Bytes that are free.
        free: u64,
        /// Bytes that must stay free.
        reserve: u64,
    },
    /// The engine failed at a read or write.
    #[error("the database engine failed to {action}")]
    Engine {
        /// What was tried.
        action: &'static str,
        /// What the engine answered.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The engine panicked.
    #[error("the database engine panicked while it was to {action}: {message}")]
    Panicked {
        /// What was tried.
        action: &'static str,
        /// The panic's message.
        message: String,
    },
    /// The bytes found are not what was written.
    #[error("{what} is damaged: {reason}")]
    Damaged {
        /// Of what.
        what: String,
        /// Why.
        reason: String,
    },
    /// A key or value is beyond the limits of this module.
    #[error("a key of {key} bytes with a value of {value} bytes is too large for the store")]
    TooLarge {
        /// Bytes of the key.
        key: usize,
        /// Bytes of the value.
        value: usize,
    },
    /// Somebody has it open: another process, or this one a moment ago.
    #[error("{} is in use; does another process run on this data directory?", path.display())]
    Busy {
        /// The database's directory.
        path: PathBuf,
    },
    /// The store was closed under its reader: a simulated crash.
    #[error("the store has been closed")]
    Closed,
}

impl StoreError {
    fn engine(
        action: &'static str,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::Engine {
            action,
            source: Box::new(source),
        }
    }

    fn file(action: &'static str, path: &std::path::Path, source: std::io::Error) -> Self {
        Self::File {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

impl From<StoreError> for std::io::Error {
    fn from(error: StoreError) -> Self {
        Self::other(error)
    }
}
