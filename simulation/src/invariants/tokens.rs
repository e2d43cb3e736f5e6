//! An invitation lets one machine in, once, and only while it holds (I18); ids of members
//! are never used again, and who was removed leads no more (I17).

use std::collections::{BTreeMap, BTreeSet};

use state::ports::{Applied, Leadership};
use state::{InvitationId, NodeId, Outcome, State};

use super::Invariant;
use crate::events::{Event, What};
use crate::operation::{Answer, Operation};
use crate::oracle::Oracle;

/// Who came in by what, and who was removed.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    came_by: BTreeMap<InvitationId, NodeId>,
    names: BTreeMap<NodeId, String>,
    removed: BTreeSet<NodeId>,
    expelled: BTreeSet<NodeId>,
}

impl Invariant for Tokens {
    fn name(&self) -> &'static str {
        "a token lets one machine in, and a removed one stays out"
    }

    fn check(&mut self, event: &Event, oracle: &Oracle) -> Result<(), String> {
        match &event.what {
            What::Applied { state, .. } => self.members(state),
            What::Answered { op, answer, .. } => {
                let asked = oracle.promise(*op).map(|promise| &promise.operation);
                let done = matches!(
                    answer,
                    Answer::Applied(Applied {
                        outcome: Outcome::Done(_),
                        ..
                    })
                );
                match asked {
                    Some(Operation::Spend(id, machine)) if done => {
                        Err(format!("{id}, spent already, let machine {machine} in"))
                    }
                    _ => Ok(()),
                }
            }
            What::Expelled { node } => {
                self.expelled.insert(*node);
                Ok(())
            }
            What::Led {
                node,
                leadership: Leadership::Leading(term),
            } if self.expelled.contains(node) => Err(format!(
                "node {node} leads in {term}, though it was expelled"
            )),
            _ => Ok(()),
        }
    }
}

impl Tokens {
    fn members(&mut self, state: &State) -> Result<(), String> {
        self.removed
            .extend(state.removed().map(|removed| removed.id));
        for member in state.members() {
            let id = member.id;
            let name = self.names.entry(id).or_insert_with(|| member.name.clone());
            if *name != member.name {
                return Err(format!("node {id} is {name} and {}", member.name));
            }
            if state.is_removed(id) {
                return Err(format!("node {id} is a member and was removed"));
            }
            let Some(invitation) = member.invitation else {
                continue;
            };
            let first = *self.came_by.entry(invitation).or_insert(id);
            if first != id {
                return Err(format!("nodes {first} and {id} came by {invitation}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use state::{InvitationId, NodeId};

    use super::Tokens;
    use crate::events::What;
    use crate::invariants::sample::{asked, check, done, leads, refused, violates};
    use crate::operation::Operation;

    const SPEND: Operation = Operation::Spend(InvitationId(4), 9);

    #[test]
    fn a_spent_token_is_refused() {
        check(Tokens::default(), vec![asked(1, SPEND), refused(1, 5)]).unwrap();
        violates(
            Tokens::default(),
            vec![asked(1, SPEND), done(1, 5)],
            "spent already, let machine 9 in",
        );
    }

    #[test]
    fn an_expelled_leader_is_seen() {
        let expelled = What::Expelled { node: NodeId(2) };
        violates(
            Tokens::default(),
            vec![leads(2, 1), expelled, leads(2, 2)],
            "though it was expelled",
        );
    }
}
