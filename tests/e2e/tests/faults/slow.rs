//! Disks that are slow, and not so slow that they count as broken.

use std::time::Duration;

use harness::{Cluster, Writers, writes::all_there};

use crate::options;

/// Each fsync takes so much longer.
const SLOW: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_on_a_slow_disk_delays_writes_and_stays() {
    let mut cluster = Cluster::start(options()).await;
    let mut disks = Vec::new();
    for place in 0..3 {
        disks.push(cluster.on_a_disk_that_may_fail(place, "replica").await);
    }
    let leader = cluster.leader().await;
    let before = cluster.elections(leader).await.unwrap();
    disks[leader].slow(SLOW);
    let writers = Writers::start(&cluster, Duration::from_millis(100));
    writers.go_on(15).await;
    let after = cluster.elections(leader).await.unwrap();
    assert!(after - before <= 1, "{} elections", after - before);
    let (status, _) = cluster.readiness(leader).await.unwrap();
    assert_eq!(status, 200);
    disks[leader].mend();
    writers.go_on(15).await;
    let acknowledged = writers.stop().await;
    all_there(&cluster, &acknowledged).await;
}
