//! Does to the cluster what a scenario says, and undoes it when its time is over.

use std::collections::BTreeSet;

use state::NodeId;

use crate::cluster::Cluster;
use crate::events::What;
use crate::links::Way as Passage;
use crate::post::Odds;
use crate::run::Violation;
use crate::scenario::{Plague, Trouble, Victim, Way};
use crate::stage::Stage;

/// A crash may wait so many steps for the victim to write: long, for a cluster that
/// is idle or has no leader writes nothing but votes.
const AWAIT_WRITE: u64 = 1000;

/// All troubles of a run.
#[derive(Debug)]
pub(crate) struct Troubles {
    planned: Vec<Trouble>,
    stages: Vec<Phase>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    Planned,
    /// Until then, with these victims.
    Present(u64, Vec<NodeId>),
    Over,
}

impl Troubles {
    pub(crate) fn new(planned: Vec<Trouble>) -> Self {
        let stages = planned.iter().map(|_| Phase::Planned).collect();
        Self { planned, stages }
    }

    /// Begins and ends what is due at `step`.
    pub(crate) fn turn(&mut self, stage: &mut Stage, step: u64) -> Result<(), Violation> {
        for number in 0..self.planned.len() {
            let (Some(trouble), Some(phase)) =
                (self.planned.get(number), self.stages.get_mut(number))
            else {
                continue;
            };
            match phase {
                Phase::Planned if step >= trouble.at => {
                    let waited = step >= trouble.at + AWAIT_WRITE;
                    if let Some(victims) = begin(stage, number, &trouble.plague, waited)? {
                        *phase = Phase::Present(step + trouble.lasts, victims);
                    }
                }
                Phase::Present(until, victims) if step >= *until => {
                    let victims = std::mem::take(victims);
                    *phase = Phase::Over;
                    end(stage, number, &trouble.plague, &victims)?;
                }
                _ => {}
            }
        }
        stage.troubled = self.is_present();
        Ok(())
    }

    /// Ends all that is present, and begins no more.
    pub(crate) fn stop(&mut self, stage: &mut Stage) -> Result<(), Violation> {
        for (number, trouble) in self.planned.iter().enumerate() {
            let Some(phase) = self.stages.get_mut(number) else {
                continue;
            };
            if let Phase::Present(_, victims) = std::mem::replace(phase, Phase::Over) {
                end(stage, number, &trouble.plague, &victims)?;
            }
        }
        stage.troubled = false;
        Ok(())
    }

    fn is_present(&self) -> bool {
        let mut phases = self.stages.iter();
        phases.any(|phase| matches!(phase, Phase::Present(..)))
    }
}

fn find(stage: &Stage, victim: Victim) -> Option<NodeId> {
    let nodes = stage.cluster.nodes();
    match victim {
        Victim::Leader => stage.views.leader().or(nodes.first().copied()),
        Victim::Node(place) => round(&nodes, place),
    }
}

/// The one at `place`, counted round and round.
pub(crate) fn round<T: Copy>(from: &[T], place: u64) -> Option<T> {
    let count = u64::try_from(from.len()).unwrap_or(u64::MAX);
    let place = place.checked_rem(count)?;
    from.get(usize::try_from(place).ok()?).copied()
}

/// Begins it, unless it waits for its moment; answers with whom it hit.
fn begin(
    stage: &mut Stage,
    number: usize,
    plague: &Plague,
    waited: bool,
) -> Result<Option<Vec<NodeId>>, Violation> {
    let cluster = &mut stage.cluster;
    let nodes = cluster.nodes();
    let victims = match plague {
        Plague::Cut { who, .. }
        | Plague::Stall { who }
        | Plague::Crash { who, .. }
        | Plague::Wipe { who }
        | Plague::Rot { who }
        | Plague::Disk { who, .. }
        | Plague::Clock { who, .. } => find(stage, *who).into_iter().collect(),
        Plague::Blackout { .. } => nodes.clone(),
        Plague::Bridge(place) => round(&nodes, *place).into_iter().collect(),
        _ => Vec::new(),
    };
    let cluster = &mut stage.cluster;
    let first = victims.first().copied();
    match plague {
        Plague::Crash { amid_write, .. }
            if *amid_write && !waited && !first.is_some_and(|node| cluster.writes(node)) =>
        {
            return Ok(None);
        }
        Plague::Cut { way, .. } => cluster.links.cut(number, around(first, &nodes, *way)),
        Plague::Halves => cluster.links.cut(number, halves(&nodes, None)),
        Plague::Bridge(_) => cluster.links.cut(number, halves(&nodes, first)),
        Plague::Ring => cluster.links.cut(number, ring(&nodes)),
        Plague::Stall { .. } => first
            .into_iter()
            .for_each(|it| cluster.links.stall(number, it)),
        Plague::CaGone => cluster.links.cut_ca(number),
        Plague::Disk { ailment, .. } => {
            for node in &victims {
                cluster.set_ailment(*node, Some(*ailment));
            }
        }
        Plague::Clock { off, .. } => set_clocks(cluster, &victims, *off),
        Plague::Post(odds) => set_odds(cluster, *odds),
        Plague::SlowLinks(most) => cluster.set_latency(Some(*most)),
        Plague::Ca(fault) => cluster.ca.inject(fault.clone()),
        Plague::Dns { view, lie } => cluster.zones.set(*view, Some(*lie)),
        Plague::Crash { .. }
        | Plague::Blackout { .. }
        | Plague::Wipe { .. }
        | Plague::Rot { .. } => {}
    }
    stage.cluster.rewire();
    stage.record(What::Troubled {
        number,
        plague: plague.clone(),
        victims: victims.clone(),
    })?;
    if let Plague::Crash { torn, .. } | Plague::Blackout { torn } = plague {
        for node in &victims {
            stage.crash(*node, *torn)?;
        }
    }
    match (plague, first) {
        (Plague::Wipe { .. }, Some(node)) => stage.wipe(node)?,
        (Plague::Rot { .. }, Some(node)) => stage.rot(node)?,
        _ => {}
    }
    Ok(Some(victims))
}

