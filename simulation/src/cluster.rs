//! Replicas on simulated machines.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use consensus::Identity;
use consensus::store::Store;
use state::NodeId;
use state::testing::{START, found};
use tempfile::TempDir;

use crate::chance::Chance;
use crate::disk::Disk;
use crate::host::{self, News, Request, Seat};
use crate::network::machine;

/// One step of virtual time.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// Segments that a connection holds, and connections that wait: more than the
/// replicas ever have under way, because the simulated network cannot push back
/// but by ending the run.
pub(crate) const SEGMENTS: usize = 1024;

/// The machines, and the network between them.
pub(crate) struct Cluster {
    world: turmoil::Sim<'static>,
    seats: BTreeMap<NodeId, Arc<Seat>>,
    up: Vec<NodeId>,
    /// Pairs that a partition separates.
    cut: BTreeSet<(NodeId, NodeId)>,
    /// Snapshots are real files.
    _snapshots: TempDir,
}

impl Cluster {
    /// `count` machines that have just been switched on for the first time.
    pub(crate) fn new(chance: &mut Chance, count: u64) -> std::io::Result<Self> {
        let snapshots = tempfile::tempdir()?;
        let mut world = turmoil::Builder::new()
            .rng_seed(chance.seed())
            .epoch(SystemTime::UNIX_EPOCH + Duration::from_millis(START.as_millis()))
            .simulation_duration(Duration::MAX)
            .tick_duration(TICK)
            .tcp_capacity(SEGMENTS)
            .min_message_latency(TICK)
            .max_message_latency(TICK * u32::try_from(chance.between(4, 40)).unwrap_or(4))
            .enable_random_order()
            .build();
        let config = host::config(chance);
        let cluster = found().cluster_id;
        let mut seats = BTreeMap::new();
        for node in (1..=count).map(NodeId) {
            let directory = snapshots.path().join(machine(node));
            std::fs::create_dir(&directory)?;
            let disk = Disk::new(directory, chance.fork());
            let seat = Arc::new(Seat::new(Identity { cluster, node }, disk, config));
            seats.insert(node, Arc::clone(&seat));
            world.host(machine(node), move || host::run(Arc::clone(&seat)));
        }
        let up = seats.keys().copied().collect();
        Ok(Self {
            world,
            seats,
            up,
            cut: BTreeSet::new(),
            _snapshots: snapshots,
        })
    }

    /// All nodes.
    pub(crate) fn nodes(&self) -> Vec<NodeId> {
        self.seats.keys().copied().collect()
    }

    /// Those whose machine is on.
    pub(crate) fn up(&self) -> &[NodeId] {
        &self.up
    }

    /// Lets a tick pass. An error is a replica's that did not start.
    pub(crate) fn step(&mut self) -> Result<(), String> {
        self.world
            .step()
            .map(drop)
            .map_err(|error| error.to_string())
    }

    /// Hands a request to `node`; false if it does not take any.
    pub(crate) fn ask(&self, node: NodeId, request: Request) -> bool {
        self.seats.get(&node).is_some_and(|seat| seat.ask(request))
    }

    /// What changed at each node since it was last looked at, in the order of the
    /// nodes.
    pub(crate) fn news(&self) -> Vec<(NodeId, News)> {
        self.seats
            .iter()
            .map(|(node, seat)| (*node, seat.news()))
            .collect()
    }

    /// How many snapshots were installed: each begins a generation of the state.
    pub(crate) fn snapshots(&self) -> u64 {
        let generations = self
            .seats
            .values()
            .map(|seat| seat.disk.current_generation());
        generations
            .filter_map(|generation| generation.ok().flatten())
            .sum()
    }

    /// Whether `node`'s disk holds what it would lose now.
    pub(crate) fn writes(&self, node: NodeId) -> bool {
        self.seats.get(&node).is_some_and(|seat| seat.disk.writes())
    }

    /// `node`'s disk fails from now on, or works again; false if it did so already.
    pub(crate) fn set_failing(&self, node: NodeId, fails: bool) -> bool {
        self.seats
            .get(&node)
            .is_some_and(|seat| seat.disk.set_failing(fails))
    }

    /// Whether `node`'s disk ever failed its replica.
    pub(crate) fn has_failed(&self, node: NodeId) -> bool {
        self.seats
            .get(&node)
            .is_some_and(|seat| seat.disk.has_failed())
    }

    /// `node` loses power. Answers with the number of changes that its disk lost;
    /// `None` if it is off already.
    ///
    /// Its links go silent first: a machine without power says no goodbye. (Which
    /// connection would say it first would also depend on tokio's task ids, which
    /// count through the whole process and not from the seed.)
    pub(crate) fn crash(&mut self, node: NodeId) -> Option<usize> {
        let place = self.up.iter().position(|up| *up == node)?;
        let seat = Arc::clone(self.seats.get(&node)?);
        self.up.remove(place);
        self.rewire();
        // Before the software, so that nothing that goes with it can still write.
        let lost = seat.disk.crash();
        self.world.crash(machine(node));
        seat.close();
        Some(lost)
    }

    /// Switches `node` on again; false if it is on.
    pub(crate) fn restart(&mut self, node: NodeId) -> bool {
        if self.up.contains(&node) || !self.seats.contains_key(&node) {
            return false;
        }
        self.world.bounce(machine(node));
        self.up.push(node);
        self.up.sort_unstable();
        self.rewire();
        true
    }

    /// From now on nothing passes between these nodes, both ways.
    pub(crate) fn cut(&mut self, cut: &[(NodeId, NodeId)]) {
        self.cut
            .extend(cut.iter().map(|(a, b)| (*a.min(b), *a.max(b))));
        self.rewire();
    }

    /// Everything passes again.
    pub(crate) fn heal(&mut self) {
        self.cut.clear();
        self.rewire();
    }

    /// Sets each link as it should be now.
    fn rewire(&self) {
        for (a, b) in pairs(&self.nodes()) {
            let passes =
                !self.cut.contains(&(a, b)) && self.up.contains(&a) && self.up.contains(&b);
            if passes {
                self.world.repair(machine(a), machine(b));
            } else {
                self.world.partition(machine(a), machine(b));
            }
        }
    }
}

/// Each pair once, the lower first.
fn pairs(nodes: &[NodeId]) -> impl Iterator<Item = (NodeId, NodeId)> {
    nodes
        .iter()
        .enumerate()
        .flat_map(|(place, a)| nodes.iter().skip(place + 1).map(|b| (*a, *b)))
}
