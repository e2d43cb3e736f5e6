//! Nodes, the CA and DNS on simulated machines.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use consensus::Identity;
use consensus::store::Store;
use devca::{Behaviour, FinalizeRule, RenewalInfo};
use state::NodeId;
use state::testing::{START, found};
use tempfile::TempDir;

use crate::ca::{self, Ca};
use crate::chance::Chance;
use crate::deed::Deed;
use crate::disk::{Ailment, Disk};
use crate::dns::{self, Zones};
use crate::links::Links;
use crate::machine::{self, World};
use crate::network::host;
use crate::road::Witness;
use crate::roll::Roll;
use crate::scenario::Settings;
use crate::seat::{News, Request, Seat};

/// One step of virtual time.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// Segments that a connection holds, and connections that wait: more than the
/// replicas ever have under way, because the simulated network cannot push back
/// but by ending the run.
const SEGMENTS: usize = 4096;

/// A machine's clocks run so many parts of a million too fast or too slow at most.
const DRIFT_PPM: u64 = 200;

/// The machines, and the network between them.
pub(crate) struct Cluster {
    sim: turmoil::Sim<'static>,
    world: Arc<World>,
    seats: BTreeMap<NodeId, Arc<Seat>>,
    up: Vec<NodeId>,
    pub(crate) links: Links,
    pub(crate) ca: Arc<Ca>,
    pub(crate) zones: Zones,
    latency: u64,
    chance: Chance,
    /// Snapshots are real files.
    snapshots: TempDir,
}

impl Cluster {
    /// The CA, DNS and one machine that has just been switched on for the first time.
    pub(crate) fn new(chance: &mut Chance, settings: &Settings) -> std::io::Result<Self> {
        let mut sim = turmoil::Builder::new()
            .rng_seed(chance.seed())
            .epoch(SystemTime::UNIX_EPOCH + Duration::from_millis(START.as_millis()))
            .simulation_duration(Duration::MAX)
            .tick_duration(TICK)
            .tcp_capacity(SEGMENTS)
            .udp_capacity(SEGMENTS)
            .min_message_latency(TICK)
            .max_message_latency(Duration::from_millis(settings.latency))
            .enable_random_order()
            .build();
        let roll = Arc::new(Roll::default());
        let validity = Duration::from_secs(settings.validity);
        let behaviour = behaviour(settings);
        let witness = Witness::default();
        let ca = Arc::new(Ca::new(
            chance.fork(),
            validity,
            behaviour,
            (Arc::clone(&roll), witness.clone()),
        )?);
        let zones = Zones::default();
        let (office, answered) = (Arc::clone(&ca), zones.clone());
        sim.host(ca::NAME, move || ca::run(Arc::clone(&office)));
        sim.host(dns::NAME, move || dns::run(answered.clone()));
        let world = World {
            root_pem: ca.root_pem().to_owned(),
            proof: settings.proof,
            stable_for: Duration::from_millis(chance.between(100, 600)),
            roll,
            witness,
        };
        world.roll.enrol(1, NodeId(1));
        let mut cluster = Self {
            sim,
            world: Arc::new(world),
            seats: BTreeMap::new(),
            up: Vec::new(),
            links: Links::default(),
            ca,
            zones,
            latency: settings.latency,
            chance: chance.fork(),
            snapshots: tempfile::tempdir()?,
        };
        cluster.switch_on()?;
        Ok(cluster)
    }

    /// Switches machines on that were admitted: those.
    fn switch_on(&mut self) -> std::io::Result<Vec<NodeId>> {
        let fresh = self.world.roll.take_fresh();
        let mut begun = Vec::new();
        for (_, node) in fresh {
            let directory = self.snapshots.path().join(host(node));
            std::fs::create_dir(&directory)?;
            let disk = Disk::new(directory, self.chance.fork());
            let cluster = found().cluster_id;
            let drift = i64::try_from(self.chance.between(0, 2 * DRIFT_PPM)).unwrap_or_default()
                - i64::try_from(DRIFT_PPM).unwrap_or_default();
            let identity = Identity { cluster, node };
            let seat = Arc::new(Seat::new(identity, disk, self.chance.fork(), drift));
            self.seats.insert(node, Arc::clone(&seat));
            let world = Arc::clone(&self.world);
            self.sim.host(host(node), move || {
                machine::run(Arc::clone(&seat), Arc::clone(&world))
            });
            self.links.add(node);
            self.up.push(node);
            begun.push(node);
        }
        self.up.sort_unstable();
        if !begun.is_empty() {
            self.links.apply(&self.sim);
        }
        Ok(begun)
    }

