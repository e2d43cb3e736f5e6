//! Whoever votes is a member (I20): nobody that was removed has a vote, and there always
//! are voters.

use super::Invariant;
use crate::events::{Event, What};
use crate::oracle::Oracle;

/// See the module.
#[derive(Debug)]
pub(super) struct Membership;

impl Invariant for Membership {
    fn name(&self) -> &'static str {
        "voters are members"
    }

    fn check(&mut self, event: &Event, _oracle: &Oracle) -> Result<(), String> {
        let What::Applied { state, .. } = &event.what else {
            return Ok(());
        };
        // Raft takes part before the first command is there.
        if state.cluster_id().is_none() {
            return Ok(());
        }
        if state.voters().is_empty() {
            return Err(format!("at index {} nobody votes", state.index()));
        }
        let taking_part = state.voters().union(state.learners());
        match taking_part
            .into_iter()
            .find(|node| state.is_removed(**node))
        {
            Some(node) => Err(format!(
                "at index {} node {node} takes part, which was removed",
                state.index()
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use state::{Index, NodeId};

    use super::Membership;
    use crate::invariants::sample::{applied, check, state, violates};

    #[test]
    fn a_cluster_without_voters_is_seen() {
        let mut cluster = state(&[]);
        violates(Membership, vec![applied(1, &cluster)], "nobody votes");
        cluster.set_membership(Index(2), [NodeId(1)].into(), [].into());
        check(Membership, vec![applied(1, &cluster)]).unwrap();
    }
}
