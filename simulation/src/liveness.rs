//! After the troubles: members come and go until they are as they shall be; then a random
//! quorum alone must serve, and obtain a certificate; then all others come back, and within
//! a bounded time all replicas are alike.

use std::collections::BTreeSet;

use state::{Hostname, NodeId};

use crate::chance::Chance;
use crate::events::What;
use crate::founding::newcomer_of;
use crate::invariants;
use crate::operation::Operation;
use crate::run::Violation;
use crate::scenario::Allowance;
use crate::seat::Request;
use crate::stage::Stage;

/// How long a healed cluster may take for each thing, in milliseconds: an election or
/// two, a snapshot, connections that must be found dead first, and a replica whose disk
/// failed for long, which tries it again every 19 s at the latest.
const WITHIN: u64 = 40_000;

/// For how long they must have been as they shall be, in milliseconds: a configuration that
/// is joint yet looks settled, and what is a majority then is more than one thing.
const SETTLED_FOR: u64 = 1500;

/// How often operators look after machines that came or went unheard, in milliseconds.
const LOOK_EVERY: u64 = 100;

/// How long a fresh certificate may take: the same, the wait before another leader
/// finalizes, and the pauses after a CA that misbehaved. Where the CA allows an order now and
/// then only, as long again as it makes those wait who were there before.
const ISSUED_WITHIN: u64 = 90_000;

/// Waits until the members are settled; then lets a quorum alone serve, and then all.
pub(crate) fn check(
    stage: &mut Stage,
    chance: &mut Chance,
    orders: Option<Allowance>,
) -> Result<(), Violation> {
    stage.replace_rotten()?;
    bring_back(stage)?;
    settle(stage)?;
    let core = core(stage, chance);
    for node in stage.cluster.nodes() {
        if !core.contains(&node) {
            stage.crash(node, false)?;
        }
    }
    stage.record(What::Calm {
        core: core.iter().copied().collect(),
    })?;
    for node in &core {
        serve_fresh_write(stage, *node)?;
    }
    obtain_fresh_certificate(stage, &core, orders)?;
    bring_back(stage)?;
    converge(stage)
}

/// All machines are on.
fn bring_back(stage: &mut Stage) -> Result<(), Violation> {
    let core = stage.cluster.nodes();
    for node in &core {
        stage.restart(*node)?;
    }
    stage.record(What::Calm { core })
}

/// Whoever is to come has come, and whoever is to leave has left.
fn settle(stage: &mut Stage) -> Result<(), Violation> {
    let until = stage.tick + WITHIN;
    let mut since = None;
    while stage.tick < until {
        stage.step()?;
        if stage.tick.is_multiple_of(LOOK_EVERY) {
            enrol_the_forgotten(stage);
        }
        let led = stage.views.leader().is_some();
        if stage.oracle.in_flight() > 0 || !led || !settled(stage) {
            since = None;
        } else if stage.tick >= since.get_or_insert(stage.tick).saturating_add(SETTLED_FOR) {
            return Ok(());
        }
    }
    Err(stage.violation("a healed cluster settles", members(stage)))
}

/// Whoever let a machine in and got no answer asks again: it may be a member.
fn enrol_the_forgotten(stage: &Stage) {
    let state = stage.views.latest();
    let joins = stage.oracle.promises();
    for (_, promise) in joins {
        let Operation::Join(machine) = promise.operation else {
            continue;
        };
        let name = newcomer_of(machine).name;
        if let Some(member) = state.members().find(|member| member.name == name) {
            stage.cluster.roll().enrol(machine, member.id);
        }
    }
}

/// A random majority of the voters, or everybody.
fn core(stage: &Stage, chance: &mut Chance) -> BTreeSet<NodeId> {
    let state = stage.views.latest();
    let voters: Vec<NodeId> = state.voters().iter().copied().collect();
    if chance.one_in(2) {
        return stage.cluster.nodes().into_iter().collect();
    }
    let mut left = voters.clone();
    let mut core = BTreeSet::new();
    while core.len() <= voters.len() / 2 {
        let Some(node) = chance.pick(&left).copied() else {
            break;
        };
        left.retain(|other| *other != node);
        core.insert(node);
    }
    core
}

