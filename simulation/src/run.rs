//! One run: found, work and disturb, heal, converge; checked all the way.

use std::panic::{AssertUnwindSafe, catch_unwind};

use state::ports::Leadership;
use state::{Index, NodeId};

use crate::chance::Chance;
use crate::cluster::Cluster;
use crate::digest::Digest;
use crate::events::{Event, Journal, What};
use crate::faults::{Fault, Faults, Step};
use crate::founding;
use crate::host::{News, Report as Told, Request};
use crate::invariants::{self, Invariant};
use crate::liveness::{self, Views};
use crate::operation::Answer;
use crate::oracle::Oracle;
use crate::tally::Tally;
use crate::workload::{Call, Workload};

/// Replicas: the smallest number that survives the loss of one.
const REPLICAS: u64 = 3;

/// What to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Everything random follows from it.
    pub seed: u64,
    /// Milliseconds of virtual time with work and faults, between founding and
    /// healing. More than a million take many minutes.
    pub steps: u64,
}

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// Of all events; the same for the same options.
    pub hash: Digest,
    /// Milliseconds of virtual time in all.
    pub ticks: u64,
    /// How much happened.
    pub tally: Tally,
    /// What went wrong, if anything did.
    pub violation: Option<Violation>,
    /// All events, one a line.
    pub events: Vec<String>,
}

/// An invariant did not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at {tick} ms it did not hold that {invariant}: {what}")]
pub struct Violation {
    /// Which.
    pub invariant: String,
    /// When, in milliseconds of virtual time.
    pub tick: u64,
    /// In what way.
    pub what: String,
}

/// Runs a simulation to its end, or to the first violation.
///
/// # Errors
///
/// When no directory for snapshots can be made.
pub fn run(options: Options) -> std::io::Result<Report> {
    let mut run = Run::new(options)?;
    let ended = catch_unwind(AssertUnwindSafe(|| run.drive(options.steps)));
    let violation = match ended {
        Ok(ended) => ended.err(),
        Err(panic) => Some(run.violation("nothing panics", message(&*panic))),
    };
    let (events, hash) = run.journal.close();
    Ok(Report {
        seed: options.seed,
        hash,
        ticks: run.tick,
        tally: run.tally,
        violation,
        events,
    })
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without words")
        .to_owned()
}

struct Run {
    cluster: Cluster,
    workload: Workload,
    faults: Faults,
    journal: Journal,
    oracle: Oracle,
    invariants: Vec<Box<dyn Invariant>>,
    views: Views,
    tally: Tally,
    tick: u64,
    founded: Option<Result<(), String>>,
    surveys: Vec<(NodeId, Result<(Index, Digest), String>)>,
}

impl Run {
    fn new(options: Options) -> std::io::Result<Self> {
        let mut chance = Chance::new(options.seed);
        consensus::seed_thread(chance.seed());
        let workload = Workload::new(chance.fork());
        let cluster = Cluster::new(&mut chance.fork(), REPLICAS)?;
        let faults = Faults::draw(&mut chance.fork(), options.steps, &cluster.nodes());
        Ok(Self {
            cluster,
            workload,
            faults,
            journal: Journal::new(),
            oracle: Oracle::default(),
            invariants: invariants::all(),
            views: Views::default(),
            tally: Tally::default(),
            tick: 0,
            founded: None,
            surveys: Vec::new(),
        })
    }

    fn drive(&mut self, steps: u64) -> Result<(), Violation> {
        self.found()?;
        for step in 0..steps {
            self.disturb(step)?;
            for call in self
                .workload
                .due(self.cluster.up(), self.oracle.in_flight())
            {
                self.call(call)?;
            }
            self.step()?;
        }
        self.calm()?;
        self.serve_fresh_writes()?;
        self.converge()
    }

