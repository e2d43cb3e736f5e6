//! What a node keeps is bounded (I21): its log is cut behind its snapshots, of which there
//! are few. Memory, descriptors and queues are bounded elsewhere, where they are real.

use std::collections::{BTreeMap, VecDeque};

use state::{Index, NodeId};

use super::Invariant;
use crate::events::{Event, What};
use crate::oracle::Oracle;
use crate::scenario::Plague;

/// How long a node whose disk is not slow has to cut its log: it looks once a second whether
/// a snapshot is due, writes it, and, if it leads, waits with the cut until nobody is being
/// sent what it cuts off.
const CUT_WITHIN: u64 = 4_000;

/// One that is finished, one that is being written, and one that is being received.
const SNAPSHOTS_MAX: usize = 3;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Bounded {
    /// What each node had applied when, since it started: the latest last, as far back as is
    /// of interest.
    applied: BTreeMap<NodeId, VecDeque<(u64, Index)>>,
    /// Whose disks ail, by the number of the trouble.
    ailing: BTreeMap<usize, Vec<NodeId>>,
}

impl Bounded {
    fn applied(&mut self, node: NodeId, tick: u64, index: Index) {
        let applied = self.applied.entry(node).or_default();
        applied.push_back((tick, index));
        let before = tick.saturating_sub(CUT_WITHIN);
        while applied.get(1).is_some_and(|(tick, _)| *tick <= before) {
            applied.pop_front();
        }
    }

    /// What a node had applied long enough ago to have cut its log behind it; absent if it
    /// runs for less.
    fn long_ago(&self, node: NodeId, tick: u64) -> Option<Index> {
        let before = tick.checked_sub(CUT_WITHIN)?;
        let applied = self.applied.get(&node)?.iter().rev();
        let mut before = applied.skip_while(|(tick, _)| *tick > before);
        before.next().map(|(_, index)| *index)
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
            What::Crashed { node, .. } | What::Halted { node, .. } => {
                self.applied.remove(node);
                return Ok(());
            }
            What::Troubled {
                number,
                plague: Plague::Disk { .. },
                victims,
            } => {
                self.ailing.insert(*number, victims.clone());
                return Ok(());
            }
            What::Over { number } => {
                for node in self.ailing.remove(number).unwrap_or_default() {
                    self.applied.remove(&node);
                }
                return Ok(());
            }
            What::Kept(disks) => disks,
            _ => return Ok(()),
        };
        for (node, kept) in disks {
            if kept.snapshots > SNAPSHOTS_MAX {
                return Err(format!("node {node} keeps {} snapshots", kept.snapshots));
            }
            let ails = self.ailing.values().flatten().any(|ailing| ailing == node);
            let long_ago = self.long_ago(*node, event.tick).filter(|_| !ails);
            let Some(long_ago) = long_ago else {
                continue;
            };
            let first = kept.first.unwrap_or(long_ago);
            let behind = long_ago.0.saturating_sub(first.0);
            if behind > kept.wanted {
                return Err(format!(
                    "node {node} keeps its log from {first} on, and had applied {long_ago} \
                     {CUT_WITHIN} ms ago: {behind} entries more, at most {} are wanted",
                    kept.wanted
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use state::{Index, NodeId};

    use super::Bounded;
    use crate::disk::Ailment;
    use crate::events::{Event, Kept, What};
    use crate::invariants::{
        Invariant,
        sample::{check, violates},
    };
    use crate::oracle::Oracle;
    use crate::scenario::{Plague, Victim};

    const NODE: NodeId = NodeId(1);

    fn kept(first: u64, snapshots: usize) -> What {
        let kept = Kept {
            entries: 1,
            first: Some(Index(first)),
            snapshots,
            wanted: 50,
        };
        What::Kept([(NODE, kept)].into())
    }

    fn long_running() -> Bounded {
        let mut bounded = Bounded::default();
        bounded.applied(NODE, 0, Index(300));
        bounded
    }

    #[test]
    fn too_many_snapshots_are_seen() {
        check(Bounded::default(), vec![kept(1, 3)]).unwrap();
        violates(Bounded::default(), vec![kept(1, 4)], "keeps 4 snapshots");
    }

    #[test]
    fn a_log_that_is_not_cut_is_seen_unless_there_was_no_time() {
        let oracle = Oracle::default();
        let look = |tick, first| {
            let what = kept(first, 1);
            long_running().check(&Event { tick, what }, &oracle)
        };
        look(4_000, 250).unwrap();
        look(3_999, 249).unwrap();
        let said = look(4_000, 249).unwrap_err();
        assert!(said.contains("51 entries more"), "{said}");
        let crashed = What::Crashed {
            node: NODE,
            lost: 0,
        };
        let slow = What::Troubled {
            number: 3,
            plague: Plague::Disk {
                who: Victim::Leader,
                ailment: Ailment::Slow(2_000),
            },
            victims: vec![NODE],
        };
        for before in [crashed, slow] {
            let mut bounded = long_running();
            for what in [before, kept(1, 1)] {
                let event = Event { tick: 9_000, what };
                bounded.check(&event, &oracle).unwrap();
            }
        }
    }

    #[test]
    fn what_a_node_had_applied_is_known_for_as_long_as_it_runs() {
        let mut bounded = Bounded::default();
        assert_eq!(bounded.long_ago(NODE, 4_000), None);
        for (tick, index) in [(1_000, 300), (2_000, 310), (4_900, 320)] {
            bounded.applied(NODE, tick, Index(index));
        }
        assert_eq!(bounded.long_ago(NODE, 4_900), None);
        assert_eq!(bounded.long_ago(NODE, 5_000), Some(Index(300)));
        assert_eq!(bounded.long_ago(NODE, 9_000), Some(Index(320)));
        bounded.applied(NODE, 9_100, Index(321));
        assert_eq!(bounded.long_ago(NODE, 9_100), Some(Index(320)));
    }
}
