//! Replicas that have applied the same entries hold the same records, byte for byte
//! (I6).

use std::collections::BTreeMap;

use state::{Index, NodeId};

use super::Invariant;
use crate::digest::Digest;
use crate::events::{Event, What};
use crate::oracle::Oracle;

/// What the first replica held at each index.
#[derive(Debug, Default)]
pub(super) struct Agreement(BTreeMap<Index, (NodeId, Digest)>);

impl Invariant for Agreement {
    fn name(&self) -> &'static str {
        "replicas agree"
    }

    fn check(&mut self, event: &Event, _oracle: &Oracle) -> Result<(), String> {
        let What::Applied {
            node,
            state,
            digest,
            ..
        } = &event.what
        else {
            return Ok(());
        };
        let (first, expected) = *self.0.entry(state.index()).or_insert((*node, *digest));
        if expected == *digest {
            return Ok(());
        }
        Err(format!(
            "at index {} node {first} holds {expected} and node {node} {digest}",
            state.index()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::Agreement;
    use crate::invariants::sample::{applied, authorize, check, state, violates};

    #[test]
    fn replicas_may_be_at_different_indexes() {
        let (early, late) = (state(&[]), state(&[(1, 5, authorize("a.example"))]));
        let events = vec![
            applied(1, &early),
            applied(1, &late),
            applied(2, &early),
            applied(3, &late),
        ];
        check(Agreement::default(), events).unwrap();
    }

    #[test]
    fn a_difference_at_one_index_is_seen() {
        let one = state(&[(1, 5, authorize("a.example"))]);
        let other = state(&[(2, 5, authorize("a.example"))]);
        violates(
            Agreement::default(),
            vec![applied(1, &one), applied(3, &other)],
            "at index 5 node 1 holds",
        );
    }
}
