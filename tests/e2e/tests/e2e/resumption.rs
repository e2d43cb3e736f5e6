//! TLS sessions that go on at another node than they were begun at.

use harness::{Cluster, Options, cluster::SOON, wait};
use node::dev::request::HttpsClient;

const NAME: &str = "shop.customer.example";

/// Somebody who was never here.
async fn visitor(cluster: &Cluster) -> HttpsClient {
    let root = cluster.ca.issuing_root_pem().await;
    HttpsClient::trusting(root.as_bytes()).unwrap()
}

/// Whether a visit to node `place` resumed; `None` if it is not served there.
async fn visit(cluster: &Cluster, place: usize, visitor: &HttpsClient) -> Option<bool> {
    let answer = visitor.get(cluster.https_of(place), NAME, "/").await.ok()?;
    (answer.status == 200).then_some(answer.resumed)
}

/// Waits until a session goes on at all of `places`, begun at any of them.
async fn alike(cluster: &Cluster, places: &[usize]) {
    wait::until("one secret at all nodes", SOON, || async {
        let visitor = visitor(cluster).await;
        visit(cluster, places[0], &visitor).await?;
        for place in places.iter().cycle().take(2 * places.len()) {
            visit(cluster, *place, &visitor).await?.then_some(())?;
        }
        Some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_goes_on_at_every_node_through_restarts_and_not_after_a_removal() {
    let mut cluster = Cluster::start(Options::default()).await;
    cluster.onboard(NAME).await;
    cluster.served_alike(&[0, 1, 2], NAME).await;
    alike(&cluster, &[0, 1, 2]).await;
    let mut early = Vec::new();
    for _ in 0..5 {
        let visitor = visitor(&cluster).await;
        assert_eq!(visit(&cluster, 0, &visitor).await, Some(false));
        early.push(visitor);
    }

    // One after the other is new, and the last of those that knew the secret by themselves
    // is gone; what was begun before still goes on.
    for place in 0..3 {
        if place == 1 {
            cluster.nodes[place].stop(SOON).await.unwrap();
        } else {
            cluster.nodes[place].kill().await.unwrap();
        }
        cluster.restart(place, &[]).await;
        alike(&cluster, &[0, 1, 2]).await;
        let visitor = early.pop().unwrap();
        assert_eq!(visit(&cluster, place, &visitor).await, Some(true));
    }

    let figure = cluster
        .figure(0, "hostquorum_edge_handshakes_resumed_total")
        .await;
    assert!(figure.is_some_and(|resumed| resumed >= 1.0), "{figure:?}");

    let leader = cluster.leader().await;
    let removed = (0..3).find(|place| *place != leader).unwrap();
    let left: Vec<usize> = (0..3).filter(|place| *place != removed).collect();
    let number = (removed + 1).to_string();
    let admin = cluster.nodes[leader].files.admin().to_string();
    let arguments = ["--address", &admin, "cluster", "remove", &number, "--wait"];
    cluster.cli.run(&arguments).await.ok();
    for place in &left {
        let visitor = early.pop().unwrap();
        wait::until("a full handshake", SOON, || async {
            let resumed = visit(&cluster, *place, &visitor).await?;
            (!resumed).then_some(())
        })
        .await;
    }
    alike(&cluster, &left).await;
}
