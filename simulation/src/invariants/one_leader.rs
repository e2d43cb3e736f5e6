//! A term has one leader (I5).

use std::collections::BTreeMap;

use state::ports::Leadership;
use state::{NodeId, Term};

use super::Invariant;
use crate::events::{Event, What};
use crate::oracle::Oracle;

/// Who led in each term.
#[derive(Debug, Default)]
pub(super) struct OneLeader(BTreeMap<Term, NodeId>);

impl Invariant for OneLeader {
    fn name(&self) -> &'static str {
        "a term has one leader"
    }

    fn check(&mut self, event: &Event, _oracle: &Oracle) -> Result<(), String> {
        let (term, node) = match &event.what {
            What::Led {
                node,
                leadership: Leadership::Leading(term),
            } => (*term, *node),
            What::Led {
                leadership:
                    Leadership::Following {
                        term,
                        leader: Some(leader),
                    },
                ..
            } => (*term, *leader),
            _ => return Ok(()),
        };
        let leader = *self.0.entry(term).or_insert(node);
        if leader == node {
            Ok(())
        } else {
            Err(format!("nodes {leader} and {node} lead in term {term}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::OneLeader;
    use crate::invariants::sample::{check, follows, leads, violates};

    #[test]
    fn each_term_may_have_its_own_leader() {
        check(
            OneLeader::default(),
            vec![
                leads(1, 1),
                follows(2, 1),
                leads(2, 2),
                leads(1, 3),
                leads(1, 3),
            ],
        )
        .unwrap();
    }

    #[test]
    fn two_leaders_in_a_term_are_seen() {
        violates(
            OneLeader::default(),
            vec![leads(1, 1), leads(2, 2), leads(3, 1)],
            "nodes 1 and 3 lead in term 1",
        );
    }
}
