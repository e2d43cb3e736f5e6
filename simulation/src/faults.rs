//! What is done to the cluster, drawn from the seed: one partition, and one crash
//! with the loss of what was not flushed.

use std::fmt;

use state::NodeId;

use crate::chance::Chance;

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// These pairs exchange nothing any more, both ways.
    Cut(Vec<(NodeId, NodeId)>),
    /// All pairs do again.
    Healed,
    /// A machine lost power, and `lost` changes that were not durable.
    Crashed { node: NodeId, lost: usize },
    /// It is back.
    Restarted { node: NodeId },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut(pairs) => {
                f.write_str("cut")?;
                pairs.iter().try_for_each(|(a, b)| write!(f, " {a}-{b}"))
            }
            Self::Healed => f.write_str("healed"),
            Self::Crashed { node, lost } => write!(f, "node {node} lost power and {lost} changes"),
            Self::Restarted { node } => write!(f, "node {node} restarted"),
        }
    }
}

/// Whom a fault hits; found out when it does.
#[derive(Debug, Clone, Copy)]
struct Victim {
    /// Whoever leads then, if somebody does.
    leader: bool,
    otherwise: NodeId,
}

impl Victim {
    fn draw(chance: &mut Chance, nodes: &[NodeId]) -> Self {
        let otherwise = chance.pick(nodes).copied().unwrap_or_default();
        Self {
            leader: chance.one_in(2),
            otherwise,
        }
    }

    fn find(self, leader: Option<NodeId>) -> NodeId {
        leader.filter(|_| self.leader).unwrap_or(self.otherwise)
    }
}

/// What is to be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Cut(Vec<(NodeId, NodeId)>),
    Heal,
    Crash(NodeId),
    Restart(NodeId),
}

#[derive(Debug)]
struct Span {
    begin: u64,
    end: u64,
}

impl Span {
    /// Begins in the first two thirds of `steps`, so that there is work during it,
    /// and after it.
    fn draw(chance: &mut Chance, steps: u64, longest: u64) -> Self {
        let begin = chance.between(steps / 20, steps * 2 / 3);
        Self {
            begin,
            end: begin + chance.between(1.max(longest / 20), longest.max(1)),
        }
    }
}

/// The faults of a run.
#[derive(Debug)]
pub(crate) struct Faults {
    partition: Span,
    isolated: Victim,
    /// One pair only, and not all of the victim's.
    one_link: bool,
    outage: Span,
    crashed: Victim,
    down: Option<NodeId>,
}

impl Faults {
    /// Drawn for a run of `steps`, in which they begin.
    pub(crate) fn draw(chance: &mut Chance, steps: u64, nodes: &[NodeId]) -> Self {
        Self {
            partition: Span::draw(chance, steps, steps / 2),
            isolated: Victim::draw(chance, nodes),
            one_link: chance.one_in(3),
            outage: Span::draw(chance, steps, steps / 3),
            crashed: Victim::draw(chance, nodes),
            down: None,
        }
    }

    /// What is due at `step`, given who leads.
    pub(crate) fn due(&mut self, step: u64, leader: Option<NodeId>, nodes: &[NodeId]) -> Vec<Step> {
        let mut due = Vec::new();
        if step == self.partition.begin {
            due.push(Step::Cut(self.pairs(self.isolated.find(leader), nodes)));
        }
        if step == self.partition.end {
            due.push(Step::Heal);
        }
        if step == self.outage.begin {
            let node = self.crashed.find(leader);
            self.down = Some(node);
            due.push(Step::Crash(node));
        }
        if step == self.outage.end {
            due.extend(self.down.take().map(Step::Restart));
        }
        due
    }

    fn pairs(&self, victim: NodeId, nodes: &[NodeId]) -> Vec<(NodeId, NodeId)> {
        let others = nodes.iter().filter(|node| **node != victim);
        others
            .map(|other| (victim, *other))
            .take(if self.one_link { 1 } else { usize::MAX })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_seed_brings_one_partition_and_one_crash() {
        let nodes = [1, 2, 3].map(NodeId);
        for seed in 0..100 {
            let mut faults = Faults::draw(&mut Chance::new(seed), 1000, &nodes);
            let steps: Vec<Step> = (0..2000)
                .flat_map(|step| faults.due(step, Some(NodeId(2)), &nodes))
                .collect();
            let count = |kind: fn(&Step) -> bool| steps.iter().filter(|step| kind(step)).count();
            assert_eq!(count(|step| matches!(step, Step::Cut(_))), 1);
            assert_eq!(count(|step| matches!(step, Step::Heal)), 1);
            assert_eq!(count(|step| matches!(step, Step::Crash(_))), 1);
            assert_eq!(count(|step| matches!(step, Step::Restart(_))), 1);
        }
    }
}
