//! One run: found, work and disturb, heal, converge; checked all the way.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::chance::Chance;
use crate::digest::Digest;
use crate::events::What;
use crate::founding;
use crate::liveness;
use crate::scenario::{Plague, Scenario};
use crate::seat::Request;
use crate::stage::Stage;
use crate::tally::Tally;
use crate::troubles::Troubles;

/// How long the founding may take, in milliseconds: more than it gives itself.
const FOUNDED_WITHIN: u64 = founding::WITHIN.as_secs() * 1000 + 5000;

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// Of all events; the same for the same scenario.
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

/// Runs a scenario to its end, or to the first violation.
///
/// # Errors
///
/// When no directory for snapshots can be made, or no keys for the CA.
pub fn run(scenario: &Scenario) -> std::io::Result<Report> {
    // Apart from the chance by which the scenario was drawn: a shorter one must not
    // change what machines draw.
    let mut chance = Chance::new(!scenario.settings.seed);
    let mut stage = Stage::new(&mut chance, &scenario.settings)?;
    let ended = catch_unwind(AssertUnwindSafe(|| {
        drive(&mut stage, scenario, &mut chance.fork())
    }));
    let violation = match ended {
        Ok(ended) => ended.err(),
        Err(panic) => Some(stage.violation("nothing panics", message(&*panic))),
    };
    let ticks = stage.tick;
    let (journal, tally) = stage.close();
    let (events, hash) = journal.close();
    Ok(Report {
        seed: scenario.settings.seed,
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

fn drive(stage: &mut Stage, scenario: &Scenario, chance: &mut Chance) -> Result<(), Violation> {
    found(stage, scenario.settings.machines)?;
    let mut plagues = scenario.troubles.iter().map(|trouble| &trouble.plague);
    stage.spare_members =
        plagues.any(|plague| matches!(plague, Plague::Wipe { .. } | Plague::Rot { .. }));
    let mut troubles = Troubles::new(scenario.troubles.clone());
    let mut calls = scenario.calls.iter().peekable();
    for step in 0..scenario.settings.steps {
        troubles.turn(stage, step)?;
        while let Some(call) = calls.next_if(|call| call.at <= step) {
            stage.task(&call.task, call.node)?;
        }
        stage.step()?;
    }
    troubles.stop(stage)?;
    liveness::check(stage, chance, scenario.settings.orders)
}

/// Founds the cluster before anything disturbs it.
fn found(stage: &mut Stage, machines: u64) -> Result<(), Violation> {
    let failed = |stage: &Stage, why: &str| Err(stage.violation("a cluster can be founded", why));
    let nodes = stage.cluster.nodes();
    let first = nodes.first().copied().unwrap_or_default();
    // Its replica starts in the first step.
    stage.step()?;
    let machines = (1..=machines).collect();
    if !stage.cluster.ask(first, Request::Found(machines)) {
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