    /// Founds the cluster before anything disturbs it.
    fn found(&mut self) -> Result<(), Violation> {
        let nodes = self.cluster.nodes();
        let first = nodes.first().copied().unwrap_or_default();
        // Its replica starts in the first step.
        self.step()?;
        self.step()?;
        if !self.cluster.ask(first, Request::Found(nodes)) {
            return Err(self.violation("a cluster can be founded", "the first node is not up"));
        }
        let until = self.tick + 2 * u64::try_from(founding::WITHIN.as_millis()).unwrap_or(u64::MAX);
        while self.tick < until {
            self.step()?;
            match self.founded.take() {
                None => {}
                Some(Ok(())) => return self.record(What::Founded),
                Some(Err(why)) => return Err(self.violation("a cluster can be founded", why)),
            }
        }
        Err(self.violation("a cluster can be founded", "it was not in time"))
    }

    fn disturb(&mut self, step: u64) -> Result<(), Violation> {
        let nodes = self.cluster.nodes();
        for due in self.faults.due(step, self.views.leader(), &nodes) {
            match due {
                Step::Cut(pairs) => {
                    pairs.iter().for_each(|(a, b)| self.cluster.cut(*a, *b));
                    self.record(What::Fault(Fault::Cut(pairs)))?;
                }
                Step::Heal => {
                    self.cluster.heal();
                    self.record(What::Fault(Fault::Healed))?;
                }
                Step::Crash(node) => self.crash(node)?,
                Step::Restart(node) => self.restart(node)?,
            }
        }
        Ok(())
    }

    fn crash(&mut self, node: NodeId) -> Result<(), Violation> {
        let Some(lost) = self.cluster.crash(node) else {
            return Ok(());
        };
        self.views.of(node).leadership = None;
        self.record(What::Fault(Fault::Crashed { node, lost }))?;
        for op in self.oracle.in_flight_at(node) {
            self.answered(node, op, Answer::Unknown)?;
        }
        Ok(())
    }

    fn restart(&mut self, node: NodeId) -> Result<(), Violation> {
        if self.cluster.restart(node) {
            self.record(What::Fault(Fault::Restarted { node }))
        } else {
            Ok(())
        }
    }

    /// Makes a call; not if the node is just starting.
    fn call(&mut self, call: Call) -> Result<(), Violation> {
        let Call {
            op,
            node,
            operation,
        } = call;
        if self.cluster.ask(node, Request::Call(op, operation.clone())) {
            self.record(What::Asked {
                op,
                node,
                operation,
            })?;
        }
        Ok(())
    }

    fn answered(
        &mut self,
        node: NodeId,
        op: crate::operation::Op,
        answer: Answer,
    ) -> Result<(), Violation> {
        if let Some(promise) = self.oracle.promise(op) {
            self.workload.answered(&promise.operation, &answer);
        }
        self.record(What::Answered { op, node, answer })
    }

    /// Lets a tick pass and records what can be seen of it. In the order of nodes and
    /// calls: the order of things within a tick is nobody's promise.
    fn step(&mut self) -> Result<(), Violation> {
        self.tick += 1;
        self.cluster
            .step()
            .map_err(|why| self.violation("a replica starts on its own disk", why))?;
        let mut answers = Vec::new();
        for (node, news) in self.cluster.news() {
            let News {
                state,
                leadership,
                halted,
                reports,
            } = news;
            for report in reports {
                match report {
                    Told::Founded(founded) => self.founded = Some(founded),
                    Told::Surveyed(survey) => self.surveys.push((node, survey)),
                    Told::Answered(op, answer) => answers.push((op, node, answer)),
                }
            }
            if let Some(leadership) = leadership {
                self.led(node, leadership)?;
            }
            if let Some(state) = state {
                let digest = Digest::of_records(&state);
                self.views.of(node).applied = Some((state.index(), digest));
                self.record(What::Applied {
                    node,
                    state,
                    digest,
                })?;
            }
            if let Some(halt) = halted {
                self.record(What::Halted {
                    node,
                    why: halt.to_string(),
                })?;
                return Err(self.violation(
                    "no replica halts while its disk works",
                    format!("node {node}: {halt}"),
                ));
            }
        }
        answers.sort_by_key(|(op, ..)| *op);
        answers
            .into_iter()
            .try_for_each(|(op, node, answer)| self.answered(node, op, answer))
    }

