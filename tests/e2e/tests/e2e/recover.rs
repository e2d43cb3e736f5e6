//! A majority is lost for good, and one node goes on.

use std::process::Stdio;

use harness::{Cluster, Options, binaries, cluster::SOON};
use tokio::{process::Command, time::Instant};

const SHOP: &str = "shop.customer.example";
const NEW: &str = "new.customer.example";

/// What `hostquorumd recover` said of node `place`, and whether it was done.
async fn recover(cluster: &Cluster, place: usize, more: &[&str]) -> (String, bool) {
    let output = Command::new(binaries::path("hostquorumd"))
        .arg("recover")
        .arg("--config")
        .arg(cluster.nodes[place].files.config())
        .args(more)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (String::from_utf8(said).unwrap(), output.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_of_three_goes_on_and_new_ones_join_it() {
    let mut cluster = Cluster::start(Options::default()).await;
    cluster.onboard(SHOP).await;
    let serial = cluster.served_alike(&[0, 1, 2], SHOP).await;
    let issued = cluster.ca.issued();
    let status = cluster.cli.json(&["cluster", "status"]).await;
    let id = status["cluster_id"].as_str().unwrap().to_owned();
    // Not while it runs.
    let (said, done) = recover(&cluster, 0, &["--cluster-id", &id]).await;
    assert!(!done && said.contains("in use"), "{said}");
    for place in [1, 2] {
        cluster.nodes[place].kill().await.unwrap();
        let data = cluster.nodes[place].files.data();
        std::fs::remove_dir_all(data).unwrap();
    }
    cluster.nodes[0].kill().await.unwrap();
    let lost = Instant::now();
    // A look changes nothing, and neither does another cluster's id.
    let (said, done) = recover(&cluster, 0, &[]).await;
    assert!(done && said.contains("nothing was changed"), "{said}");
    assert!(said.contains("2 (node-2), 3 (node-3)"), "{said}");
    let other = ["--cluster-id", "00000000000000000000000000000000"];
    let (said, done) = recover(&cluster, 0, &other).await;
    assert!(!done && said.contains("nothing was done"), "{said}");
    let (said, done) = recover(&cluster, 0, &["--cluster-id", &id]).await;
    assert!(done && said.contains("goes on alone"), "{said}");
    cluster.restart(0, &[]).await;
    cluster.nodes.truncate(1);
    cluster.settled().await;
    eprintln!("one node went on after {:?}", lost.elapsed());
    assert_eq!(cluster.served_alike(&[0], SHOP).await, serial);
    // The others are forgotten, so that they could not come back.
    harness::wait::until("the others are gone", SOON, || async {
        let members = cluster.members().await?;
        (members.len() == 1).then_some(())
    })
    .await;
    let status = cluster.cli.json(&["cluster", "status"]).await;
    assert_eq!(status["cluster_id"], id.as_str());
    assert_eq!(status["issuance_pause"]["by"], "socket:1");
    // New machines join, and the cluster is as it was.
    for number in [4, 5] {
        cluster.join(number).await;
    }
    cluster.settled().await;
    assert_eq!(cluster.served_alike(&[0, 1, 2], SHOP).await, serial);
    assert_eq!(cluster.ca.issued(), issued);
    cluster.cli.run(&["issuance", "resume"]).await.ok();
    cluster.onboard(NEW).await;
    assert_eq!(cluster.ca.issued(), issued + 1);
}
