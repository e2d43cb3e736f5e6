//! What a node keeps is bounded (I21): its log is cut behind its snapshots, of which there
//! are few. Memory, descriptors and queues are bounded elsewhere, where they are real.

use std::collections::{BTreeMap, VecDeque};

use state::{Index, NodeId};

use super::Invariant;
use crate::events::{Event, What};
use crate::oracle::Oracle;

/// More entries than a node means to keep: those that come while a snapshot is written, or
/// are not committed yet.
const MORE_ENTRIES: u64 = 150;

/// Or as many as it has applied for so many milliseconds, if they are more: a newcomer is sent
/// all that its leader keeps at once. It looks each second whether a snapshot is due.
const APPLIED_WITHIN: u64 = 4_000;

/// One that is finished, one that is being written, and one that is being received.
const SNAPSHOTS_MAX: usize = 3;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Bounded {
    /// What each node had applied when, the latest last, as far back as is of interest.
    applied: BTreeMap<NodeId, VecDeque<(u64, Index)>>,
}

impl Bounded {
    fn applied(&mut self, node: NodeId, tick: u64, index: Index) {
        let applied = self.applied.entry(node).or_default();
        applied.push_back((tick, index));
        let before = tick.saturating_sub(APPLIED_WITHIN);
        while applied.get(1).is_some_and(|(tick, _)| *tick <= before) {
            applied.pop_front();
        }
    }

    /// How many entries a node has applied lately, as far as it was seen.
    fn lately(&self, node: NodeId, tick: u64) -> u64 {
        let Some(applied) = self.applied.get(&node) else {
            return 0;
        };
        let before = tick.saturating_sub(APPLIED_WITHIN);
        let then = applied.iter().rev().find(|(tick, _)| *tick <= before);
        let last = applied.back().map_or(0, |(_, index)| index.0);
        last.saturating_sub(then.map_or(0, |(_, index)| index.0))
    }
}

impl Invariant for Bounded {
    fn name(&self) -> &'static str {
        "what is kept is bounded"
    }

    fn check(&mut self, event: &Event, _oracle: &Oracle) -> Result<(), String> {
        let disks = match &event.what {
            What::Applied { node, state, .. } => {
                self.applied(*node, event.tick, state.index());
                return Ok(());
            }
            What::Kept(disks) => disks,
            _ => return Ok(()),
        };
        for (node, kept) in disks {
            let most = kept.wanted + MORE_ENTRIES.max(self.lately(*node, event.tick));
            if u64::try_from(kept.entries).unwrap_or(u64::MAX) > most {
                return Err(format!(
                    "node {node} keeps {} entries of its log, at most {most} are wanted",
                    kept.entries
                ));
            }
            if kept.snapshots > SNAPSHOTS_MAX {
                return Err(format!("node {node} keeps {} snapshots", kept.snapshots));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use state::{Index, NodeId};

    use super::Bounded;
    use crate::events::{Kept, What};
    use crate::invariants::sample::{check, violates};

    #[test]
    fn a_log_that_is_not_cut_is_seen() {
        let kept = |entries, snapshots| {
            let kept = Kept {
                entries,
                snapshots,
                wanted: 50,
            };
            vec![What::Kept([(NodeId(1), kept)].into())]
        };
        check(Bounded::default(), kept(200, 3)).unwrap();
        violates(Bounded::default(), kept(201, 1), "keeps 201 entries");
        violates(Bounded::default(), kept(10, 4), "keeps 4 snapshots");
    }

    #[test]
    fn a_newcomer_keeps_what_it_was_sent_at_once_for_a_while() {
        let mut bounded = Bounded::default();
        let node = NodeId(1);
        assert_eq!(bounded.lately(node, 1_000), 0);
        for (tick, index) in [(1_000, 300), (2_000, 310), (4_900, 320)] {
            bounded.applied(node, tick, Index(index));
        }
        assert_eq!(bounded.lately(node, 4_900), 320);
        assert_eq!(bounded.lately(node, 5_000), 20);
        assert_eq!(bounded.lately(node, 9_000), 0);
        bounded.applied(node, 9_100, Index(321));
        assert_eq!(bounded.lately(node, 9_100), 1);
    }
}
