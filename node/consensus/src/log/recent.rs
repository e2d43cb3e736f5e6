//! The newest entries in memory, so that replication and apply read no disk while
//! followers keep up.

use std::collections::VecDeque;

use crate::types::Entry;

/// Most bytes kept: some seconds of the coalescer at full load.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Most entries kept, however small.
const MAX_ENTRIES: usize = 4096;

/// The last entries of the log without a gap, each with its bytes.
#[derive(Debug, Default)]
pub(super) struct Recent {
    entries: VecDeque<(Entry, usize)>,
    bytes: usize,
}

impl Recent {
    /// Adds entries that were appended to the log.
    pub(super) fn append(&mut self, entries: Vec<(Entry, usize)>) {
        let next = self.entries.back().map(|(entry, _)| entry.log_id.index + 1);
        if let (Some(next), Some((first, _))) = (next, entries.first())
            && first.log_id.index != next
        {
            self.clear();
        }
        for (entry, bytes) in entries {
            self.bytes += bytes;
            self.entries.push_back((entry, bytes));
        }
        while self.bytes > MAX_BYTES || self.entries.len() > MAX_ENTRIES {
            self.pop_front();
        }
    }

    /// The log now ends before `index`.
    pub(super) fn truncate(&mut self, index: u64) {
        while self
            .entries
            .back()
            .is_some_and(|(entry, _)| entry.log_id.index >= index)
        {
            if let Some((_, bytes)) = self.entries.pop_back() {
                self.bytes -= bytes;
            }
        }
    }

    /// The log now begins after `index`.
    pub(super) fn purge(&mut self, index: u64) {
        while self
            .entries
            .front()
            .is_some_and(|(entry, _)| entry.log_id.index <= index)
        {
            self.pop_front();
        }
    }

    /// Entries from `start` up to and without `end` within `limit` bytes, at least
    /// one; `None` if `start` is not among them.
    pub(super) fn read(&self, start: u64, end: u64, limit: usize) -> Option<Vec<Entry>> {
        let first = self.entries.front()?.0.log_id.index;
        let skip = usize::try_from(start.checked_sub(first)?).ok()?;
        if skip >= self.entries.len() {
            return None;
        }
        let mut total = 0;
        let mut found = Vec::new();
        for (entry, bytes) in self.entries.iter().skip(skip) {
            total += bytes;
            if entry.log_id.index >= end || (total > limit && !found.is_empty()) {
                break;
            }
            found.push(entry.clone());
        }
        Some(found)
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    fn pop_front(&mut self) {
        if let Some((_, bytes)) = self.entries.pop_front() {
            self.bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use openraft::{CommittedLeaderId, EntryPayload};

    use super::*;
    use crate::types::LogId;

    fn entries(range: std::ops::Range<u64>, bytes: usize) -> Vec<(Entry, usize)> {
        let entry = |index| Entry {
            log_id: LogId::new(CommittedLeaderId::new(1, 1), index),
            payload: EntryPayload::Blank,
        };
        range.map(|index| (entry(index), bytes)).collect()
    }

    fn read(recent: &Recent, start: u64, end: u64, limit: usize) -> Option<Vec<u64>> {
        let found = recent.read(start, end, limit)?;
        Some(found.iter().map(|entry| entry.log_id.index).collect())
    }

    #[test]
    fn it_holds_the_end_of_the_log() {
        let mut recent = Recent::default();
        recent.append(entries(5..10, 10));
        assert_eq!(read(&recent, 6, 8, usize::MAX), Some(vec![6, 7]));
        assert_eq!(read(&recent, 4, 8, usize::MAX), None);
        assert_eq!(read(&recent, 10, 12, usize::MAX), None);
        assert_eq!(
            read(&recent, 6, 10, 1),
            Some(vec![6]),
            "never empty for a range that is not"
        );
        recent.truncate(8);
        recent.append(entries(8..9, 10));
        recent.purge(6);
        assert_eq!(read(&recent, 7, 100, 20), Some(vec![7, 8]));
        recent.append(entries(20..21, 10));
        assert_eq!(read(&recent, 8, 21, usize::MAX), None, "a gap begins anew");
    }

    #[test]
    fn it_is_bounded() {
        let mut recent = Recent::default();
        recent.append(entries(0..10_000, 1));
        assert_eq!(recent.entries.len(), MAX_ENTRIES);
        recent.append(entries(10_000..10_003, MAX_BYTES / 2));
        assert!(recent.bytes <= MAX_BYTES);
    }
}
