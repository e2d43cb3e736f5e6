//! `hostquorumd doctor`, before a node runs and beside it.

use std::process::Stdio;

use harness::{Cluster, Options, binaries, cluster::SOON, wait};
use tokio::process::Command;

/// What it said and whether something was bad, of node `place`.
async fn examined(cluster: &Cluster, place: usize, more: &[&str]) -> (String, bool) {
    let config = cluster.nodes[place].files.config();
    let output = Command::new(binaries::path("hostquorumd"))
        .arg("doctor")
        .arg("--config")
        .arg(config)
        .args(more)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let code = output.status.code();
    assert!(code.is_some_and(|code| code < 2), "{output:?}");
    (String::from_utf8(output.stdout).unwrap(), code == Some(1))
}

/// The lines about `of`, without those about others.
fn of<'a>(said: &'a str, of: &str) -> Vec<&'a str> {
    let lines = said.lines();
    lines
        .filter(|line| line.split_whitespace().nth(1) == Some(of))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_looked_at_beside_its_node_and_without() {
    let mut cluster = Cluster::start(Options::default()).await;
    cluster.onboard("shop.customer.example").await;
    let bundle = cluster.dir().join("bundle.txt");
    let (said, _) = examined(&cluster, 0, &["--bundle", bundle.to_str().unwrap()]).await;
    for what in ["disk", "key", "ports", "cluster", "roads", "cas", "limits"] {
        let lines = of(&said, what);
        assert!(!lines.is_empty(), "{what}: {said}");
        assert!(
            lines.iter().all(|line| !line.starts_with("BAD")),
            "{what}: {said}"
        );
    }
    let bundle = std::fs::read_to_string(bundle).unwrap();
    for title in [
        "findings",
        "configuration",
        "status",
        "ledger",
        "metrics",
        "log",
    ] {
        assert!(
            bundle.contains(&format!("=== {title} ===")),
            "{title}: {bundle}"
        );
    }
    assert!(bundle.contains("hostquorum_hostnames 1"), "{bundle}");

    // A member is gone: it is silent, and the road to it is closed.
    cluster.nodes[2].kill().await.unwrap();
    wait::until("the silence to be told", SOON, || async {
        let (said, bad) = examined(&cluster, 0, &[]).await;
        let silent = of(&said, "cluster")
            .iter()
            .any(|line| line.contains("silent"));
        let closed = of(&said, "roads")
            .iter()
            .any(|line| line.starts_with("BAD"));
        (bad && silent && closed).then_some(())
    })
    .await;
    // Another key lies where the node's was: its next start would fail.
    let key = cluster.nodes[2].files.key();
    let kept = std::fs::read(&key).unwrap();
    let other = std::fs::read(cluster.nodes[1].files.key()).unwrap();
    std::fs::write(&key, other).unwrap();
    let (said, bad) = examined(&cluster, 2, &[]).await;
    assert!(bad && of(&said, "key")[0].starts_with("BAD"), "{said}");
    std::fs::write(&key, kept).unwrap();
    // On its own machine no node answers, and its ports are free.
    let (said, _) = examined(&cluster, 2, &[]).await;
    assert!(said.contains("no node answers"), "{said}");
    assert!(
        of(&said, "ports")
            .iter()
            .all(|line| line.starts_with("good")),
        "{said}"
    );
}
