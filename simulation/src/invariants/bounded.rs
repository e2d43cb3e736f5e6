//! What a node keeps is bounded (I21): its log is cut behind its snapshots, of which there
//! are few. Memory, descriptors and queues are bounded elsewhere, where they are real.

use super::Invariant;
use crate::events::{Event, What};
use crate::oracle::Oracle;

/// More entries than a node means to keep: those that are applied while a snapshot is
/// written, or not committed yet.
const MORE_ENTRIES: u64 = 150;

/// One that is finished, one that is being written, and one that is being received.
const SNAPSHOTS_MAX: usize = 3;

/// See the module.
#[derive(Debug)]
pub(super) struct Bounded;

impl Invariant for Bounded {
    fn name(&self) -> &'static str {
        "what is kept is bounded"
    }

    fn check(&mut self, event: &Event, _oracle: &Oracle) -> Result<(), String> {
        let What::Kept(disks) = &event.what else {
            return Ok(());
        };
        for (node, kept) in disks {
            let most = kept.wanted + MORE_ENTRIES;
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
    use state::NodeId;

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
        check(Bounded, kept(200, 3)).unwrap();
        violates(Bounded, kept(201, 1), "keeps 201 entries");
        violates(Bounded, kept(10, 4), "keeps 4 snapshots");
    }
}
