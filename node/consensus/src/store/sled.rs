//! sled 0.34.7, made durable by us.
//!
//! sled's `flush` ends in `sync_file_range`, which does not reach stable storage:
//! after a power cut most databases had lost acknowledged writes, some would not
//! open. So every flush is followed by fdatasync of sled's one data file, which we
//! find and open ourselves; there is no flush in the background, because a write
//! without fdatasync was seen to destroy older, durable data; and no value is so
//! large that sled would put it into a file of its own (see [`super::chunk`]).

use std::fs::{File, OpenOptions};
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::{Batch, Change, Database, Pair, Scan, StoreError, Tree, chunk, directory};

/// sled's data file within its directory; `tests` below fail if that changes.
const DATA_FILE: &str = "db";
/// sled's parameters; 0 bytes long after a power cut unless fsynced by us.
const CONF_FILE: &str = "conf";

pub(super) struct SledDatabase {
    /// Taken when it is closed.
    open: Option<Open>,
    /// Our own handle on sled's data file, opened before anything is written, so
    /// that the kernel reports to it every failed write-back.
    data: File,
}

struct Open {
    trees: [sled::Tree; 4],
    database: sled::Db,
}

impl SledDatabase {
    /// Opens the database in directory `path`, which exists.
    pub(super) fn open(path: &Path, cache_bytes: u64) -> Result<Self, StoreError> {
        let config = sled::Config::new()
            .path(path)
            .mode(sled::Mode::LowSpace)
            .cache_capacity(cache_bytes)
            .flush_every_ms(None);
        let database = guarded("open", || open(&config, path))?;
        let tree = |tree: Tree| {
            guarded("open a tree", || {
                database
                    .open_tree(tree.name())
                    .map_err(|error| StoreError::engine("open a tree", error))
            })
        };
        let trees = [
            tree(Tree::Log)?,
            tree(Tree::Hard)?,
            tree(Tree::Records)?,
            tree(Tree::Bodies)?,
        ];
        let data_path = path.join(DATA_FILE);
        let data = OpenOptions::new()
            .write(true)
            .open(&data_path)
            .map_err(|error| StoreError::file("open sled's data file", &data_path, error))?;
        let opened = Self {
            open: Some(Open { trees, database }),
            data,
        };
        opened.flush_durable()?;
        directory::sync_file(&path.join(CONF_FILE))?;
        directory::sync(path)?;
        directory::sync_parent(path)?;
        Ok(opened)
    }

    #[expect(
        clippy::expect_used,
        reason = "taken only in drop, after which none calls"
    )]
    fn open_database(&self) -> &Open {
        self.open.as_ref().expect("open until it is dropped")
    }

    fn tree(&self, tree: Tree) -> &sled::Tree {
        &self.open_database().trees[tree as usize]
    }

    fn piece(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        piece(self.tree(tree), key)
    }
}

fn piece(tree: &sled::Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let found = tree
        .get(key)
        .map_err(|error| StoreError::engine("read", error))?;
    Ok(found.map(|value| value.to_vec()))
}

fn open(config: &sled::Config, path: &Path) -> Result<sled::Db, StoreError> {
    config.open().map_err(|error| match error {
        // sled names the lock only in words.
        sled::Error::Io(error) if error.to_string().contains("could not acquire lock") => {
            StoreError::Busy {
                path: path.to_owned(),
            }
        }
        error => StoreError::engine("open", error),
    })
}

