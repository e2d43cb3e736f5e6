//! Reading the log on disk. Blocks.

use std::ops::Bound;

use super::PURGE_STEP;
use crate::store::{Database, StoreError, Tree};
use crate::types::Entry;
use crate::wire;

pub(super) fn decode<T: serde::de::DeserializeOwned>(
    what: &str,
    bytes: &[u8],
) -> Result<T, StoreError> {
    wire::from_stored(bytes).map_err(|error| StoreError::Damaged {
        what: what.into(),
        reason: error.to_string(),
    })
}

/// Entries from `start` up to and without `end` within `limit` bytes; at least one if
/// there is one.
pub(super) fn read(
    database: &dyn Database,
    start: u64,
    end: u64,
    limit: usize,
) -> Result<Vec<Entry>, StoreError> {
    let (from, to) = (start.to_be_bytes(), end.to_be_bytes());
    let mut entries = Vec::new();
    let mut bytes = 0;
    for pair in database.range(Tree::Log, Bound::Included(&from), Bound::Excluded(&to))? {
        let (_, value) = pair?;
        bytes += value.len();
        if bytes > limit && !entries.is_empty() {
            break;
        }
        entries.push(decode("a log entry", &value)?);
    }
    Ok(entries)
}

/// The first indexes on disk from `first` up to `last`, as many as one job removes.
pub(super) fn first_keys(
    database: &dyn Database,
    first: Bound<u64>,
    last: u64,
) -> Result<Vec<u64>, StoreError> {
    let first = first.map(u64::to_be_bytes);
    let from = match &first {
        Bound::Included(key) => Bound::Included(&key[..]),
        Bound::Excluded(key) => Bound::Excluded(&key[..]),
        Bound::Unbounded => Bound::Unbounded,
    };
    let to = last.to_be_bytes();
    let scan = database.range(Tree::Log, from, Bound::Included(&to))?;
    scan.take(PURGE_STEP as usize)
        .map(|pair| {
            let (key, _) = pair?;
            let key = <[u8; 8]>::try_from(key).map_err(|_| StoreError::Damaged {
                what: "a key of the log".into(),
                reason: "it is no index".into(),
            })?;
            Ok(u64::from_be_bytes(key))
        })
        .collect()
}
