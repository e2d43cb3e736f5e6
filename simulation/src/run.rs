//! One run: found, work and disturb, heal, converge; checked all the way.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::chance::Chance;
use crate::digest::Digest;
use crate::events::What;
use crate::faults::Faults;
use crate::founding;
use crate::host::Request;
use crate::liveness;
use crate::stage::Stage;
use crate::tally::Tally;

/// Replicas: the smallest number that survives the loss of one.
const REPLICAS: u64 = 3;

/// How long the founding may take, in milliseconds: twice what it gives itself.
const FOUNDED_WITHIN: u64 = 2 * founding::WITHIN.as_secs() * 1000;

/// What to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Everything random follows from it.
    pub seed: u64,
    /// Milliseconds of virtual time with work and faults, between founding and
    /// healing. All events are kept in memory: a million take some hundred MB.
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

impl Violation {
    pub(crate) fn new(invariant: &str, tick: u64, what: impl Into<String>) -> Self {
        Self {
            invariant: invariant.to_owned(),
            tick,
            what: what.into(),
        }
    }
}

/// Runs a simulation to its end, or to the first violation.
///
/// # Errors
///
/// When no directory for snapshots can be made.
pub fn run(options: Options) -> std::io::Result<Report> {
    let mut chance = Chance::new(options.seed);
    let mut stage = Stage::new(&mut chance, REPLICAS)?;
    let faults = Faults::draw(&mut chance.fork(), options.steps, &stage.cluster.nodes());
    let ended = catch_unwind(AssertUnwindSafe(|| {
        drive(&mut stage, faults, options.steps)
    }));
    let violation = match ended {
        Ok(ended) => ended.err(),
        Err(panic) => Some(stage.violation("nothing panics", message(&*panic))),
    };
    let ticks = stage.tick;
    let (journal, tally) = stage.close();
    let (events, hash) = journal.close();
    Ok(Report {
        seed: options.seed,
        hash,
        ticks,
        tally,
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

fn drive(stage: &mut Stage, mut faults: Faults, steps: u64) -> Result<(), Violation> {
    found(stage)?;
    for step in 0..steps {
        let (leader, nodes) = (stage.views.leader(), stage.cluster.nodes());
        let due = faults.due(step, leader, &nodes, |node| stage.cluster.writes(node));
        due.into_iter().try_for_each(|step| stage.inflict(step))?;
        let calls = stage
            .workload
            .due(stage.cluster.up(), stage.oracle.in_flight());
        calls.into_iter().try_for_each(|call| stage.call(call))?;
        stage.step()?;
    }
    liveness::check(stage)
}

/// Founds the cluster before anything disturbs it.
fn found(stage: &mut Stage) -> Result<(), Violation> {
    let failed = |stage: &Stage, why: &str| Err(stage.violation("a cluster can be founded", why));
    let nodes = stage.cluster.nodes();
    let first = nodes.first().copied().unwrap_or_default();
    // Its replica starts in the first step.
    stage.step()?;
    if !stage.cluster.ask(first, Request::Found(nodes)) {
        return failed(stage, "the first node is not up");
    }
    while stage.tick < FOUNDED_WITHIN {
        stage.step()?;
        match stage.founded.take() {
            None => {}
            Some(Ok(())) => return stage.record(What::Founded),
            Some(Err(why)) => return failed(stage, &why),
        }
    }
    failed(stage, "it was not in time")
}