    /// All nodes that have a machine.
    pub(crate) fn nodes(&self) -> Vec<NodeId> {
        self.seats.keys().copied().collect()
    }

    /// Those whose machine is on.
    pub(crate) fn up(&self) -> &[NodeId] {
        &self.up
    }

    /// Lets a tick pass; answers with machines that were switched on for the first time.
    /// An error is a replica's that did not start.
    pub(crate) fn step(&mut self) -> Result<Vec<NodeId>, String> {
        let stepped = self.sim.step();
        stepped.map_err(|error| error.to_string())?;
        self.switch_on().map_err(|error| error.to_string())
    }

    /// Hands a request to `node`; false if it does not take any.
    pub(crate) fn ask(&self, node: NodeId, request: Request) -> bool {
        self.seats.get(&node).is_some_and(|seat| seat.ask(request))
    }

    pub(crate) fn seat(&self, node: NodeId) -> Option<&Arc<Seat>> {
        self.seats.get(&node)
    }

    pub(crate) fn roll(&self) -> &Roll {
        &self.world.roll
    }

    /// What changed at each node since it was last looked at, in the order of the
    /// nodes.
    pub(crate) fn news(&self) -> Vec<(NodeId, News)> {
        self.seats
            .iter()
            .map(|(node, seat)| (*node, seat.news()))
            .collect()
    }

    /// How many calls of which kind were carried between nodes since the last time.
    pub(crate) fn carried(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for seat in self.seats.values() {
            for (kind, count) in seat.post.take_carried() {
                *all.entry(kind).or_default() += count;
            }
        }
        all
    }

    /// What the CA did since the last time.
    pub(crate) fn deeds(&self) -> Vec<Deed> {
        self.ca.take_deeds()
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

    /// `node`'s disk ails from now on, or is well; false if it was so already.
    pub(crate) fn set_ailment(&self, node: NodeId, ailment: Option<Ailment>) -> bool {
        self.seats
            .get(&node)
            .is_some_and(|seat| seat.disk.set_ailment(ailment))
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
    pub(crate) fn crash(&mut self, node: NodeId, torn: bool) -> Option<usize> {
        let place = self.up.iter().position(|up| *up == node)?;
        let seat = Arc::clone(self.seats.get(&node)?);
        self.up.remove(place);
        self.links.set_up(node, false);
        self.rewire();
        // Before the software, so that nothing that goes with it can still write.
        let lost = seat.disk.crash(torn);
        self.sim.crash(host(node));
        seat.close();
        Some(lost)
    }

    /// Switches `node` on again; false if it is on.
    pub(crate) fn restart(&mut self, node: NodeId) -> bool {
        if self.up.contains(&node) || !self.seats.contains_key(&node) {
            return false;
        }
        self.sim.bounce(host(node));
        self.up.push(node);
        self.up.sort_unstable();
        self.links.set_up(node, true);
        self.rewire();
        true
    }

    /// `node` was removed and has ended: its machine is switched off for good.
    pub(crate) fn retire(&mut self, node: NodeId) {
        self.up.retain(|up| *up != node);
        self.links.set_up(node, false);
        self.rewire();
        self.world.roll.strike(node);
        if let Some(seat) = self.seats.remove(&node) {
            seat.close();
        }
    }

    /// How long a message takes at most, from now on; `None`: as at first.
    pub(crate) fn set_latency(&self, millis: Option<u64>) {
        let millis = millis.unwrap_or(self.latency);
        let latency = Duration::from_millis(millis);
        self.sim.set_max_message_latency(latency);
    }

    /// Lets what was changed of [`Self::links`] take effect.
    pub(crate) fn rewire(&mut self) {
        self.links.apply(&self.sim);
    }
}

/// As long as a request that was held back may come after another: longer than any trouble.
const RACE_MS: u64 = 60_000;

/// Plain, as Pebble: of two requests to finalize an order each makes a certificate. Or
/// Boulder's, but for alternate chains (whose keys the CA makes up) and answers to when to
/// renew that come every few seconds.
fn behaviour(settings: &Settings) -> Behaviour {
    if !settings.boulder {
        return Behaviour {
            finalize: FinalizeRule::Race {
                window_millis: RACE_MS,
            },
            ..Behaviour::default()
        };
    }
    Behaviour {
        alternate_chains: 0,
        dns_01: false,
        renewal_info: Some(RenewalInfo {
            retry_after_seconds: 3,
            ..RenewalInfo::default()
        }),
        ..Behaviour::boulder()
    }
}
