//! Values larger than sled can hold safely, as several small ones.
//!
//! sled moves a page that has grown too large into a file under `blobs/` which
//! it never fsyncs. So values above [`CHUNK_BYTES`] are cut. All pieces stand in
//! the same tree, so that one batch stays atomic:
//!
//! - `0x01 key` holds a whole value (`0x00 value`) or its head
//!   (`0x01 count first-chunk`), in the order of the keys;
//! - `0x02 key number` holds the chunks after the first, read by exact key only.

use super::{Batch, Change, StoreError};

/// Largest piece of a value: 4 to 8 KiB made no blobs when measured, 16 KiB did.
pub(crate) const CHUNK_BYTES: usize = 6 * 1024;

const HEAD: u8 = 0x01;
const REST: u8 = 0x02;
const WHOLE: u8 = 0x00;
const CUT: u8 = 0x01;

/// The first physical key after all heads.
pub(crate) const HEADS_END: [u8; 1] = [REST];

/// The physical key of the head of `key`.
pub(crate) fn head_key(key: &[u8]) -> Vec<u8> {
    let mut physical = Vec::with_capacity(key.len() + 1);
    physical.push(HEAD);
    physical.extend_from_slice(key);
    physical
}

/// The key of which `physical` is the head.
pub(crate) fn key_of(physical: &[u8]) -> Vec<u8> {
    physical.get(1..).unwrap_or_default().to_vec()
}

fn rest_key(key: &[u8], number: u16) -> Vec<u8> {
    let mut physical = Vec::with_capacity(key.len() + 3);
    physical.push(REST);
    physical.extend_from_slice(key);
    physical.extend_from_slice(&number.to_be_bytes());
    physical
}

/// Translates `batch` into changes of pieces. `read` finds a physical key, to
/// learn how many pieces a value has that is replaced or removed.
pub(crate) fn cut(
    batch: &Batch,
    read: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, StoreError>,
) -> Result<Vec<Change>, StoreError> {
    let mut pieces = Vec::with_capacity(batch.changes().len());
    // What this very batch has cut before: a later change of the same key must
    // remove those pieces too.
    let mut cut_here = std::collections::BTreeMap::new();
    for change in batch.changes() {
        let (key, value) = match change {
            Change::Put { key, value } => (key, Some(value)),
            Change::Remove { key } => (key, None),
        };
        let old = match cut_here.get(key) {
            Some(count) => *count,
            None => read(&head_key(key))?.map_or(Ok(0), |head| rest_count(&head))?,
        };
        let new = match value {
            Some(value) => put(&mut pieces, key, value)?,
            None => {
                pieces.push(Change::Remove { key: head_key(key) });
                0
            }
        };
        pieces.extend((new..old).map(|number| Change::Remove {
            key: rest_key(key, number),
        }));
        if old.max(new) > 0 {
            cut_here.insert(key, new);
        }
    }
    Ok(pieces)
}

/// Adds the pieces of `value`; answers how many follow the head.
fn put(pieces: &mut Vec<Change>, key: &[u8], value: &[u8]) -> Result<u16, StoreError> {
    let mut chunks = value.chunks(CHUNK_BYTES);
    let first = chunks.next().unwrap_or_default();
    let count = u16::try_from(chunks.len()).map_err(|_| StoreError::TooLarge {
        key: key.len(),
        value: value.len(),
    })?;
    let mut head = Vec::with_capacity(first.len() + 3);
    if count == 0 {
        head.push(WHOLE);
    } else {
        head.push(CUT);
        head.extend_from_slice(&count.to_be_bytes());
    }
    head.extend_from_slice(first);
    pieces.push(Change::Put {
        key: head_key(key),
        value: head,
    });
    for (number, chunk) in (0..).zip(chunks) {
        pieces.push(Change::Put {
            key: rest_key(key, number),
            value: chunk.to_vec(),
        });
    }
    Ok(count)
}

