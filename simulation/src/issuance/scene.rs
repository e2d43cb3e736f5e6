//! The world of a run: machines, their network, one crash, and the wait for certificates.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use state::testing::{START, host};
use state::{Hostname, NodeId, State};
use tempfile::TempDir;

use super::authority::{self, Ca};
use super::blow::Blow;
use super::doubles::Serving;
use super::machine::{self, Plan, Seat};
use super::{Crash, Issuance, verdict};
use crate::chance::Chance;
use crate::cluster::{SEGMENTS, TICK};
use crate::disk::Disk;
use crate::network::machine as name;
use crate::run::Violation;

/// The smallest number that survives the loss of one.
const REPLICAS: u64 = 3;

/// Hostnames that are authorized.
const HOSTNAMES: u64 = 3;

/// How long the founding may take, in milliseconds: more than it gives itself.
const FOUNDED_WITHIN: u64 = 40_000;

/// How long the crashed machine stays off, in milliseconds.
const OFF: (u64, u64) = (50, 5000);

/// How long after the authorization every hostname has its certificate at every node, in
/// milliseconds: an election, the wait before another finalizes, some pauses after lost
/// connections, a restart; and not the minute after which a failed order is repeated.
const ISSUED_WITHIN: u64 = 45_000;

/// How long the cluster is watched after that: longer than any order of a leader that is
/// gone could still be alive.
const QUIET: u64 = 12_000;

/// The world of a run, and what was seen of it.
pub(super) struct Scene {
    world: turmoil::Sim<'static>,
    seats: BTreeMap<NodeId, Arc<Seat>>,
    serving: Serving,
    plan: Arc<Plan>,
    ca: Arc<Ca>,
    blow: Blow,
    off_for: u64,
    tick: u64,
    authorized_at: u64,
    took: u64,
    crash: Option<Crash>,
    /// Who is off, and until when.
    down: Option<(NodeId, u64)>,
    /// Snapshots are real files.
    _snapshots: TempDir,
}

impl Scene {
    /// Machines that are switched on for the first time.
    pub(super) fn new(chance: &mut Chance) -> std::io::Result<Self> {
        let snapshots = tempfile::tempdir()?;
        let nodes: Vec<NodeId> = (1..=REPLICAS).map(NodeId).collect();
        let (issue_delay, latency) = (chance.between(0, 2), chance.between(4, 40));
        let processing = Duration::from_secs(issue_delay);
        let ca = Arc::new(Ca::new(chance.fork(), processing, nodes.clone())?);
        let plan = Arc::new(Plan {
            nodes: nodes.clone(),
            hostnames: hostnames(chance),
            root_pem: ca.root_pem().to_owned(),
            outcome: Mutex::default(),
        });
        let mut world = world(chance, latency);
        let serving = Serving::default();
        let mut seats = BTreeMap::new();
        for node in nodes {
            let directory = snapshots.path().join(name(node));
            std::fs::create_dir(&directory)?;
            let disk = Disk::new(directory, chance.fork());
            let seat = Arc::new(Seat::new(node, disk, chance.fork(), serving.clone()));
            seats.insert(node, Arc::clone(&seat));
            let plan = Arc::clone(&plan);
            let software = move || machine::run(Arc::clone(&seat), Arc::clone(&plan));
            world.host(name(node), software);
        }
        let office = Arc::clone(&ca);
        world.host(authority::NAME, move || authority::run(Arc::clone(&office)));
        Ok(Self {
            world,
            seats,
            serving,
            plan,
            ca,
            blow: Blow::draw(chance, latency, issue_delay * 1000),
            off_for: chance.between(OFF.0, OFF.1),
            tick: 0,
            authorized_at: 0,
            took: 0,
            crash: None,
            down: None,
            _snapshots: snapshots,
        })
    }

    /// From the founding to the verdict.
    pub(super) fn play(&mut self) -> Result<(), Violation> {
        self.found()?;
        self.issue()?;
        self.took = self.tick - self.authorized_at;
        for _ in 0..QUIET {
            self.step()?;
        }
        let (ledger, hostnames) = (self.ca.ledger(self.elapsed()), &self.plan.hostnames);
        let mut wrong = verdict::of_ledger(&ledger, hostnames);
        for (node, state) in self.states() {
            wrong = wrong.or_else(|| verdict::of_state(node, &state, &ledger, hostnames));
        }
        match wrong {
            None => Ok(()),
            Some((invariant, what)) => Err(self.violation(invariant, what)),
        }
    }

    /// Founds the cluster and authorizes the hostnames.
    fn found(&mut self) -> Result<(), Violation> {
        while self.tick < FOUNDED_WITHIN {
            self.step()?;
            match self.plan.outcome() {
                None => {}
                Some(Ok(())) => {
                    self.authorized_at = self.tick;
                    return Ok(());
                }
                Some(Err(why)) => return Err(self.violation("a cluster can be founded", why)),
            }
        }
        Err(self.violation("a cluster can be founded", "it was not in time"))
    }

