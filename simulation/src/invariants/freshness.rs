//! While nothing is wrong, every node that is up soon serves what was acknowledged (I14):
//! a hostname that was removed is not served for long.

use std::collections::BTreeMap;
use std::sync::Arc;

use state::{Index, NodeId, State};

use super::Invariant;
use crate::events::{Event, What};
use crate::oracle::Oracle;
use crate::views::takes_part;

/// How long a node may lag, in milliseconds: a second as a rule, and longer while leadership
/// is handed over.
const WITHIN: u64 = 2000;

/// How long after trouble the promise holds again: connections must be found dead, elections
/// be held and a failed disk be tried again.
const SETTLED: u64 = 25_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Freshness {
    applied: BTreeMap<NodeId, Index>,
    latest: Arc<State>,
    troubles: usize,
    /// When something was wrong last; never, if all was well since the founding.
    disturbed: Option<u64>,
    /// What was known, and since when, oldest first.
    known: Vec<(u64, Index)>,
    down: Vec<NodeId>,
}

impl Invariant for Freshness {
    fn name(&self) -> &'static str {
        "nodes soon serve what was acknowledged"
    }

    fn check(&mut self, event: &Event, oracle: &Oracle) -> Result<(), String> {
        match &event.what {
            What::Founded => {
                self.disturbed = None;
                return Ok(());
            }
            What::Troubled { .. } => self.troubles += 1,
            What::Over { .. } => self.troubles = self.troubles.saturating_sub(1),
            What::Applied { node, state, .. } => {
                self.applied.insert(*node, state.index());
                if state.index() > self.latest.index() {
                    self.latest = Arc::clone(state);
                }
            }
            What::Crashed { node, .. } => self.down.push(*node),
            What::Restarted { node } => self.down.retain(|down| down != node),
            What::Expelled { node } | What::Refused { node, .. } => {
                self.applied.remove(node);
            }
            What::Entered { node } => {
                // It has a whole state to take over first.
                self.applied.remove(node);
            }
            _ => {}
        }
        let disturbs = matches!(
            event.what,
            What::Troubled { .. }
                | What::Over { .. }
                | What::Crashed { .. }
                | What::Restarted { .. }
                | What::Entered { .. }
                | What::Refused { .. }
                | What::Halted { .. }
        );
        if disturbs || self.troubles > 0 {
            self.disturbed = Some(event.tick);
        }
        if self
            .known
            .last()
            .is_none_or(|(_, known)| *known < oracle.known())
        {
            self.known.push((event.tick, oracle.known()));
        }
        self.look(event.tick)
    }
}

impl Freshness {
    fn look(&mut self, now: u64) -> Result<(), String> {
        let due = self.known.iter();
        let due = due.take_while(|(since, _)| since + WITHIN <= now).count();
        let Some((since, index)) = self.known.drain(..due).next_back() else {
            return Ok(());
        };
        if self
            .disturbed
            .is_some_and(|disturbed| disturbed + SETTLED > since)
        {
            return Ok(());
        }
        let mut serving = self
            .applied
            .iter()
            .filter(|(node, _)| !self.down.contains(node) && takes_part(&self.latest, **node));
        let late = serving.find(|(_, applied)| **applied < index);
        match late {
            None => Ok(()),
            Some((node, applied)) => Err(format!(
                "node {node} has {applied}, {index} was known {} ms ago",
                now - since
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Freshness;
    use crate::events::What;
    use crate::invariants::sample::{INVITE, applied, asked, check, done, state, violates, voting};

    fn late(trouble: bool) -> Vec<What> {
        let mut events = vec![What::Founded, applied(1, &voting(state(&[])))];
        if trouble {
            events.push(What::Over { number: 0 });
        }
        events.extend([asked(1, INVITE), done(1, 9)]);
        events.extend(std::iter::repeat_n(
            What::Resumed {
                node: state::NodeId(1),
            },
            2001,
        ));
        events
    }

    #[test]
    fn a_node_that_lags_is_seen_unless_something_was_wrong() {
        violates(
            Freshness::default(),
            late(false),
            "node 1 has 1, 9 was known",
        );
        check(Freshness::default(), late(true)).unwrap();
    }
}
