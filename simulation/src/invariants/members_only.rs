//! Whoever was removed is not heeded any more (I16, I17): a node that has applied a removal
//! answers no call that the removed one begins afterwards, but with an error.

use std::collections::BTreeMap;

use state::NodeId;

use super::Invariant;
use crate::events::{Event, What};
use crate::oracle::Oracle;

/// A call may have begun in the tick in which the removal was applied.
const SAME_TICK: u64 = 2;

/// When each node first published that another was removed.
#[derive(Debug, Default)]
pub(super) struct MembersOnly(BTreeMap<(NodeId, NodeId), u64>);

impl Invariant for MembersOnly {
    fn name(&self) -> &'static str {
        "a removed node is not heeded"
    }

    fn check(&mut self, event: &Event, _oracle: &Oracle) -> Result<(), String> {
        match &event.what {
            What::Applied { node, state, .. } => {
                for removed in state.removed() {
                    self.0.entry((*node, removed.id)).or_insert(event.tick);
                }
                Ok(())
            }
            What::Heeded {
                node,
                caller,
                began,
            } => match self.0.get(&(*node, *caller)) {
                Some(since) if *began > since + SAME_TICK => Err(format!(
                    "node {node} answered a call of node {caller} from {began}, though it knew \
                     since {since} that it was removed"
                )),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use state::NodeId;

    use super::MembersOnly;
    use crate::events::What;
    use crate::invariants::sample::{applied, check, violates, without};

    #[test]
    fn a_call_of_a_removed_node_that_is_answered_is_seen() {
        let cluster = without(2);
        let heeded = |began| What::Heeded {
            node: NodeId(1),
            caller: NodeId(2),
            began,
        };
        check(
            MembersOnly::default(),
            vec![applied(1, &cluster), heeded(1)],
        )
        .unwrap();
        violates(
            MembersOnly::default(),
            vec![applied(1, &cluster), heeded(3)],
            "node 1 answered a call of node 2",
        );
    }
}
