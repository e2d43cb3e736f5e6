//! An entry that was applied anywhere is the same everywhere, in its term and to the last
//! byte, and stays so (I4).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use state::{Index, NodeId};

use super::Invariant;
use crate::digest::Digest;
use crate::events::{Event, What};
use crate::oracle::Oracle;

/// Who applied what first, at each index.
#[derive(Debug, Default)]
pub(super) struct Committed(BTreeMap<Index, (NodeId, Digest)>);

impl Invariant for Committed {
    fn name(&self) -> &'static str {
        "what is committed never changes"
    }

    fn check(&mut self, event: &Event, _oracle: &Oracle) -> Result<(), String> {
        let What::Applied { node, entries, .. } = &event.what else {
            return Ok(());
        };
        for (index, entry) in entries {
            let digest = Digest::of_bytes(entry);
            match self.0.entry(*index) {
                Entry::Vacant(first) => drop(first.insert((*node, digest))),
                Entry::Occupied(first) if first.get().1 == digest => {}
                Entry::Occupied(first) => {
                    let (first, expected) = *first.get();
                    return Err(format!(
                        "at index {index} node {first} applied {expected} and node {node} {digest}"
                    ));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use state::Index;

    use super::Committed;
    use crate::invariants::sample::{applied_by, check, state, violates};

    #[test]
    fn an_entry_that_differs_is_seen() {
        let cluster = state(&[]);
        let by = |node, entry: &[u8]| applied_by(node, &cluster, vec![(Index(4), entry.to_vec())]);
        let same = vec![by(1, b"one"), by(2, b"one"), by(1, b"one")];
        check(Committed::default(), same).unwrap();
        violates(
            Committed::default(),
            vec![by(1, b"one"), by(2, b"other")],
            "at index 4 node 1 applied",
        );
    }
}
