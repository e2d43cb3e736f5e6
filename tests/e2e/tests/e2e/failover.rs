//! Nodes that die, stop and lose the quorum.

use std::time::Duration;

use harness::{Cluster, Options, cluster::SOON, request, wait};
use rustix::process::Signal;

#[tokio::test(flavor = "multi_thread")]
async fn one_node_of_three_serves_all_known_hostnames_without_quorum() {
    let mut cluster = Cluster::start(Options::default()).await;
    for name in ["a.customer.example", "b.customer.example"] {
        cluster.onboard(name).await;
        cluster.served_alike(&[0, 1, 2], name).await;
    }
    cluster.nodes[0].kill().await.unwrap();
    cluster.nodes[1].kill().await.unwrap();
    for name in ["a.customer.example", "b.customer.example"] {
        for _ in 0..50 {
            assert!(cluster.serial(2, name).await.is_some(), "{name}");
        }
    }
    let health = cluster.nodes[2].files.health();
    assert_eq!(request::plain_status(health, "/readyz").await.unwrap(), 200);
    assert_eq!(
        request::plain_status(health, "/quorumz").await.unwrap(),
        503
    );
    let admin = cluster.nodes[2].files.admin().to_string();
    let said = cluster
        .cli
        .run(&["--address", &admin, "hostname", "add", "c.customer.example"])
        .await;
    assert_eq!(said.code, 5, "{said:?}");
    assert!(
        said.err.contains("unknown") || said.err.contains("no leader"),
        "{said:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_leader_is_replaced_and_begins_nothing_when_it_wakes() {
    let cluster = Cluster::start(Options::default()).await;
    cluster.onboard("before.customer.example").await;
    let leader = cluster.leader().await;
    let others: Vec<usize> = (0..3).filter(|place| *place != leader).collect();
    cluster.look_at(others[0]);
    cluster.nodes[leader].signal(Signal::STOP).unwrap();
    let admin = cluster.nodes[others[0]].files.admin().to_string();
    wait::until("another leader takes the hostname", SOON, || async {
        let said = cluster
            .cli
            .run(&[
                "--address",
                &admin,
                "hostname",
                "add",
                "during.customer.example",
            ])
            .await;
        (said.code == 0 || said.err.contains("already")).then_some(())
    })
    .await;
    cluster
        .cli
        .run(&[
            "--address",
            &admin,
            "hostname",
            "wait",
            "during.customer.example",
            "--timeout",
            "60s",
        ])
        .await
        .ok();
    cluster
        .served_alike(&others, "during.customer.example")
        .await;
    tokio::time::sleep(Duration::from_secs(30)).await; // what is tested: a pause of that length
    cluster.nodes[leader].signal(Signal::CONT).unwrap();
    cluster
        .served_alike(&[0, 1, 2], "during.customer.example")
        .await;
    cluster.onboard("after.customer.example").await;
    cluster
        .served_alike(&[0, 1, 2], "after.customer.example")
        .await;
    assert_eq!(cluster.ca.issued(), 3);
    assert_eq!(cluster.ca.orders(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_is_transferred_on_request() {
    let cluster = Cluster::start(Options::default()).await;
    let leader = cluster.leader().await;
    let target = (leader + 1) % 3;
    let member = format!("{}", target + 1);
    cluster
        .cli
        .run(&["cluster", "transfer", &member])
        .await
        .ok();
    assert_eq!(cluster.leader().await, target);
}
