//! The leader is killed at every named point of an order.

use std::{fs, time::Duration};

use harness::{Cluster, FAILPOINTS, Options, cluster::SOON};
use tokio::time::{Instant, sleep};

/// One hostname for each point: exactly one certificate comes of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_killed_at_any_point_of_an_order_costs_no_second_certificate() {
    let mut cluster = Cluster::start(Options::default()).await;
    let armed = cluster.failpoint();
    for (number, point) in FAILPOINTS.iter().enumerate() {
        let name = format!("{point}.customer.example");
        let issued = cluster.ca.issued();
        let leader = cluster.leader().await;
        cluster.look_at((leader + 1) % 3).await;
        fs::write(&armed, point).unwrap();
        cluster.cli.run(&["hostname", "add", &name]).await.ok();
        let deadline = Instant::now() + SOON;
        let died = loop {
            match cluster.dead() {
                Some(place) => break place,
                None => assert!(
                    Instant::now() < deadline,
                    "{point} kills no leader within {SOON:?}"
                ),
            }
            sleep(Duration::from_millis(20)).await;
        };
        assert!(!armed.exists(), "{point}: the failpoint disarms itself");
        cluster.restart(died, &[]).await;
        let waited = cluster
            .cli
            .run(&["hostname", "wait", &name, "--timeout", "90s"])
            .await;
        assert_eq!(waited.code, 0, "{point}: {waited:?}");
        cluster.served_alike(&[0, 1, 2], &name).await;
        assert_eq!(cluster.ca.issued(), issued + 1, "{point}");
        assert!(number < 40, "there are too many points for one test");
    }
    // What an orphan of newOrder costs is an order, never a certificate.
    assert!(cluster.ca.orders() <= 2 * FAILPOINTS.len());
    tokio::time::timeout(Duration::from_secs(5), cluster.leader())
        .await
        .unwrap();
}
