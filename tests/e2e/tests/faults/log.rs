//! A node whose log nobody reads.

use std::{fs, time::Duration};

use harness::{Cluster, Writers, cluster::SOON, machine::run, wait, writes::all_there};

use crate::options;

/// Everything that there is to say: the pipe is full in no time.
const TALKATIVE: &str = "[log]\nfilter = \"trace\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_log_nobody_reads_leads_and_serves_on() {
    let mut options = options();
    options.extra.push_str(TALKATIVE);
    let mut cluster = Cluster::start(options).await;
    cluster.onboard("shop.customer.example").await;
    cluster.nodes[0].stop(SOON).await.unwrap();
    let log = cluster.nodes[0].files.log();
    fs::remove_file(&log).unwrap();
    run("mkfifo", &[log.to_str().unwrap()]);
    // Somebody has it open, or it could not be opened to write; and reads nothing.
    let _reader = fs::File::options()
        .read(true)
        .write(true)
        .open(&log)
        .unwrap();
    cluster.restart(0, &[]).await;
    cluster.settled().await;
    cluster.lead(0).await;
    let writers = Writers::start(&cluster, Duration::from_millis(20));
    wait::until("lines are lost", SOON, || async {
        let lost = cluster.figure(0, "hostquorum_log_lines_lost_total").await?;
        (lost > 0.0).then_some(())
    })
    .await;
    writers.go_on(20).await;
    for _ in 0..20 {
        assert!(cluster.serial(0, "shop.customer.example").await.is_some());
    }
    assert_eq!(cluster.leader().await, 0);
    cluster.onboard("next.customer.example").await;
    cluster
        .served_alike(&[0, 1, 2], "next.customer.example")
        .await;
    let acknowledged = writers.stop().await;
    all_there(&cluster, &acknowledged).await;
    // It can be asked to end, too.
    cluster.nodes[0].stop(SOON).await.unwrap();
}