/// The value of `key`, given its head.
pub(crate) fn join(
    key: &[u8],
    head: &[u8],
    read: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, StoreError>,
) -> Result<Vec<u8>, StoreError> {
    let count = rest_count(head)?;
    let first = if count == 0 { 1 } else { 3 };
    let mut value = head.get(first..).unwrap_or_default().to_vec();
    for number in 0..count {
        let chunk = read(&rest_key(key, number))?.ok_or_else(|| damaged("a piece is missing"))?;
        value.extend_from_slice(&chunk);
    }
    Ok(value)
}

fn rest_count(head: &[u8]) -> Result<u16, StoreError> {
    match head {
        [WHOLE, ..] => Ok(0),
        [CUT, high, low, ..] => Ok(u16::from_be_bytes([*high, *low])),
        _ => Err(damaged("it has no valid head")),
    }
}

fn damaged(reason: &str) -> StoreError {
    StoreError::Damaged {
        what: "a stored value".into(),
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    type Physical = BTreeMap<Vec<u8>, Vec<u8>>;

    fn apply(store: &mut Physical, batch: &Batch) {
        let pieces = cut(batch, |key| Ok(store.get(key).cloned())).unwrap();
        for piece in pieces {
            match piece {
                Change::Put { key, value } => {
                    assert!(value.len() <= CHUNK_BYTES + 3);
                    store.insert(key, value);
                }
                Change::Remove { key } => {
                    store.remove(&key);
                }
            }
        }
    }

    fn read(store: &Physical, key: &[u8]) -> Option<Vec<u8>> {
        let head = store.get(&head_key(key))?;
        Some(join(key, head, |key| Ok(store.get(key).cloned())).unwrap())
    }

    fn value(length: usize) -> Vec<u8> {
        (0..length).map(|index| (index % 251) as u8).collect()
    }

    #[test]
    fn values_come_back_whole_whatever_their_length() {
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 300_000] {
            let mut store = Physical::new();
            let mut batch = Batch::new();
            batch.put(b"key", value(length));
            apply(&mut store, &batch);
            assert_eq!(read(&store, b"key"), Some(value(length)), "{length} bytes");
        }
    }

    #[test]
    fn replacing_and_removing_leave_no_pieces_behind() {
        let mut store = Physical::new();
        for length in [50_000, 10, 20_000, 7_000] {
            let mut batch = Batch::new();
            batch.put(b"key", value(length));
            apply(&mut store, &batch);
            assert_eq!(read(&store, b"key"), Some(value(length)));
            assert_eq!(store.len(), length.div_ceil(CHUNK_BYTES));
        }
        let mut batch = Batch::new();
        batch.remove(b"key");
        apply(&mut store, &batch);
        assert!(store.is_empty());
    }

    #[test]
    fn a_batch_that_changes_one_key_twice_keeps_the_last() {
        let mut store = Physical::new();
        let mut batch = Batch::new();
        batch.put(b"key", value(40_000));
        batch.put(b"key", value(9_000));
        apply(&mut store, &batch);
        assert_eq!(read(&store, b"key"), Some(value(9_000)));
        assert_eq!(store.len(), 2);
        let mut batch = Batch::new();
        batch.put(b"key", value(40_000));
        batch.remove(b"key");
        apply(&mut store, &batch);
        assert!(store.is_empty());
    }

    #[test]
    fn keys_that_are_prefixes_of_one_another_stay_apart() {
        let mut store = Physical::new();
        let mut batch = Batch::new();
        for key in [&b""[..], b"a", b"a\0", b"a\0\0", b"a\0\0\0"] {
            batch.put(key, value(20_000 + key.len()));
        }
        apply(&mut store, &batch);
        for key in [&b""[..], b"a", b"a\0", b"a\0\0", b"a\0\0\0"] {
            assert_eq!(read(&store, key), Some(value(20_000 + key.len())));
        }
    }
}