    fn led(&mut self, node: NodeId, leadership: Leadership) -> Result<(), Violation> {
        self.views.of(node).leadership = Some(leadership);
        self.record(What::Led { node, leadership })
    }

    /// Ends all faults.
    fn calm(&mut self) -> Result<(), Violation> {
        self.cluster.heal();
        for node in self.cluster.nodes() {
            self.restart(node)?;
        }
        self.record(What::Calm)
    }

    /// Each node gets a write acknowledged that nobody asked for before.
    fn serve_fresh_writes(&mut self) -> Result<(), Violation> {
        let until = self.tick + liveness::WITHIN;
        for node in self.cluster.nodes() {
            while !self.fresh_write(node)? {
                if self.tick >= until {
                    let what = format!("node {node} could not write; {}", self.views.describe());
                    return Err(self.violation("a healed cluster serves", what));
                }
            }
        }
        Ok(())
    }

    /// Whether a write at `node` was acknowledged.
    fn fresh_write(&mut self, node: NodeId) -> Result<bool, Violation> {
        let Some(call) = self.workload.fresh(node) else {
            return Ok(false);
        };
        let op = call.op;
        self.call(call)?;
        self.step()?;
        while self
            .oracle
            .promise(op)
            .is_some_and(|promise| promise.answer.is_none())
        {
            let asked = self.oracle.promise(op).map_or(0, |promise| promise.asked);
            if self.tick > asked + invariants::WITHIN {
                return Err(self.violation(
                    "calls are answered in time",
                    format!("{op} at node {node} is not"),
                ));
            }
            self.step()?;
        }
        Ok(self
            .oracle
            .promise(op)
            .is_some_and(|promise| promise.done_at().is_some()))
    }

    /// All calls are answered, and all replicas alike to the last body.
    fn converge(&mut self) -> Result<(), Violation> {
        let until = self.tick + liveness::WITHIN;
        while self.tick < until {
            self.step()?;
            let alike = self.views.converged(self.oracle.known());
            if self.oracle.in_flight() == 0 && alike.is_some() && self.surveyed_alike()? {
                return Ok(());
            }
        }
        let what = format!(
            "{} calls are in flight; {}",
            self.oracle.in_flight(),
            self.views.describe()
        );
        Err(self.violation("a healed cluster converges", what))
    }

    /// Asks all nodes for all they have. Not alike while one of them still moved on.
    fn surveyed_alike(&mut self) -> Result<bool, Violation> {
        let nodes = self.cluster.nodes();
        if !nodes
            .iter()
            .all(|node| self.cluster.ask(*node, Request::Survey))
        {
            return Ok(false);
        }
        self.surveys.clear();
        self.step()?;
        let mut places = Vec::new();
        for (node, survey) in std::mem::take(&mut self.surveys) {
            let survey = survey
                .map_err(|why| self.violation("replicas agree", format!("node {node}: {why}")))?;
            places.push(survey);
        }
        let Some((index, digest)) = places.first().copied() else {
            return Ok(false);
        };
        if places.len() < nodes.len() || places.iter().any(|(other, _)| *other != index) {
            return Ok(false);
        }
        if places.iter().any(|(_, other)| *other != digest) {
            return Err(self.violation(
                "replicas agree",
                format!("at index {index} they hold different bodies"),
            ));
        }
        self.record(What::Converged { index, digest })?;
        Ok(true)
    }

    /// Writes an event down and checks that all still holds.
    fn record(&mut self, what: What) -> Result<(), Violation> {
        let event = Event {
            tick: self.tick,
            what,
        };
        self.journal.push(&event);
        self.oracle.note(&event);
        self.tally.note(&event);
        for invariant in &mut self.invariants {
            invariant
                .check(&event, &self.oracle)
                .map_err(|what| Violation {
                    invariant: invariant.name().to_owned(),
                    tick: event.tick,
                    what,
                })?;
        }
        Ok(())
    }

    fn violation(&self, invariant: &str, what: impl Into<String>) -> Violation {
        Violation {
            invariant: invariant.to_owned(),
            tick: self.tick,
            what: what.into(),
        }
    }
}
