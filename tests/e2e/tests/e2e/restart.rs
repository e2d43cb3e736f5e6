//! Clusters that were off.

use std::time::Duration;

use harness::{Cluster, Load, Options, cluster::SOON, load::DRAINING, wait};
use rustix::process::Signal;

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_was_off_serves_the_same_and_orders_nothing() {
    let mut cluster = Cluster::start(Options::default()).await;
    cluster.onboard("shop.customer.example").await;
    let before = cluster
        .served_alike(&[0, 1, 2], "shop.customer.example")
        .await;
    for node in &mut cluster.nodes {
        node.kill().await.unwrap();
    }
    // The first alone: it serves from its own disk with nobody to talk to.
    cluster.restart(0, &[]).await;
    assert_eq!(
        cluster.serial(0, "shop.customer.example").await.as_ref(),
        Some(&before)
    );
    cluster.restart(1, &[]).await;
    cluster.restart(2, &[]).await;
    assert_eq!(
        cluster
            .served_alike(&[0, 1, 2], "shop.customer.example")
            .await,
        before
    );
    cluster.leader().await;
    assert_eq!((cluster.ca.issued(), cluster.ca.orders()), (1, 1));
    cluster.onboard("next.customer.example").await;
    assert_eq!((cluster.ca.issued(), cluster.ca.orders()), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_log_to_open_anew_does_nothing_at_a_hangup() {
    let mut cluster = Cluster::start(Options {
        nodes: 1,
        ..Options::default()
    })
    .await;
    cluster.nodes[0].signal(Signal::HUP).unwrap();
    assert_eq!(cluster.readiness(0).await.unwrap().0, 200);
    assert!(cluster.nodes[0].stop(SOON).await.unwrap().success());
}

/// libfaketime, from Debian's package `libfaketime`.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_off_past_its_own_certificates_comes_back_by_itself() {
    assert!(
        std::path::Path::new(FAKETIME).exists(),
        "{FAKETIME} is missing; install it with `apt-get install libfaketime` or scripts/install-test-tools.sh"
    );
    // Pebble has no clock that could be moved along.
    let options = Options {
        pebble: false,
        ..Options::default()
    };
    let mut cluster = Cluster::start(options).await;
    cluster.onboard("shop.customer.example").await;
    let before = cluster
        .served_alike(&[0, 1, 2], "shop.customer.example")
        .await;
    for node in &mut cluster.nodes {
        node.kill().await.unwrap();
    }
    cluster.ca.live_later(Duration::from_secs(8 * 86_400));
    let later = [
        ("LD_PRELOAD", FAKETIME),
        ("FAKETIME", "+8d"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    for place in 0..3 {
        cluster.restart(place, &later).await;
    }
    cluster.cli = cluster.cli.with(&later);
    wait::until("fresh node certificates", SOON, || async {
        let said = cluster
            .cli
            .run(&["hostname", "add", "next.customer.example"])
            .await;
        (said.code == 0 || said.err.contains("already")).then_some(())
    })
    .await;
    cluster
        .cli
        .run(&[
            "hostname",
            "wait",
            "next.customer.example",
            "--timeout",
            "60s",
        ])
        .await
        .ok();
    assert_eq!(
        cluster
            .served_alike(&[0, 1, 2], "shop.customer.example")
            .await,
        before
    );
    assert_eq!(cluster.ca.orders(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_restarted_in_turn_fail_no_request() {
    let options = Options {
        extra: DRAINING.to_owned(),
        ..Options::default()
    };
    let mut cluster = Cluster::start(options).await;
    cluster.onboard("shop.customer.example").await;
    cluster
        .served_alike(&[0, 1, 2], "shop.customer.example")
        .await;
    let load = Load::start(&cluster, "shop.customer.example", 2, 2).await;
    for place in 0..3 {
        let before = load.tally().requests();
        let status = cluster.nodes[place].stop(SOON).await.unwrap();
        assert!(status.success(), "{status}");
        cluster.restart(place, &[]).await;
        cluster.settled().await;
        assert!(load.tally().requests() > before, "clients are under way");
    }
    let tally = load.stop().await;
    assert_eq!(
        tally.failed(),
        0,
        "of {}: {:?}",
        tally.requests(),
        tally.told()
    );
}