fn end(
    stage: &mut Stage,
    number: usize,
    plague: &Plague,
    victims: &[NodeId],
) -> Result<(), Violation> {
    let cluster = &mut stage.cluster;
    match plague {
        Plague::Disk { .. } => {
            for node in victims {
                cluster.set_ailment(*node, None);
            }
        }
        Plague::Clock { .. } => set_clocks(cluster, victims, 0),
        Plague::Post(_) => set_odds(cluster, Odds::default()),
        Plague::SlowLinks(_) => cluster.set_latency(None),
        Plague::Ca(_) => cluster.ca.mend(),
        Plague::Dns { view, .. } => cluster.zones.set(*view, None),
        _ => cluster.links.end(number),
    }
    cluster.rewire();
    stage.record(What::Over { number })?;
    if let Plague::Crash { .. } | Plague::Blackout { .. } | Plague::Wipe { .. } = plague {
        for node in victims {
            stage.restart(*node)?;
        }
    }
    Ok(())
}

fn set_clocks(cluster: &Cluster, nodes: &[NodeId], off: i64) {
    for seat in nodes.iter().filter_map(|node| cluster.seat(*node)) {
        seat.clock.set_off(off);
    }
}

fn set_odds(cluster: &Cluster, odds: Odds) {
    for seat in cluster
        .nodes()
        .iter()
        .filter_map(|node| cluster.seat(*node))
    {
        seat.post.set_odds(odds);
    }
}

/// The links of `node`.
fn around(node: Option<NodeId>, nodes: &[NodeId], way: Way) -> BTreeSet<Passage> {
    let Some(node) = node else {
        return BTreeSet::new();
    };
    let others = nodes.iter().copied().filter(|other| *other != node);
    let most = if way == Way::OneLink { 1 } else { usize::MAX };
    let ways = others.take(most).flat_map(|other| {
        let (there, back) = ((node, other), (other, node));
        match way {
            Way::In => vec![back],
            Way::Out => vec![there],
            Way::Both | Way::OneLink => vec![there, back],
        }
    });
    ways.collect()
}

/// The links between two halves, but for those of a `bridge`.
fn halves(nodes: &[NodeId], bridge: Option<NodeId>) -> BTreeSet<Passage> {
    let nodes = nodes.iter().copied().filter(|node| Some(*node) != bridge);
    let nodes: Vec<NodeId> = nodes.collect();
    let (left, right) = nodes.split_at(nodes.len() / 2);
    let pairs = left.iter().flat_map(|a| right.iter().map(|b| (*a, *b)));
    pairs.flat_map(|(a, b)| [(a, b), (b, a)]).collect()
}

/// All links but those between neighbours.
fn ring(nodes: &[NodeId]) -> BTreeSet<Passage> {
    let count = nodes.len();
    let mut ways = BTreeSet::new();
    for (place, a) in nodes.iter().enumerate() {
        for (other, b) in nodes
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != place)
        {
            let apart = place.abs_diff(other);
            if apart != 1 && apart != count - 1 {
                ways.insert((*a, *b));
            }
        }
    }
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(count: u64) -> Vec<NodeId> {
        (1..=count).map(NodeId).collect()
    }

    #[test]
    fn shapes_cut_what_they_say() {
        let five = nodes(5);
        assert_eq!(around(Some(NodeId(1)), &five, Way::Both).len(), 8);
        assert_eq!(around(Some(NodeId(1)), &five, Way::In).len(), 4);
        assert_eq!(around(Some(NodeId(1)), &five, Way::OneLink).len(), 2);
        assert_eq!(halves(&five, None).len(), 12);
        assert_eq!(halves(&five, Some(NodeId(3))).len(), 8);
        assert_eq!(ring(&five).len(), 10);
        assert!(ring(&nodes(3)).is_empty());
        assert!(around(None, &five, Way::Both).is_empty());
    }

    #[test]
    fn places_count_round_and_round() {
        assert_eq!(round(&[1, 2, 3], 4), Some(2));
        assert_eq!(round::<u8>(&[], 4), None);
    }
}
