//! What clients asked and were promised: the truth outside of the cluster.

use std::collections::{BTreeMap, BTreeSet};

use state::ports::Applied;
use state::{Hostname, Index, NodeId, Outcome};

use crate::events::{Event, What};
use crate::operation::{Answer, Op, Operation};

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Promise {
    pub(crate) node: NodeId,
    pub(crate) operation: Operation,
    /// When it was asked.
    pub(crate) asked: u64,
    /// The greatest index that any client had been told of by then.
    pub(crate) known: Index,
    /// Absent while it is in flight.
    pub(crate) answer: Option<Answer>,
    /// When it was answered.
    pub(crate) answered: Option<u64>,
}

impl Promise {
    /// Where it took effect, if that was promised.
    pub(crate) const fn done_at(&self) -> Option<Index> {
        match &self.answer {
            Some(Answer::Applied(Applied {
                index,
                outcome: Outcome::Done(_),
            })) => Some(*index),
            _ => None,
        }
    }

    /// Whether it took effect, or nobody can say that it did not and will not.
    pub(crate) const fn may_have_happened(&self) -> bool {
        matches!(
            self.answer,
            None | Some(
                Answer::Unknown
                    | Answer::Applied(Applied {
                        outcome: Outcome::Done(_),
                        ..
                    })
            )
        )
    }
}

/// All calls.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    promises: BTreeMap<Op, Promise>,
    by_hostname: BTreeMap<Hostname, Vec<Op>>,
    in_flight: BTreeSet<Op>,
    known: Index,
}

impl Oracle {
    /// Takes an event in.
    pub(crate) fn note(&mut self, event: &Event) {
        match &event.what {
            What::Asked {
                op,
                node,
                operation,
            } => {
                if let Some(hostname) = operation.hostname() {
                    self.by_hostname
                        .entry(hostname.clone())
                        .or_default()
                        .push(*op);
                }
                self.in_flight.insert(*op);
                let promise = Promise {
                    node: *node,
                    operation: operation.clone(),
                    asked: event.tick,
                    known: self.known,
                    answer: None,
                    answered: None,
                };
                self.promises.insert(*op, promise);
            }
            What::Answered { op, answer, .. } => {
                self.in_flight.remove(op);
                if let Answer::Applied(Applied { index, .. }) | Answer::Read(index, _) = answer {
                    self.known = self.known.max(*index);
                }
                if let Some(promise) = self.promises.get_mut(op) {
                    promise.answer = Some(answer.clone());
                    promise.answered = Some(event.tick);
                }
            }
            _ => {}
        }
    }

    pub(crate) fn promise(&self, op: Op) -> Option<&Promise> {
        self.promises.get(&op)
    }

    pub(crate) fn promises(&self) -> impl Iterator<Item = (&Op, &Promise)> {
        self.promises.iter()
    }

    /// All calls about a hostname, each hostname once.
    pub(crate) fn hostnames(&self) -> impl Iterator<Item = (&Hostname, Vec<(Op, &Promise)>)> {
        self.by_hostname.iter().map(|(name, ops)| {
            let promises = ops.iter().filter_map(|op| Some((*op, self.promise(*op)?)));
            (name, promises.collect())
        })
    }

    /// Those in flight at `node`.
    pub(crate) fn in_flight_at(&self, node: NodeId) -> Vec<Op> {
        let there = |op: &&Op| {
            self.promise(**op)
                .is_some_and(|promise| promise.node == node)
        };
        self.in_flight.iter().filter(there).copied().collect()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The greatest index that any client was told of.
    pub(crate) const fn known(&self) -> Index {
        self.known
    }
}
