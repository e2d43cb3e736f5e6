//! Nodes that are killed or stopped at any moment, under load.

use std::time::Duration;

use harness::{Cluster, Writers, writes::all_there};
use rand::RngExt as _;
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::{chance, number, options};

/// A writer rests so long between two writes: of ten thousand invitations there are enough
/// for a quarter of an hour.
const PACE: Duration = Duration::from_millis(250);
/// The longest time between two blows.
const LULL: u64 = 1500;
/// Every so many blows, a node is only stopped for a while.
const STOPS: u64 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_are_killed_at_any_moment_lose_nothing_acknowledged() {
    let kills = number("HOSTQUORUM_KILLS").unwrap_or(6);
    let (mut chance, _) = chance();
    let mut cluster = Cluster::start(options()).await;
    cluster.onboard("shop.customer.example").await;
    let serial = cluster
        .served_alike(&[0, 1, 2], "shop.customer.example")
        .await;
    let writers = Writers::start(&cluster, PACE);
    writers.go_on(3).await;
    let (began, mut stops) = (Instant::now(), 0);
    for blow in 1..=kills {
        sleep(Duration::from_millis(chance.random_range(0..LULL))).await; // any moment
        if blow % STOPS == 0 {
            let place = chance.random_range(0..3);
            cluster.nodes[place].signal(Signal::STOP).unwrap();
            sleep(Duration::from_millis(chance.random_range(0..3000))).await; // what is tested
            cluster.nodes[place].signal(Signal::CONT).unwrap();
            stops += 1;
        }
        let place = chance.random_range(0..3);
        cluster.nodes[place].kill().await.unwrap();
        cluster.restart(place, &[]).await;
        if blow % 10 == 0 {
            // The others, or it, must have gone on.
            writers.go_on(1).await;
        }
    }
    cluster.settled().await;
    writers.go_on(3).await;
    let failed = writers.failed();
    let acknowledged = writers.stop().await;
    all_there(&cluster, &acknowledged).await;
    let after = cluster
        .served_alike(&[0, 1, 2], "shop.customer.example")
        .await;
    assert_eq!(after, serial);
    assert_eq!(cluster.ca.orders(), 1);
    println!(
        "{kills} kills -9 and {stops} pauses in {} s: {} writes acknowledged, 0 lost; {failed} failed or without an answer",
        began.elapsed().as_secs(),
        acknowledged.len(),
    );
}
