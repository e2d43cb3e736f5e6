//! openraft's own values as bytes, on disk and between nodes: a version, then
//! postcard. They are never looked into field by field, so a new openraft is a
//! new version here and nothing else.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// openraft 0.9.
pub(crate) const VERSION: u8 = 1;

/// Bytes that are not what they should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error(
        "raft's bytes are of version {0}, which this program does not know: was it downgraded?"
    )]
    Version(u32),
    #[error("raft's bytes are damaged")]
    Damaged(#[from] postcard::Error),
    #[error("raft's bytes are missing")]
    Empty,
}

/// With the version in front, for disk.
pub(crate) fn to_stored<T: Serialize>(value: &T) -> Result<Vec<u8>, WireError> {
    Ok(postcard::to_extend(value, vec![VERSION])?)
}

/// From disk.
pub(crate) fn from_stored<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    let (version, rest) = bytes.split_first().ok_or(WireError::Empty)?;
    from_sent(u32::from(*version), rest)
}

/// Without the version, which the message names itself.
pub(crate) fn to_sent<T: Serialize>(value: &T) -> Result<Vec<u8>, WireError> {
    Ok(postcard::to_extend(value, Vec::new())?)
}

/// From a message of `version`.
pub(crate) fn from_sent<T: DeserializeOwned>(version: u32, bytes: &[u8]) -> Result<T, WireError> {
    if version != u32::from(VERSION) {
        return Err(WireError::Version(version));
    }
    Ok(postcard::from_bytes(bytes)?)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use bytes::Bytes;
    use openraft::{CommittedLeaderId, EntryPayload};

    use super::*;
    use crate::types::{Entry, LogId, Peer, Proposal, Vote};

    fn check<T: Serialize + DeserializeOwned + std::fmt::Debug>(value: &T, frozen: &[u8]) {
        assert_eq!(to_stored(value).unwrap(), frozen, "{value:?}");
        let read: T = from_stored(frozen).unwrap();
        assert_eq!(format!("{read:?}"), format!("{value:?}"));
    }

    fn log_id(term: u64, node: u64, index: u64) -> LogId {
        LogId::new(CommittedLeaderId::new(term, node), index)
    }

    /// The bytes of version 1 stay readable: logs of it are on disks.
    #[test]
    fn bytes_of_version_one_are_frozen() {
        check(&Vote::new_committed(3, 2), &[1, 3, 2, 1]);
        check(&log_id(3, 2, 300), &[1, 3, 2, 172, 2]);
        let blank = Entry {
            log_id: log_id(1, 1, 5),
            payload: EntryPayload::Blank,
        };
        check(&blank, &[1, 1, 1, 5, 0]);
        let normal = Entry {
            log_id: log_id(1, 1, 6),
            payload: EntryPayload::Normal(Proposal::new(Bytes::from_static(b"abc")).0),
        };
        check(&normal, &[1, 1, 1, 6, 1, 3, b'a', b'b', b'c']);
        let nodes = BTreeMap::from([
            (
                1,
                Peer {
                    address: "a:1".into(),
                },
            ),
            (
                2,
                Peer {
                    address: "b:2".into(),
                },
            ),
        ]);
        let membership = openraft::Membership::new(vec![BTreeSet::from([1])], nodes);
        let entry = Entry {
            log_id: log_id(1, 1, 0),
            payload: EntryPayload::Membership(membership),
        };
        check(
            &entry,
            &[
                1, 1, 1, 0, 2, 1, 1, 1, 2, 1, 3, b'a', b':', b'1', 2, 3, b'b', b':', b'2',
            ],
        );
    }

    #[test]
    fn other_versions_and_damage_are_errors() {
        assert!(matches!(from_stored::<Vote>(&[]), Err(WireError::Empty)));
        assert!(matches!(
            from_stored::<Vote>(&[9, 0]),
            Err(WireError::Version(9))
        ));
        assert!(matches!(
            from_stored::<Vote>(&[1, 3]),
            Err(WireError::Damaged(_))
        ));
    }
}
