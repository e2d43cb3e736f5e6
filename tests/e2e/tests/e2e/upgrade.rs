//! Members that know more than others, one at a time.

use std::fs;

use harness::{Cluster, Options, cluster::SOON, wait};
use serde_json::{Value, json};

const HELD: &str = "[membership]\nfeature_level_at_most = 1\n";

async fn check(cluster: &Cluster) -> Value {
    cluster.cli.json(&["cluster", "upgrade-check"]).await
}

/// Waits until the level and who keeps it are so.
async fn becomes(cluster: &Cluster, level: u32, kept_by: &[&str]) {
    let (level, kept_by) = (json!(level), json!(kept_by));
    let what = format!("level {level}, kept by {kept_by}");
    wait::until(&what, SOON, || async {
        let check = check(cluster).await;
        (check["feature_level"] == level && check["kept_by"] == kept_by).then_some(())
    })
    .await;
}

/// Starts node `place` anew, as if by another version of the program.
async fn restarted(cluster: &mut Cluster, place: usize, change: impl Fn(String) -> String) {
    let config = cluster.nodes[place].files.config();
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, change(text)).unwrap();
    cluster.nodes[place].stop(SOON).await.unwrap();
    cluster.restart(place, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feature_level_rises_with_the_last_member_and_stays() {
    let options = Options::default();
    let mut cluster = Cluster::start(Options {
        extra: format!("{}{HELD}", options.extra),
        ..options
    })
    .await;
    becomes(&cluster, 1, &[]).await;
    cluster.onboard("shop.customer.example").await;
    for place in [0, 1] {
        restarted(&mut cluster, place, |text| text.replace(HELD, "")).await;
    }
    becomes(&cluster, 1, &["node-3"]).await;
    // Whoever is away keeps it, too: nobody knows what it knows.
    cluster.nodes[2].kill().await.unwrap();
    becomes(&cluster, 1, &["node-3"]).await;
    let config = cluster.nodes[2].files.config();
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace(HELD, "")).unwrap();
    cluster.restart(2, &[]).await;
    becomes(&cluster, 2, &[]).await;

    for place in [0, 1, 2] {
        restarted(&mut cluster, place, |text| format!("{text}\n{HELD}")).await;
    }
    becomes(&cluster, 2, &[]).await;
    cluster.join(4).await;
    cluster
        .served_alike(&[0, 1, 2, 3], "shop.customer.example")
        .await;
    becomes(&cluster, 2, &[]).await;
}
