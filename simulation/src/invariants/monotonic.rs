//! What a node has published never goes back, nor does its term; not across a crash
//! either, because both are durable before anybody is told of them (I4).

use std::collections::BTreeMap;

use state::{Index, NodeId, Term};

use super::Invariant;
use crate::events::{Event, What};
use crate::oracle::Oracle;

/// How far each node was.
#[derive(Debug, Default)]
pub(super) struct Monotonic {
    applied: BTreeMap<NodeId, Index>,
    terms: BTreeMap<NodeId, Term>,
}

impl Invariant for Monotonic {
    fn name(&self) -> &'static str {
        "a node never goes back"
    }

    fn check(&mut self, event: &Event, _oracle: &Oracle) -> Result<(), String> {
        match &event.what {
            What::Applied { node, state, .. } => {
                rise(&mut self.applied, *node, state.index(), "applied")
            }
            What::Led { node, leadership } => match leadership.term() {
                // Not known yet: the replica is starting.
                None | Some(Term(0)) => Ok(()),
                Some(term) => rise(&mut self.terms, *node, term, "was in term"),
            },
            _ => Ok(()),
        }
    }
}

fn rise<T: Ord + Copy + std::fmt::Display>(
    known: &mut BTreeMap<NodeId, T>,
    node: NodeId,
    now: T,
    what: &str,
) -> Result<(), String> {
    match known.insert(node, now) {
        Some(before) if before > now => Err(format!("node {node} {what} {before} and then {now}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::Monotonic;
    use crate::invariants::sample::{applied, authorize, check, follows, leads, state, violates};

    #[test]
    fn nodes_advance_on_their_own() {
        let (early, late) = (state(&[]), state(&[(1, 5, authorize("a.example"))]));
        let events = vec![
            applied(1, &late),
            applied(2, &early),
            leads(1, 7),
            follows(1, 0),
            follows(2, 3),
            leads(1, 7),
        ];
        check(Monotonic::default(), events).unwrap();
    }

    #[test]
    fn a_lost_index_is_seen() {
        let (early, late) = (state(&[]), state(&[(1, 5, authorize("a.example"))]));
        violates(
            Monotonic::default(),
            vec![applied(2, &late), applied(2, &early)],
            "node 2 applied 5 and then 1",
        );
    }

    #[test]
    fn a_forgotten_vote_is_seen() {
        violates(
            Monotonic::default(),
            vec![follows(3, 8), follows(3, 7)],
            "node 3 was in term 8 and then 7",
        );
    }
}
