//! redb: the second engine, so that the first can be replaced by one line of
//! configuration. It syncs on commit by itself and holds values of any size.

use std::ops::Bound;
use std::path::Path;

use redb::{Database as Redb, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use super::{Batch, Change, Database, Pair, Scan, StoreError, Tree, directory};

type Bytes = &'static [u8];

/// redb's one file within the database's directory.
const DATA_FILE: &str = "db.redb";

pub(super) struct RedbDatabase {
    database: Redb,
}

const fn table(tree: Tree) -> TableDefinition<'static, Bytes, Bytes> {
    TableDefinition::new(tree.name())
}

impl RedbDatabase {
    /// Opens the database in directory `path`, which exists.
    pub(super) fn open(path: &Path, cache_bytes: usize) -> Result<Self, StoreError> {
        let failed = |error| StoreError::engine("open", error);
        let database = Redb::builder()
            .set_cache_size(cache_bytes)
            .create(path.join(DATA_FILE))
            .map_err(|error| match error {
                redb::DatabaseError::DatabaseAlreadyOpen => StoreError::Busy {
                    path: path.to_owned(),
                },
                error => StoreError::engine("open", error),
            })?;
        let write = database
            .begin_write()
            .map_err(|error| StoreError::engine("open", error))?;
        for tree in Tree::ALL {
            write.open_table(table(tree)).map_err(failed)?;
        }
        write
            .commit()
            .map_err(|error| StoreError::engine("open", error))?;
        directory::sync(path)?;
        directory::sync_parent(path)?;
        Ok(Self { database })
    }

    fn read(&self, tree: Tree) -> Result<redb::ReadOnlyTable<Bytes, Bytes>, StoreError> {
        let read = self
            .database
            .begin_read()
            .map_err(|error| StoreError::engine("read", error))?;
        read.open_table(table(tree))
            .map_err(|error| StoreError::engine("read", error))
    }
}

impl Database for RedbDatabase {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self
            .read(tree)?
            .get(key)
            .map_err(|error| StoreError::engine("read", error))?;
        Ok(found.map(|value| value.value().to_vec()))
    }

    fn range(&self, tree: Tree, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<Scan, StoreError> {
        let range = self
            .read(tree)?
            .range::<&[u8]>((from, to))
            .map_err(|error| StoreError::engine("scan", error))?;
        Ok(Box::new(range.map(|pair| {
            let (key, value) = pair.map_err(|error| StoreError::engine("scan", error))?;
            Ok((key.value().to_vec(), value.value().to_vec()))
        })))
    }

    fn last(&self, tree: Tree) -> Result<Option<Pair>, StoreError> {
        let table = self.read(tree)?;
        let last = table
            .last()
            .map_err(|error| StoreError::engine("read", error))?;
        Ok(last.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())))
    }

    fn write_atomic(&self, tree: Tree, batch: &Batch) -> Result<(), StoreError> {
        batch.check()?;
        let failed = |error| StoreError::engine("write", error);
        let mut write = self
            .database
            .begin_write()
            .map_err(|error| StoreError::engine("write", error))?;
        // Visible at once; `flush_durable` commits it for good.
        write
            .set_durability(Durability::None)
            .map_err(|error| StoreError::engine("write", error))?;
        {
            let mut table = write
                .open_table(table(tree))
                .map_err(|error| StoreError::engine("write", error))?;
            for change in batch.changes() {
                match change {
                    Change::Put { key, value } => {
                        table
                            .insert(key.as_slice(), value.as_slice())
                            .map_err(failed)?;
                    }
                    Change::Remove { key } => {
                        table.remove(key.as_slice()).map_err(failed)?;
                    }
                }
            }
        }
        write
            .commit()
            .map_err(|error| StoreError::engine("write", error))
    }

    fn flush_durable(&self) -> Result<(), StoreError> {
        let mut write = self
            .database
            .begin_write()
            .map_err(|error| StoreError::engine("flush", error))?;
        write
            .set_durability(Durability::Immediate)
            .map_err(|error| StoreError::engine("flush", error))?;
        write
            .commit()
            .map_err(|error| StoreError::engine("flush", error))
    }
}
