//! A node that lost its disk takes part no more under its old id (I4, I5): it has forgotten
//! its vote and entries that others count on, so that it could elect twice in a term, or
//! lose what was acknowledged.

use std::collections::BTreeSet;

use state::NodeId;

use super::Invariant;
use crate::events::{Event, What};
use crate::operation::Answer;
use crate::oracle::Oracle;

/// Whose disk was lost.
#[derive(Debug, Default)]
pub(super) struct Forgotten(BTreeSet<NodeId>);

impl Invariant for Forgotten {
    fn name(&self) -> &'static str {
        "who lost its disk takes part no more"
    }

    fn check(&mut self, event: &Event, _oracle: &Oracle) -> Result<(), String> {
        let (node, does) = match &event.what {
            What::Wiped { node } => {
                self.0.insert(*node);
                return Ok(());
            }
            What::Led { node, leadership } if leadership.term().is_some() => {
                (node, "takes part in an election")
            }
            What::Applied { node, .. } => (node, "has a state"),
            What::Answered { node, answer, .. } if *answer != Answer::Unknown => (node, "answers"),
            _ => return Ok(()),
        };
        if self.0.contains(node) {
            return Err(format!("node {node} {does}, though its disk was lost"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use state::NodeId;

    use super::Forgotten;
    use crate::events::What;
    use crate::invariants::sample::{applied, authorize, check, follows, state, violates};

    #[test]
    fn a_node_that_comes_back_without_its_disk_is_seen() {
        let cluster = state(&[(1, 5, authorize("a.example"))]);
        let wiped = What::Wiped { node: NodeId(2) };
        let before = vec![follows(2, 3), wiped.clone(), applied(1, &cluster)];
        check(Forgotten::default(), before).unwrap();
        violates(
            Forgotten::default(),
            vec![wiped.clone(), applied(2, &state(&[]))],
            "node 2 has a state, though its disk was lost",
        );
        violates(
            Forgotten::default(),
            vec![wiped, follows(2, 4)],
            "takes part in an election",
        );
    }
}
