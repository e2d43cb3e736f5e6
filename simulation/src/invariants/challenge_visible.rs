//! When the CA is told that a challenge is ready, every node that serves can answer it
//! (I11): a balancer may lead the CA to any. Judged while nothing is wrong, for then all
//! are heard of. Not of a node that lacks an entry for longer than the barrier waits
//! (`leader::Config::barrier`): it may wait until a connection is known to be dead, up to 10 s,
//! and has much to catch up then.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use state::{NodeId, State};

use super::Invariant;
use crate::deed::{Deed, Effect, Posted};
use crate::events::{Event, What};
use crate::oracle::Oracle;
use crate::views::takes_part;

/// How long nothing must have been wrong, in milliseconds.
const SETTLED: u64 = 5000;

/// How long the barrier waits, in milliseconds.
const BARRIER: u64 = 2000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct ChallengeVisible {
    states: BTreeMap<NodeId, Arc<State>>,
    /// When a node had applied as much as that, first.
    applied_at: BTreeMap<state::Index, u64>,
    /// The place in the log at which the challenges of an authorization were there first.
    there_at: BTreeMap<String, state::Index>,
    present: BTreeSet<usize>,
    disturbed: u64,
}

impl Invariant for ChallengeVisible {
    fn name(&self) -> &'static str {
        "challenges are there before the CA looks"
    }

    fn check(&mut self, event: &Event, _oracle: &Oracle) -> Result<(), String> {
        match &event.what {
            What::Applied { node, state, .. } => self.applied(*node, event.tick, state),
            What::Troubled { number, .. } => {
                self.present.insert(*number);
                self.disturbed = event.tick;
            }
            What::Over { number } => {
                self.present.remove(number);
                self.disturbed = event.tick;
            }
            What::Crashed { node, .. } | What::Expelled { node } | What::Halted { node, .. } => {
                self.states.remove(node);
                self.disturbed = event.tick;
            }
            What::Restarted { .. } | What::Entered { .. } => self.disturbed = event.tick,
            What::Ca(Deed::Posted(Posted {
                path, status: 200, ..
            })) if Deed::effect(path) == Some(Effect::Challenge) => {
                let calm = self.present.is_empty() && event.tick > self.disturbed + SETTLED;
                if calm {
                    return self.ready(path, event.tick);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl ChallengeVisible {
    fn applied(&mut self, node: NodeId, tick: u64, state: &Arc<State>) {
        for order in state.orders() {
            let placed = order.stage.placed().into_iter();
            for authorization in placed.flat_map(|placed| &placed.authorizations) {
                if let Some((_, id)) = authorization.url.rsplit_once('/') {
                    let first = self.there_at.entry(id.to_owned()).or_insert(state.index());
                    *first = state.index().min(*first);
                }
            }
        }
        self.applied_at.entry(state.index()).or_insert(tick);
        self.states.insert(node, Arc::clone(state));
    }

    fn ready(&self, path: &str, now: u64) -> Result<(), String> {
        let Some(id) = path.split('/').nth(2) else {
            return Ok(());
        };
        let Some(there_at) = self.there_at.get(id) else {
            return Err(format!("no node ever had the challenge of {id}"));
        };
        let latest = self.states.values().max_by_key(|state| state.index());
        let lacks_for_long = |state: &State| {
            let after = (Bound::Excluded(state.index()), Bound::Unbounded);
            let next = self.applied_at.range(after).next();
            next.is_some_and(|(_, tick)| tick + BARRIER <= now)
        };
        let mut serving = self
            .states
            .iter()
            .filter(|(node, _)| latest.is_some_and(|state| takes_part(state, **node)));
        let lacking =
            serving.find(|(_, state)| state.index() < *there_at && !lacks_for_long(state));
        match lacking {
            None => Ok(()),
            Some((node, state)) => Err(format!(
                "node {node} has {}, and the challenge of {id} came at {there_at}",
                state.index()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use state::NodeId;

    use super::ChallengeVisible;
    use crate::deed::{Deed, Posted};
    use crate::events::What;
    use crate::invariants::sample::{applied, check, finalizing, state, violates, voting};

    /// `late` has not applied the challenge that another node has for so long.
    fn told(late: u64, lacking: usize) -> Vec<What> {
        let (id, there) = finalizing("a.example");
        let waiting = What::Resumed { node: NodeId(1) };
        let mut events = vec![waiting.clone(); 5001];
        events.push(applied(late, &voting(state(&[]))));
        events.push(applied(3, &voting(there)));
        events.extend(vec![waiting; lacking]);
        events.push(What::Ca(Deed::Posted(Posted {
            node: Some(NodeId(1)),
            left: None,
            path: format!("/authorization/{id}/http-01"),
            status: 200,
        })));
        events
    }

    #[test]
    fn a_node_that_serves_without_the_challenge_is_seen() {
        violates(
            ChallengeVisible::default(),
            told(1, 0),
            "node 1 has 1, and the challenge of",
        );
    }

    #[test]
    fn one_that_does_not_take_part_is_not_waited_for() {
        check(ChallengeVisible::default(), told(2, 0)).unwrap();
    }

    #[test]
    fn one_that_catches_up_after_long_is_not_waited_for() {
        let mut events = told(1, 2000);
        // It has heard of something at last, and not yet of all.
        events.insert(7001, applied(1, &voting(state(&[]))));
        check(ChallengeVisible::default(), events).unwrap();
    }

    #[test]
    fn one_that_nothing_reaches_is_not_waited_for() {
        check(ChallengeVisible::default(), told(1, 2000)).unwrap();
        violates(ChallengeVisible::default(), told(1, 1990), "node 1 has 1");
    }
}