/// `node` gets a write acknowledged that nobody asked for before.
fn serve_fresh_write(stage: &mut Stage, node: NodeId) -> Result<(), Violation> {
    let until = stage.tick + WITHIN;
    // It may be one that is removed yet, by a call that nobody knew the outcome of.
    while stage.cluster.up().contains(&node) && fresh_write(stage, node)?.is_none() {
        if stage.tick >= until {
            let what = format!("node {node} could not write; {}", stage.views.describe());
            return Err(stage.violation("a healed quorum serves", what));
        }
    }
    Ok(())
}

/// The hostname that was authorized at `node`, if it was acknowledged.
fn fresh_write(stage: &mut Stage, node: NodeId) -> Result<Option<Hostname>, Violation> {
    let call = stage.workload.fresh(node);
    let (op, asked) = (call.op, stage.tick);
    let hostname = call.operation.hostname().cloned();
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
    let done = stage.oracle.promise(op);
    Ok(hostname.filter(|_| done.is_some_and(|promise| promise.done_at().is_some())))
}

/// A hostname that was authorized just now gets a certificate, at each node of the core.
fn obtain_fresh_certificate(
    stage: &mut Stage,
    core: &BTreeSet<NodeId>,
    orders: Option<Allowance>,
) -> Result<(), Violation> {
    let waiting = stage.views.latest().hostname_count() as u64;
    let queue = orders.map_or(0, |allowance| allowance.refill * waiting);
    let until = stage.tick + ISSUED_WITHIN + queue;
    let mut hostname = None;
    while stage.tick < until {
        stage.step()?;
        let up = stage.cluster.up();
        let Some(first) = core.iter().copied().find(|node| up.contains(node)) else {
            return Ok(());
        };
        let Some(hostname) = &hostname else {
            hostname = fresh_write(stage, first)?;
            continue;
        };
        let has = |node: &NodeId| {
            let view = stage.views.0.get(node);
            let state = view.and_then(|view| view.state.as_ref());
            let record = state.and_then(|state| state.hostname(hostname.as_str()));
            record.is_some_and(|record| record.certificate.is_some())
        };
        if core.iter().filter(|node| up.contains(node)).all(has) {
            return Ok(());
        }
    }
    let state = stage.views.latest();
    let record = hostname.and_then(|hostname| state.hostname(hostname.as_str()).cloned());
    let orders: Vec<_> = state.orders().collect();
    let what = format!("{record:?}; {orders:?}; {}", stage.views.describe());
    Err(stage.violation("a healed quorum obtains a certificate", what))
}

/// All calls are answered, whoever leaves has left, and all replicas are alike to the
/// last body.
fn converge(stage: &mut Stage) -> Result<(), Violation> {
    let until = stage.tick + WITHIN;
    while stage.tick < until {
        stage.step()?;
        let alike = stage.views.converged(stage.oracle.known());
        if stage.oracle.in_flight() == 0
            && alike.is_some()
            && settled(stage)
            && surveyed_alike(stage)?
        {
            return Ok(());
        }
    }
    Err(stage.violation("a healed cluster converges", members(stage)))
}

/// In words, for whoever must find out why not.
fn members(stage: &Stage) -> String {
    let state = stage.views.latest();
    let members: Vec<_> = state.members().map(|it| (it.id, it.leaving)).collect();
    format!(
        "{} calls are in flight; members {members:?}, voters {:?}, learners {:?}; {}",
        stage.oracle.in_flight(),
        state.voters(),
        state.learners(),
        stage.views.describe()
    )
}

/// The members are those whose machines are up, and as many vote as shall.
fn settled(stage: &Stage) -> bool {
    let state = stage.views.latest();
    let members: Vec<NodeId> = state.members().map(|member| member.id).collect();
    let leaving = state.members().any(|member| member.leaving);
    let wanted = members.len().min(5);
    let wanted = wanted - usize::from(wanted.is_multiple_of(2));
    let (voters, learners) = (state.voters(), state.learners());
    !leaving
        && members == stage.cluster.nodes()
        && voters.len() >= wanted
        && voters.union(learners).eq(&members)
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