    /// Waits for the certificates, and crashes the leader when it is time to.
    fn issue(&mut self) -> Result<(), Violation> {
        while self.tick < self.authorized_at + ISSUED_WITHIN {
            self.disturb();
            self.step()?;
            let states = self.states();
            let all = states.len() == self.seats.len() && self.crash.is_some();
            if all
                && states
                    .iter()
                    .all(|(_, state)| verdict::served(state, &self.plan.hostnames))
            {
                return Ok(());
            }
        }
        let what = format!("{self:?}");
        Err(self.violation("every hostname gets its certificate in time", what))
    }

    /// Crashes whoever leads, once, and switches it on again.
    fn disturb(&mut self) {
        let after = self.tick - self.authorized_at;
        match self.down {
            Some((node, until)) if self.tick >= until => {
                self.world.bounce(name(node));
                self.wire(node, true);
                self.down = None;
            }
            None if self.crash.is_none() => {
                if let Some(seat) = self.leader()
                    && self.is_due(&seat, after)
                {
                    self.crash(&seat, after);
                }
            }
            _ => {}
        }
    }

    fn is_due(&mut self, leader: &Seat, after: u64) -> bool {
        let state = self.serving.state(leader.node).unwrap_or_default();
        let stages = state.orders().map(|order| order.stage.as_str());
        self.blow.falls(after, stages, leader.disk.writes())
    }

    /// Whoever leads in the latest term.
    fn leader(&self) -> Option<Arc<Seat>> {
        let seats = self.seats.values();
        let leading = seats.filter_map(|seat| Some((seat.leads()?, seat)));
        let latest = leading.max_by_key(|(term, _)| *term);
        latest.map(|(_, seat)| Arc::clone(seat))
    }

    fn crash(&mut self, seat: &Seat, after: u64) {
        let node = seat.node;
        let state = self.serving.state(node);
        let in_flight = state.map_or(0, |state| state.order_count());
        // As in `Cluster::crash`: no goodbyes, and nothing is written any more.
        self.wire(node, false);
        let lost = seat.disk.crash();
        self.world.crash(name(node));
        seat.close(self.elapsed());
        self.down = Some((node, self.tick + self.off_for));
        self.crash = Some(Crash {
            node: node.0,
            after,
            lost,
            in_flight,
        });
    }

    /// Whether anything passes between `node` and all others.
    fn wire(&self, node: NodeId, passes: bool) {
        let nodes = self.seats.keys().filter(|other| **other != node);
        for other in nodes
            .map(|other| name(*other))
            .chain([authority::NAME.into()])
        {
            if passes {
                self.world.repair(name(node), other);
            } else {
                self.world.partition(name(node), other);
            }
        }
    }

    /// The states of the nodes that are up.
    fn states(&self) -> Vec<(NodeId, Arc<State>)> {
        let nodes = self.seats.keys();
        nodes
            .filter_map(|node| Some((*node, self.serving.state(*node)?)))
            .collect()
    }

    /// Lets a tick pass.
    fn step(&mut self) -> Result<(), Violation> {
        self.tick += 1;
        let stepped = self.world.step();
        stepped.map(drop).map_err(|error| {
            self.violation("machines run while they have power", error.to_string())
        })
    }

    /// Ends it: what came of it.
    pub(super) fn close(self, seed: u64, violation: Option<Violation>) -> Issuance {
        let ledger = self.ca.ledger(self.elapsed());
        Issuance {
            seed,
            ticks: self.tick,
            took: self.took,
            crash: self.crash,
            orders: ledger.orders.len(),
            certificates: ledger.certificates.len(),
            violation,
        }
    }

    fn elapsed(&self) -> Duration {
        TICK * u32::try_from(self.tick).unwrap_or(u32::MAX)
    }

    fn violation(&self, invariant: &str, what: impl Into<String>) -> Violation {
        Violation::new(invariant, self.tick, what)
    }
}

impl fmt::Debug for Scene {
    /// How far each node and the CA have come.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (node, state) in self.states() {
            write!(f, "node {node} has index {}", state.index())?;
            for order in state.orders() {
                write!(f, ", {} {}", order.hostname, order.stage.as_str())?;
            }
            for (hostname, record) in state.hostnames() {
                if let Some(failure) = &record.failure {
                    write!(f, ", {hostname} failed: {}", failure.reason)?;
                }
            }
            f.write_str("; ")?;
        }
        let ledger = self.ca.ledger(self.elapsed());
        write!(f, "the CA has {:?}; {:?}", ledger.orders, self.crash)
    }
}

fn hostnames(chance: &mut Chance) -> Vec<Hostname> {
    let mut number = chance.between(0, 1_000_000);
    let mut hostnames = Vec::new();
    for _ in 0..HOSTNAMES {
        hostnames.push(host(&format!("shop-{number}.example")));
        number += chance.between(1, 1000);
    }
    hostnames
}

/// A network on which a message takes up to `latency` milliseconds.
fn world(chance: &mut Chance, latency: u64) -> turmoil::Sim<'static> {
    turmoil::Builder::new()
        .rng_seed(chance.seed())
        .epoch(SystemTime::UNIX_EPOCH + Duration::from_millis(START.as_millis()))
        .simulation_duration(Duration::MAX)
        .tick_duration(TICK)
        .tcp_capacity(SEGMENTS)
        .min_message_latency(TICK)
        .max_message_latency(Duration::from_millis(latency))
        .enable_random_order()
        .build()
}
