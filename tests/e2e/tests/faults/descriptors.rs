//! A node that has no descriptor left.

use std::{fs, time::Duration};

use harness::{Cluster, Writers, cluster::SOON, wait, writes::all_there};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::net::TcpStream;

use crate::options;

/// More than it has descriptors for.
const CONNECTIONS: usize = 60;
/// What it may open before it has none left.
const LEFT: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_without_descriptors_lives_on_and_serves_when_it_has_some() {
    let cluster = Cluster::start(options()).await;
    cluster.onboard("shop.customer.example").await;
    cluster
        .served_alike(&[0, 1, 2], "shop.customer.example")
        .await;
    let leader = cluster.leader().await;
    let others: Vec<usize> = (0..3).filter(|place| *place != leader).collect();
    let writers = Writers::start(&cluster, Duration::from_millis(100));
    writers.go_on(3).await;
    let id = cluster.nodes[leader].id().unwrap();
    let before = may_open(id, Some(u64::try_from(open(id) + LEFT).unwrap()));
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS {
        // The kernel takes connections that the node cannot.
        held.push(TcpStream::connect(cluster.https_of(leader)).await.unwrap());
    }
    wait::until("it has none left", SOON, || async {
        (open(id)
            >= may_open(id, None)
                .unwrap_or_default()
                .try_into()
                .unwrap_or(0))
        .then_some(())
    })
    .await;
    writers.go_on(5).await;
    for place in others {
        for _ in 0..10 {
            assert!(
                cluster
                    .serial(place, "shop.customer.example")
                    .await
                    .is_some()
            );
        }
    }
    drop(held);
    may_open(id, before);
    cluster
        .served_alike(&[0, 1, 2], "shop.customer.example")
        .await;
    assert_eq!(cluster.nodes[leader].id(), Some(id), "the process lives");
    wait::until("it is ready", SOON, || async {
        (cluster.readiness(leader).await?.0 == 200).then_some(())
    })
    .await;
    let acknowledged = writers.stop().await;
    all_there(&cluster, &acknowledged).await;
}

/// How many descriptors the process has open.
fn open(id: u32) -> usize {
    fs::read_dir(format!("/proc/{id}/fd")).map_or(0, Iterator::count)
}

/// The process's bound, before it is set anew if it is to be.
fn may_open(id: u32, bound: Option<u64>) -> Option<u64> {
    let pid = Pid::from_raw(id.try_into().unwrap());
    let text = fs::read_to_string(format!("/proc/{id}/limits")).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let mut columns = line.split_whitespace().skip(3);
    let (current, maximum) = (columns.next().unwrap(), columns.next().unwrap());
    if let Some(bound) = bound {
        let limits = Rlimit {
            current: Some(bound),
            maximum: maximum.parse().ok(),
        };
        prlimit(pid, Resource::Nofile, limits).unwrap();
    }
    current.parse().ok()
}
