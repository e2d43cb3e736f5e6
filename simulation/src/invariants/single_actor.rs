//! Only the leader acts at the CA (I10): what has an effect there comes from a node that
//! led when it sent it, and left before another had taken over, whatever its sender still
//! believed. And all leaders are one account.

use std::collections::{BTreeMap, BTreeSet};

use state::ports::Leadership;
use state::{Epoch, NodeId};

use super::Invariant;
use crate::deed::{Deed, Posted};
use crate::events::{Event, What};
use crate::oracle::Oracle;
use crate::scenario::Plague;

/// How long what was sent may be on its way, in milliseconds, unless it was held back.
const ON_ITS_WAY: u64 = 1000;

/// When each node led last.
#[derive(Debug, Default)]
pub(super) struct SingleActor {
    leads: BTreeSet<NodeId>,
    led: BTreeMap<NodeId, u64>,
    /// Whose messages were ever held back, and came later.
    stalled: BTreeSet<NodeId>,
    account: Option<String>,
    /// The last takeover, and when it was seen.
    epoch: Epoch,
    taken_over: u64,
}

impl Invariant for SingleActor {
    fn name(&self) -> &'static str {
        "only the leader acts at the CA"
    }

    fn check(&mut self, event: &Event, _oracle: &Oracle) -> Result<(), String> {
        match &event.what {
            What::Led { node, leadership } => {
                if matches!(leadership, Leadership::Leading(_)) {
                    self.leads.insert(*node);
                } else {
                    self.leads_no_more(*node, event.tick);
                }
            }
            What::Crashed { node, .. } | What::Expelled { node } => {
                self.leads_no_more(*node, event.tick);
            }
            What::Troubled {
                plague: Plague::Stall { .. },
                victims,
                ..
            } => self.stalled.extend(victims),
            What::Ca(Deed::Account(id)) => {
                let first = self.account.get_or_insert_with(|| id.clone());
                if first != id {
                    return Err(format!("there are two accounts, {first} and {id}"));
                }
            }
            What::Applied { state, .. } if state.epoch().term > self.epoch.term => {
                self.epoch = state.epoch();
                self.taken_over = event.tick;
            }
            What::Ca(Deed::Posted(posted)) => return self.acts(posted, event.tick),
            _ => {}
        }
        Ok(())
    }
}

impl SingleActor {
    fn leads_no_more(&mut self, node: NodeId, now: u64) {
        if self.leads.remove(&node) {
            self.led.insert(node, now);
        }
    }

    fn acts(&self, posted: &Posted, now: u64) -> Result<(), String> {
        let Some(effect) = Deed::effect(&posted.path) else {
            return Ok(());
        };
        let Some(node) = posted.node else {
            return Err(format!("{effect:?} came from no node"));
        };
        let late = posted.left.filter(|left| *left > self.taken_over);
        if let Some(left) = late.filter(|_| node != self.epoch.node) {
            return Err(format!(
                "{effect:?} left node {node} at {left}, and node {} had taken over at {}",
                self.epoch.node, self.taken_over
            ));
        }
        if self.leads.contains(&node) || self.stalled.contains(&node) {
            return Ok(());
        }
        match self.led.get(&node) {
            Some(led) if now <= led + ON_ITS_WAY => Ok(()),
            Some(led) => Err(format!(
                "{effect:?} came from node {node}, which led last {} ms ago",
                now - led
            )),
            None => Err(format!("{effect:?} came from node {node}, which never led")),
        }
    }
}

#[cfg(test)]
mod tests {
    use state::NodeId;

    use super::SingleActor;
    use crate::deed::{Deed, Posted};
    use crate::events::What;
    use crate::invariants::sample::{applied, check, finalizing, follows, leads, violates};

    fn posted(node: u64, path: &str) -> What {
        sent(node, path, None)
    }

    fn sent(node: u64, path: &str, left: Option<u64>) -> What {
        What::Ca(Deed::Posted(Posted {
            node: Some(NodeId(node)),
            left,
            path: path.into(),
            status: 200,
        }))
    }

    #[test]
    fn a_leader_acts_and_others_read() {
        let events = vec![
            leads(1, 1),
            posted(1, "/order"),
            posted(2, "/order/7"),
            follows(1, 2),
            posted(1, "/order/7/finalize"),
        ];
        check(SingleActor::default(), events).unwrap();
    }

    #[test]
    fn who_does_not_lead_and_acts_is_seen() {
        violates(
            SingleActor::default(),
            vec![posted(2, "/order")],
            "never led",
        );
        let mut late = vec![leads(1, 1), follows(1, 2)];
        late.extend(std::iter::repeat_n(posted(1, "/order/7"), 1001));
        late.push(posted(1, "/authorization/7/http-01"));
        violates(SingleActor::default(), late, "which led last 1002 ms ago");
    }

    #[test]
    fn what_leaves_after_another_has_taken_over_is_seen_and_what_is_held_back_is_not() {
        let (_, state) = finalizing("a.example");
        let leader = state.epoch().node;
        assert_ne!(leader, NodeId(2));
        let taken_over = || vec![leads(2, 1), applied(1, &state)];
        let with = |event| taken_over().into_iter().chain([event]).collect();
        let path = "/order/7/finalize";
        check(SingleActor::default(), with(sent(2, path, Some(1)))).unwrap();
        check(SingleActor::default(), with(sent(2, "/order/7", Some(2)))).unwrap();
        let late = with(sent(2, path, Some(2)));
        violates(SingleActor::default(), late, "had taken over at 1");
    }

    #[test]
    fn a_second_account_is_seen() {
        let account = |id: &str| What::Ca(Deed::Account(id.into()));
        check(SingleActor::default(), vec![account("a")]).unwrap();
        violates(
            SingleActor::default(),
            vec![account("a"), account("b")],
            "two accounts",
        );
    }
}
