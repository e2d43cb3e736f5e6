//! After the faults: all is healed, and within a bounded time every node gets a fresh
//! write acknowledged and all replicas are alike.

use state::NodeId;

use crate::events::What;
use crate::faults::Step;
use crate::host::Request;
use crate::invariants;
use crate::run::Violation;
use crate::stage::Stage;

/// How long a healed cluster may take for each of the two, in milliseconds: an
/// election or two, a snapshot, connections that must be found dead first, and a replica
/// whose disk failed for long, which tries it again every 19 s at the latest.
const WITHIN: u64 = 40_000;

/// Heals all and waits for it.
pub(crate) fn check(stage: &mut Stage) -> Result<(), Violation> {
    stage.inflict(Step::Heal)?;
    for node in stage.cluster.nodes() {
        stage.inflict(Step::MendDisk(node))?;
        stage.inflict(Step::Restart(node))?;
    }
    stage.record(What::Calm)?;
    serve_fresh_writes(stage)?;
    converge(stage)
}

/// Each node gets a write acknowledged that nobody asked for before.
fn serve_fresh_writes(stage: &mut Stage) -> Result<(), Violation> {
    let until = stage.tick + WITHIN;
    for node in stage.cluster.nodes() {
        while !fresh_write(stage, node)? {
            if stage.tick >= until {
                let what = format!("node {node} could not write; {}", stage.views.describe());
                return Err(stage.violation("a healed cluster serves", what));
            }
        }
    }
    Ok(())
}

/// Whether a write at `node` was acknowledged.
fn fresh_write(stage: &mut Stage, node: NodeId) -> Result<bool, Violation> {
    let Some(call) = stage.workload.fresh(node) else {
        return Ok(false);
    };
    let (op, asked) = (call.op, stage.tick);
    stage.call(call)?;
    stage.step()?;
    while stage
        .oracle
        .promise(op)
        .is_some_and(|promise| promise.answer.is_none())
    {
        if stage.tick > asked + invariants::WITHIN {
            let what = format!("node {node} has not answered {op}");
            return Err(stage.violation("calls are answered in time", what));
        }
        stage.step()?;
    }
    Ok(stage
        .oracle
        .promise(op)
        .is_some_and(|promise| promise.done_at().is_some()))
}

/// All calls are answered, and all replicas alike to the last body.
fn converge(stage: &mut Stage) -> Result<(), Violation> {
    let until = stage.tick + WITHIN;
    while stage.tick < until {
        stage.step()?;
        let alike = stage.views.converged(stage.oracle.known());
        if stage.oracle.in_flight() == 0 && alike.is_some() && surveyed_alike(stage)? {
            return Ok(());
        }
    }
    let what = format!(
        "{} calls are in flight; {}",
        stage.oracle.in_flight(),
        stage.views.describe()
    );
    Err(stage.violation("a healed cluster converges", what))
}

/// Asks all nodes for all they have. Not alike while one of them still moved on.
fn surveyed_alike(stage: &mut Stage) -> Result<bool, Violation> {
    let nodes = stage.cluster.nodes();
    if !nodes
        .iter()
        .all(|node| stage.cluster.ask(*node, Request::Survey))
    {
        return Ok(false);
    }
    stage.surveys.clear();
    stage.step()?;
    let mut places = Vec::new();
    for (node, survey) in std::mem::take(&mut stage.surveys) {
        let failed = |why| stage.violation("replicas agree", format!("node {node}: {why}"));
        places.push(survey.map_err(failed)?);
    }
    let Some((index, digest)) = places.first().copied() else {
        return Ok(false);
    };
    if places.len() < nodes.len() || places.iter().any(|(other, _)| *other != index) {
        return Ok(false);
    }
    if places.iter().any(|(_, other)| *other != digest) {
        let what = format!("at index {index} they hold different bodies");
        return Err(stage.violation("replicas agree", what));
    }
    stage.record(What::Converged { index, digest })?;
    Ok(true)
}
