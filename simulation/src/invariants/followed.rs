//! At every index, and not only where replicas happened to publish: whoever applies the
//! committed entries one by one holds the same state, byte for byte, as a replica that
//! applied them in batches, from a snapshot or after a crash (I6).

use std::collections::BTreeMap;

use consensus::testing::Follower;
use state::Index;

use super::Invariant;
use crate::digest::Digest;
use crate::events::{Event, What};
use crate::oracle::Oracle;

/// A follower outside of the cluster, and what it held at each index.
#[derive(Debug, Default)]
pub(super) struct Followed {
    follower: Follower,
    held: BTreeMap<Index, Digest>,
}

impl Invariant for Followed {
    fn name(&self) -> &'static str {
        "at every index replicas hold what its entries make"
    }

    fn check(&mut self, event: &Event, _oracle: &Oracle) -> Result<(), String> {
        let What::Applied {
            node,
            state,
            digest,
            entries,
        } = &event.what
        else {
            return Ok(());
        };
        for (index, entry) in entries {
            let Index(at) = self.follower.state().index();
            // Where it begins, the cluster is founded already: of the entry 0 an empty
            // state does not tell whether it was applied.
            if at > 0 && index.0 == at + 1 {
                let applied = self.follower.apply(entry);
                applied.map_err(|why| format!("the entry {index} cannot be applied: {why}"))?;
                let digest = Digest::of_state(self.follower.state());
                self.held.insert(*index, digest);
            }
        }
        if self.follower.state().index() < state.index() {
            // Some of the way is on no disk any more.
            self.follower = Follower::at((**state).clone());
            self.held.insert(state.index(), *digest);
        }
        match self.held.get(&state.index()) {
            Some(expected) if expected != digest => Err(format!(
                "at index {} node {node} holds {digest}, and its entries make {expected}",
                state.index()
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use consensus::testing::to_stored;
    use state::{Batch, Index, State, codec};

    use super::Followed;
    use crate::invariants::sample::{
        applied, applied_by, authorize, check, command, state, violates,
    };

    #[test]
    fn a_state_that_its_entries_do_not_make_is_seen() {
        let begin = state(&[]);
        let after = |name| state(&[(1, begin.index().0 + 1, authorize(name))]);
        let batch = codec::batch_to(&Batch {
            commands: vec![command(1, &authorize("a.example"))],
        });
        let entry = to_stored(begin.index().0 + 1, batch.into()).unwrap();
        let events = |second: &State| {
            let next = Index(begin.index().0 + 1);
            vec![
                applied(1, &begin),
                applied_by(1, second, vec![(next, entry.clone())]),
            ]
        };
        check(Followed::default(), events(&after("a.example"))).unwrap();
        violates(
            Followed::default(),
            events(&after("b.example")),
            "and its entries make",
        );
    }
}
