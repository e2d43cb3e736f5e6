//! What is done to the cluster, drawn from the seed: one partition, one crash with the
//! loss of what was not flushed, and in one seed of two a disk that fails for a while.

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
    /// A machine's disk takes no writes any more.
    DiskFails { node: NodeId },
    /// It does again.
    DiskMended { node: NodeId },
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
            Self::DiskFails { node } => write!(f, "node {node}'s disk fails"),
            Self::DiskMended { node } => write!(f, "node {node}'s disk is mended"),
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
    FailDisk(NodeId),
    MendDisk(NodeId),
}

/// A crash may wait so many steps for the victim to write: long, for a cluster that
/// is idle or has no leader writes nothing but votes.
const AWAIT_WRITE: u64 = 1000;

#[derive(Debug, Clone, Copy)]
struct Span {
    begin: u64,
    length: u64,
}

impl Span {
    /// Begins in the first two thirds of `steps`, so that there is work during it,
    /// and after it.
    fn draw(chance: &mut Chance, steps: u64, longest: u64) -> Self {
        let begin = chance.between(steps / 20, steps * 2 / 3);
        Self {
            begin,
            length: chance.between(1.max(longest / 20), longest.max(1)),
        }
    }
}

#[derive(Debug)]
struct Partition {
    span: Span,
    victim: Victim,
    /// One pair only, and not all of the victim's.
    one_link: bool,
}

#[derive(Debug)]
struct Outage {
    span: Span,
    victim: Victim,
    /// In the middle of a write, so that something is lost.
    amid_write: bool,
    /// Who went down, and when it comes back.
    down: Option<(NodeId, u64)>,
}

#[derive(Debug)]
struct Decay {
    span: Span,
    victim: Victim,
    /// Whose disk fails, and when it is mended.
    failing: Option<(NodeId, u64)>,
}

/// The faults of a run.
#[derive(Debug)]
pub(crate) struct Faults {
    partition: Partition,
    outage: Outage,
    decay: Option<Decay>,
}

impl Faults {
    /// Drawn for a run of `steps`, in which they begin.
    pub(crate) fn draw(chance: &mut Chance, steps: u64, nodes: &[NodeId]) -> Self {
        let partition = Partition {
            span: Span::draw(chance, steps, steps / 2),
            victim: Victim::draw(chance, nodes),
            one_link: chance.one_in(3),
        };
        let outage = Outage {
            span: Span::draw(chance, steps, steps / 3),
            victim: Victim::draw(chance, nodes),
            amid_write: chance.one_in(2),
            down: None,
        };
        let decay = chance.one_in(2).then(|| Decay {
            span: Span::draw(chance, steps, steps / 3),
            victim: Victim::draw(chance, nodes),
            failing: None,
        });
        Self {
            partition,
            outage,
            decay,
        }
    }

    /// What is due at `step`, given who leads and who is just writing.
    pub(crate) fn due(
        &mut self,
        step: u64,
        leader: Option<NodeId>,
        nodes: &[NodeId],
        writes: impl Fn(NodeId) -> bool,
    ) -> Vec<Step> {
        let mut due = Vec::new();
        due.extend(self.partition.due(step, leader, nodes));
        due.extend(self.outage.due(step, leader, writes));
        let decay = self.decay.as_mut();
        due.extend(decay.and_then(|decay| decay.due(step, leader)));
        due
    }
}

impl Outage {
    fn due(
        &mut self,
        step: u64,
        leader: Option<NodeId>,
        writes: impl Fn(NodeId) -> bool,
    ) -> Option<Step> {
        if let Some((node, until)) = self.down {
            return (step == until).then_some(Step::Restart(node));
        }
        let node = self.victim.find(leader);
        let waits = self.amid_write && step < self.span.begin + AWAIT_WRITE && !writes(node);
        if step < self.span.begin || waits {
            return None;
        }
        self.down = Some((node, step + self.span.length));
        Some(Step::Crash(node))
    }
}

impl Decay {
    fn due(&mut self, step: u64, leader: Option<NodeId>) -> Option<Step> {
        if let Some((node, until)) = self.failing {
            return (step == until).then_some(Step::MendDisk(node));
        }
        if step < self.span.begin {
            return None;
        }
        let node = self.victim.find(leader);
        self.failing = Some((node, step + self.span.length));
        Some(Step::FailDisk(node))
    }
}

impl Partition {
    fn due(&self, step: u64, leader: Option<NodeId>, nodes: &[NodeId]) -> Option<Step> {
        if step == self.span.begin {
            return Some(Step::Cut(self.pairs(self.victim.find(leader), nodes)));
        }
        (step == self.span.begin + self.span.length).then_some(Step::Heal)
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
    fn each_seed_brings_one_partition_and_one_crash_and_some_a_failing_disk() {
        let nodes = [1, 2, 3].map(NodeId);
        let mut decays = 0;
        for seed in 0..100 {
            let mut faults = Faults::draw(&mut Chance::new(seed), 1000, &nodes);
            let due = |step| faults.due(step, Some(NodeId(2)), &nodes, |_| step % 50 == 0);
            let steps: Vec<Step> = (0..3000).flat_map(due).collect();
            let count = |kind: fn(&Step) -> bool| steps.iter().filter(|step| kind(step)).count();
            assert_eq!(count(|step| matches!(step, Step::Cut(_))), 1);
            assert_eq!(count(|step| matches!(step, Step::Heal)), 1);
            assert_eq!(count(|step| matches!(step, Step::Crash(_))), 1);
            assert_eq!(count(|step| matches!(step, Step::Restart(_))), 1);
            let failed = count(|step| matches!(step, Step::FailDisk(_)));
            assert_eq!(count(|step| matches!(step, Step::MendDisk(_))), failed);
            decays += failed;
        }
        assert!((30..70).contains(&decays), "{decays}");
    }
}