impl Database for SledDatabase {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        guarded("read", || {
            let Some(head) = self.piece(tree, &chunk::head_key(key))? else {
                return Ok(None);
            };
            chunk::join(key, &head, |piece| self.piece(tree, piece)).map(Some)
        })
    }

    fn range(&self, tree: Tree, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<Scan, StoreError> {
        let tree = self.tree(tree).clone();
        let from = match from {
            Bound::Unbounded => Bound::Included(chunk::head_key(b"")),
            Bound::Included(key) => Bound::Included(chunk::head_key(key)),
            Bound::Excluded(key) => Bound::Excluded(chunk::head_key(key)),
        };
        let to = match to {
            Bound::Unbounded => Bound::Excluded(chunk::HEADS_END.to_vec()),
            Bound::Included(key) => Bound::Included(chunk::head_key(key)),
            Bound::Excluded(key) => Bound::Excluded(chunk::head_key(key)),
        };
        if is_empty(&from, &to) {
            // sled panics where std's maps would, too.
            return Ok(Box::new(std::iter::empty()));
        }
        let mut heads = tree.range((from, to));
        Ok(Box::new(std::iter::from_fn(move || {
            let next = guarded("scan", || {
                heads
                    .next()
                    .transpose()
                    .map_err(|error| StoreError::engine("scan", error))
            });
            Some(match next.transpose()? {
                Ok((physical, head)) => joined(&tree, &physical, &head),
                Err(error) => Err(error),
            })
        })))
    }

    fn last(&self, tree: Tree) -> Result<Option<Pair>, StoreError> {
        guarded("read", || {
            let tree = self.tree(tree);
            let last = tree
                .get_lt(chunk::HEADS_END)
                .map_err(|error| StoreError::engine("read", error))?;
            last.map(|(physical, head)| joined(tree, &physical, &head))
                .transpose()
        })
    }

    fn write_atomic(&self, tree: Tree, batch: &Batch) -> Result<(), StoreError> {
        batch.check()?;
        guarded("write", || {
            let pieces = chunk::cut(batch, |key| self.piece(tree, key))?;
            let mut cut = sled::Batch::default();
            for piece in pieces {
                match piece {
                    Change::Put { key, value } => cut.insert(key, value),
                    Change::Remove { key } => cut.remove(key),
                }
            }
            self.tree(tree)
                .apply_batch(cut)
                .map_err(|error| StoreError::engine("write", error))
        })
    }

    fn flush_durable(&self) -> Result<(), StoreError> {
        guarded("flush", || {
            self.open_database()
                .database
                .flush()
                .map_err(|error| StoreError::engine("flush", error))?;
            self.data
                .sync_data()
                .map_err(|error| StoreError::engine("fdatasync", error))
        })
    }
}

/// sled writes and fsyncs as it closes, and panics if it cannot; whoever closes a
/// database because its disk has failed must survive that.
impl Drop for SledDatabase {
    fn drop(&mut self) {
        let open = self.open.take();
        let closed = guarded("close", || {
            drop(open);
            Ok(())
        });
        if let Err(error) = closed {
            tracing::warn!(%error, "a database was not closed in order; what was promised is durable");
        }
    }
}

fn is_empty(from: &Bound<Vec<u8>>, to: &Bound<Vec<u8>>) -> bool {
    match (from, to) {
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Excluded(to))
        | (Bound::Excluded(from), Bound::Included(to)) => from >= to,
        _ => false,
    }
}

fn joined(tree: &sled::Tree, physical: &[u8], head: &[u8]) -> Result<Pair, StoreError> {
    let key = chunk::key_of(physical);
    let value = chunk::join(&key, head, |key| piece(tree, key))?;
    Ok((key, value))
}

/// Runs `body`, turning a panic of sled (which it prefers to errors when its files
/// make no sense or a write of its own fails) into an error.
fn guarded<T>(
    action: &'static str,
    body: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Err(StoreError::Panicked {
            action,
            message: message.to_owned(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sled_keeps_everything_in_one_file_named_db() {
        let directory = tempfile::tempdir().unwrap();
        let database = SledDatabase::open(directory.path(), 8 * 1024 * 1024).unwrap();
        for number in 0..200_u32 {
            let mut batch = Batch::new();
            batch.put(number.to_be_bytes(), vec![number as u8; 100_000]);
            database.write_atomic(Tree::Log, &batch).unwrap();
            database.flush_durable().unwrap();
        }
        let mut names: Vec<_> = directory::list(directory.path())
            .unwrap()
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .filter(|name| !name.starts_with("snap."))
            .collect();
        names.sort();
        assert_eq!(names, ["blobs", "conf", "db"]);
        assert_eq!(
            directory::list(&directory.path().join("blobs"))
                .unwrap()
                .len(),
            0
        );
        let length = std::fs::metadata(directory.path().join("db"))
            .unwrap()
            .len();
        assert!(length >= 200 * 100_000, "db holds only {length} bytes");
    }

    #[test]
    fn a_panic_of_the_engine_is_an_error() {
        let error = guarded::<()>("open", || panic!("page {} makes no sense", 7)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the database engine panicked while it was to open: page 7 makes no sense"
        );
    }
}
