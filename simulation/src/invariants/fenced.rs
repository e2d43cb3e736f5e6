//! A duty is done in the term for which it was proposed, and never once another leader has
//! taken over (I10).

use std::collections::BTreeMap;

use state::{Index, Term};

use super::Invariant;
use crate::events::{Event, What};
use crate::oracle::Oracle;

/// Whose term it was, from the first place in the log on at which that was seen.
#[derive(Debug, Default)]
pub(super) struct Fenced(BTreeMap<Index, Term>);

impl Invariant for Fenced {
    fn name(&self) -> &'static str {
        "a duty is done in its own term"
    }

    fn check(&mut self, event: &Event, _oracle: &Oracle) -> Result<(), String> {
        match &event.what {
            What::Applied { state, .. } => {
                let (index, term) = (state.index(), state.epoch().term);
                if self.before(index).is_none_or(|known| known < term) {
                    self.0.insert(index, term);
                }
                Ok(())
            }
            What::Did {
                node, term, index, ..
            } => match self.before(*index) {
                Some(now) if now > *term => Err(format!(
                    "node {node} did a duty of term {term} at {index}, in term {now}"
                )),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

impl Fenced {
    /// The term before the entry at `index`, as far as it was seen.
    fn before(&self, index: Index) -> Option<Term> {
        let earlier = self.0.range(..index).next_back();
        earlier.map(|(_, term)| *term)
    }
}

#[cfg(test)]
mod tests {
    use state::{Index, NodeId, Term};

    use super::Fenced;
    use crate::events::What;
    use crate::invariants::sample::{admitted, applied, check, violates};

    fn did(term: u64, after: Index) -> What {
        What::Did {
            node: NodeId(2),
            term: Term(term),
            index: Index(after.0 + 1),
            orders: None,
        }
    }

    #[test]
    fn a_duty_of_a_term_that_is_over_is_seen() {
        let state = admitted("a.example");
        let (now, index) = (state.epoch().term, state.index());
        let seen = || applied(1, &state);
        check(Fenced::default(), vec![seen(), did(now.0, index)]).unwrap();
        // Of a term that has begun, and was not seen yet.
        check(Fenced::default(), vec![seen(), did(now.0 + 1, index)]).unwrap();
        violates(
            Fenced::default(),
            vec![seen(), did(now.0 - 1, index)],
            "node 2 did a duty of term 0",
        );
    }
}
