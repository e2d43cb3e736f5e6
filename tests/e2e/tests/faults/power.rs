//! Nodes without power: what was not on the disk is gone.

use std::time::Duration;

use harness::{Cluster, Ext4, Writers, cluster::SOON, wait, writes::all_there};
use rand::RngExt as _;
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::{chance, number, options};

/// See [`crate::kill`].
const PACE: Duration = Duration::from_millis(250);
/// The longest time between two cuts.
const LULL: u64 = 1500;
/// Every so many cuts, all nodes are without power at once.
const ALL: u64 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn nodes_without_power_lose_nothing_acknowledged() {
    let cuts = number("HOSTQUORUM_POWER_CUTS").unwrap_or(3);
    let (mut chance, _) = chance();
    let mut cluster = Cluster::start(options()).await;
    let mut disks = Vec::new();
    for place in 0..3 {
        disks.push(cluster.on_power_of_its_own(place).await);
    }
    let writers = Writers::start(&cluster, PACE);
    writers.go_on(3).await;
    let (began, mut blackouts) = (Instant::now(), 0);
    for cut in 1..=cuts {
        sleep(Duration::from_millis(chance.random_range(0..LULL))).await; // any moment
        let one = chance.random_range(0..3);
        let everywhere = cut % ALL == 0 || cut == cuts;
        let places: Vec<usize> = (0..3).filter(|place| everywhere || *place == one).collect();
        blackouts += u64::from(everywhere);
        lose_power(&mut cluster, &disks, &places).await;
        for place in &places {
            cluster.restart(*place, &[]).await;
        }
        if cut % 5 == 0 {
            writers.go_on(1).await;
        }
    }
    cluster.settled().await;
    writers.go_on(3).await;
    let acknowledged = writers.stop().await;
    all_there(&cluster, &acknowledged).await;
    println!(
        "{cuts} power cuts, {blackouts} of them of all three nodes, in {} s: {} writes acknowledged, 0 lost",
        began.elapsed().as_secs(),
        acknowledged.len(),
    );
    for node in &mut cluster.nodes {
        node.kill().await.unwrap();
    }
}

/// All of `places` at once. A process that is stopped acknowledges nothing more, as a
/// machine without power does not: a flush that was under way may be reported as done by a
/// file system that was shut down amid it.
async fn lose_power(cluster: &mut Cluster, disks: &[Ext4], places: &[usize]) {
    let switches: Vec<_> = places.iter().map(|place| disks[*place].switch()).collect();
    for place in places {
        cluster.nodes[*place].signal(Signal::STOP).unwrap();
    }
    for place in places {
        let id = cluster.nodes[*place].id().unwrap();
        wait::until("it is stopped", SOON, || async move {
            harness::blow::is_stopped(id).then_some(())
        })
        .await;
    }
    for switch in switches {
        switch.off();
    }
    for place in places {
        cluster.nodes[*place].kill().await.unwrap();
        disks[*place].mount_again().await;
    }
}
