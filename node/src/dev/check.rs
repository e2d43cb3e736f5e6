//! The tour, verified: what was promised is looked at from outside.

use std::{fmt::Write as _, time::Duration};

use anyhow::{Context as _, Result};
use tokio::time::Instant;

use super::{HOSTNAMES, LIVE_WITHIN, Times, say, show, world::World};

/// From the leader's death to the next acknowledged write; beyond it the check fails.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// By then all nodes have one secret of session tickets.
const ALIKE_WITHIN: Duration = Duration::from_secs(10);

/// Verifies, kills the leader, brings in one more hostname. True if all was well.
pub(crate) async fn run(world: &mut World, times: Times) -> Result<bool> {
    let mut report = Report::default();
    report.took("cluster formed", times.formed);
    report.took("first certificate", times.first);
    report.took("three hostnames live on three nodes", times.all);
    for name in HOSTNAMES {
        served_by_all(world, name, &mut report).await;
    }
    resumed_by_all(world, HOSTNAMES[0], &mut report).await;
    match failover(world, &mut report).await {
        Ok(()) => report.good("one more hostname came in without the old leader"),
        Err(error) => report.bad(&format!("failover: {error:#}")),
    }
    say(&report.text)?;
    Ok(report.failures == 0)
}

async fn served_by_all(world: &World, name: &str, report: &mut Report) {
    let mut leaves = Vec::new();
    for node in world.running() {
        match world.https().get(node.https(), name, "/").await {
            Ok(answer) if answer.status == 200 => leaves.push(answer.leaf),
            Ok(answer) => report.bad(&format!(
                "{name} at {}: status {}",
                node.name, answer.status
            )),
            Err(error) => report.bad(&format!("{name} at {}: {error}", node.name)),
        }
    }
    let count = leaves.len();
    leaves.dedup();
    match leaves.len() {
        1 => report.good(&format!(
            "{name}: one certificate, verified at {count} nodes"
        )),
        0 => report.bad(&format!("{name} is served nowhere")),
        several => report.bad(&format!(
            "{name}: {several} different certificates are served"
        )),
    }
}

async fn resumed_by_all(world: &World, name: &str, report: &mut Report) {
    let deadline = Instant::now() + ALIKE_WITHIN;
    loop {
        let mut resumed = true;
        for node in world.running() {
            let answer = world.https().get(node.https(), name, "/").await;
            resumed &= answer.is_ok_and(|answer| answer.resumed);
        }
        if resumed {
            return report.good("a TLS session goes on at whichever node");
        }
        if Instant::now() >= deadline {
            return report.bad("a TLS session does not go on at every node");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn failover(world: &mut World, report: &mut Report) -> Result<()> {
    let issued = world.issued();
    let name = format!("after-failover-{issued}.customer.example");
    let leader = world.kill_leader().await?;
    let died = Instant::now();
    loop {
        match world.authorize(&name).await {
            Ok(()) => break,
            Err(error) if died.elapsed() >= WRITE_WITHIN => {
                return Err(error).with_context(|| {
                    format!("no write within {WRITE_WITHIN:?} of the leader's death")
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    report.took("leader killed to next acknowledged write", died.elapsed());
    let survivors = world.running().count();
    loop {
        let hostnames = world.hostnames().await.unwrap_or_default();
        if hostnames
            .iter()
            .any(|hostname| show::is_served(hostname, &name, survivors))
        {
            break;
        }
        anyhow::ensure!(
            died.elapsed() < LIVE_WITHIN,
            "{name} is not live within {LIVE_WITHIN:?}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    report.took(
        "leader killed to one more hostname live on the others",
        died.elapsed(),
    );
    served_by_all(world, &name, report).await;
    anyhow::ensure!(
        world.issued() == issued + 1,
        "the CA issued {} certificates for it",
        world.issued() - issued
    );
    let back = Instant::now();
    world.restart(leader).await?;
    report.took("the old leader serves again", back.elapsed());
    Ok(())
}

#[derive(Default)]
struct Report {
    text: String,
    failures: usize,
}

impl Report {
    fn took(&mut self, what: &str, time: Duration) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "  {:>8.2} s  {what}", time.as_secs_f64());
    }

    fn good(&mut self, what: &str) {
        let _ = writeln!(self.text, "        ok  {what}");
    }

    fn bad(&mut self, what: &str) {
        self.failures += 1;
        let _ = writeln!(self.text, "    FAILED  {what}");
    }
}
