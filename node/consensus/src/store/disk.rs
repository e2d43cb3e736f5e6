//! A store in a directory, on either engine.
//!
//! ```text
//! <directory>/
//!   identity            the marker; written last, when all else is durable
//!   raft/               log and hard state
//!   state/current       the number of the current generation
//!   state/<number>/     one generation of the state
//!   snapshots/          finished snapshots, and those being written (*.tmp)
//!   probe               for a moment, when a disk that failed is tried again
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::redb::RedbDatabase;
use super::reserve::{self, RESERVE_BYTES, Reserved};
use super::sled::SledDatabase;
use super::{Database, Store, StoreError, directory};
use crate::identity::Identity;

/// Memory for pages of the state's database. Small, because the records are in
/// memory anyway and the edge caches parsed keys; 64 MB was enough in tests with a
/// million records.
const STATE_CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// Memory for pages of the log: what followers are behind by is a few MB.
const LOG_CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// What must be free before writing begins again: twice what ends it, so that a node
/// on the brink does not stop and go.
const RESUME_BYTES: u64 = 2 * RESERVE_BYTES;

/// What a probe writes: a page, so that a block is written and not only a name.
const PROBE: [u8; 4096] = [0x70; 4096];

/// How often, and how far apart, a database in use is tried.
const BUSY_ATTEMPTS: u32 = 100;
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// What keeps the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Engine {
    /// sled 0.34.7 with our own fdatasync.
    #[default]
    Sled,
    /// redb 4.
    Redb,
}

/// A [`Store`] in a directory of its own. One process may have it open.
#[derive(Debug)]
pub struct DiskStore {
    directory: PathBuf,
    engine: Engine,
}

impl DiskStore {
    /// The store in `directory`, which is created, durably, if absent.
    ///
    /// # Errors
    ///
    /// When the directories cannot be created.
    pub fn new(directory: impl Into<PathBuf>, engine: Engine) -> Result<Self, StoreError> {
        let store = Self {
            directory: directory.into(),
            engine,
        };
        for path in [store.directory.join("state"), store.snapshots()] {
            directory::create(&path)?;
        }
        Ok(store)
    }

    /// Opens the database in `path`. Engines let go of a database from threads of
    /// their own, some milliseconds after the last handle is dropped, so one that is
    /// in use is tried again for a moment.
    fn open(&self, path: &Path, cache_bytes: u64) -> Result<Arc<dyn Database>, StoreError> {
        directory::create(path)?;
        let mut attempt = 0;
        loop {
            match self.open_once(path, cache_bytes) {
                Err(StoreError::Busy { .. }) if attempt < BUSY_ATTEMPTS => {
                    attempt += 1;
                    std::thread::park_timeout(BUSY_PAUSE);
                }
                Ok(database) => {
                    let path = path.to_owned();
                    return Ok(Arc::new(Reserved::new(database, path, RESERVE_BYTES)));
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn open_once(&self, path: &Path, cache_bytes: u64) -> Result<Arc<dyn Database>, StoreError> {
        Ok(match self.engine {
            Engine::Sled => Arc::new(SledDatabase::open(path, cache_bytes)?),
            Engine::Redb => {
                let cache_bytes = usize::try_from(cache_bytes).unwrap_or(usize::MAX);
                Arc::new(RedbDatabase::open(path, cache_bytes)?)
            }
        })
    }

    fn generations(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// Removes what is among the generations and chosen by its number, if it has one.
    fn remove_generations(&self, chosen: impl Fn(Option<u64>) -> bool) -> Result<(), StoreError> {
        let pointer = self.pointer();
        for path in directory::list(&self.generations())? {
            let name = path.file_name().and_then(std::ffi::OsStr::to_str);
            let number = name.and_then(|name| name.parse().ok());
            if path != pointer && chosen(number) {
                directory::remove(&path)?;
            }
        }
        Ok(())
    }

    fn pointer(&self) -> PathBuf {
        self.generations().join("current")
    }

    fn marker(&self) -> PathBuf {
        self.directory.join("identity")
    }
}

impl Store for DiskStore {
    fn open_log(&self) -> Result<Arc<dyn Database>, StoreError> {
        self.open(&self.directory.join("raft"), LOG_CACHE_BYTES)
    }

    fn open_generation(&self, generation: u64) -> Result<Arc<dyn Database>, StoreError> {
        self.open(
            &self.generations().join(generation.to_string()),
            STATE_CACHE_BYTES,
        )
    }

    fn current_generation(&self) -> Result<Option<u64>, StoreError> {
        let Some(bytes) = directory::read_small(&self.pointer())? else {
            return Ok(None);
        };
        let number = std::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| text.trim().parse().ok());
        number.map(Some).ok_or_else(|| StoreError::Damaged {
            what: self.pointer().display().to_string(),
            reason: "it holds no number of a generation".into(),
        })
    }

    fn switch_generation(&self, generation: u64) -> Result<(), StoreError> {
        directory::replace(&self.pointer(), format!("{generation}\n").as_bytes())
    }

    fn remove_other_generations(&self, keep: u64) -> Result<(), StoreError> {
        self.remove_generations(|number| number != Some(keep))
    }

    fn remove_generations_before(&self, keep: u64) -> Result<(), StoreError> {
        self.remove_generations(|number| number.is_some_and(|number| number < keep))
    }

    fn identity(&self) -> Result<Option<Identity>, StoreError> {
        let Some(bytes) = directory::read_small(&self.marker())? else {
            return Ok(None);
        };
        Identity::parse(&bytes)
            .map(Some)
            .ok_or_else(|| StoreError::Damaged {
                what: self.marker().display().to_string(),
                reason: "it names no cluster and node".into(),
            })
    }

    fn write_identity(&self, identity: &Identity) -> Result<(), StoreError> {
        directory::replace(&self.marker(), identity.to_text().as_bytes())
    }

    fn probe(&self) -> Result<(), StoreError> {
        reserve::check(&self.directory, RESUME_BYTES)?;
        let path = self.directory.join("probe");
        directory::replace(&path, &PROBE)?;
        directory::remove(&path)
    }

    fn forget_cached(&self) -> Result<(), StoreError> {
        directory::forget_cached(&self.directory)
    }

    fn snapshots(&self) -> PathBuf {
        self.directory.join("snapshots")
    }
}
