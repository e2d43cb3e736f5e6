//! A backup of many hostnames, each with a certificate and a key of its own, and three new nodes
//! out of it.

use std::sync::Arc;

use harness::{Cli, Cluster, Options, cluster::SOON, load::DRAINING};
use tokio::time::{Instant, sleep, timeout};

use crate::scale::{Issuer, bring, handshake, name};

/// A backup of `count` hostnames.
pub(crate) async fn measure(count: usize) {
    let folder = tempfile::tempdir().unwrap();
    let identity = folder.path().join("backup.key");
    let keygen = ["backup", "keygen", identity.to_str().unwrap()];
    let made = Cli::new(folder.path()).json(&keygen).await;
    let recipient = made["recipient"].as_str().unwrap();
    let mut cluster = Cluster::start(Options {
        nodes: 1,
        extra: format!("{DRAINING}[backup]\nrecipients = [\"{recipient}\"]\n"),
        ..Options::default()
    })
    .await;
    let issuer = Arc::new(Issuer::new());
    let began = Instant::now();
    bring(&cluster, &issuer, count).await;
    println!(
        "{count} hostnames brought in {:.0} s",
        began.elapsed().as_secs_f64()
    );
    let file = folder.path().join("cluster.backup");
    let began = Instant::now();
    let saved = cluster
        .cli
        .json(&["backup", "save", file.to_str().unwrap()])
        .await;
    println!(
        "saved in {:.1} s: {} MB, {} bytes a hostname",
        began.elapsed().as_secs_f64(),
        saved["bytes"].as_u64().unwrap() >> 20,
        saved["bytes"].as_u64().unwrap() / u64::try_from(count).unwrap()
    );
    let began = Instant::now();
    cluster.rebuild(&file, &identity).await;
    let told = |what: &str| println!("{what} after {:.1} s", began.elapsed().as_secs_f64());
    told("restored on one node");
    served(&cluster, &issuer, 0, count).await;
    told("served there");
    for number in [2, 3] {
        cluster.join(number).await;
        served(&cluster, &issuer, usize::from(number) - 1, count).await;
        told(&format!("served on node {number}, which joined"));
    }
    assert_eq!(cluster.ca.orders(), 0, "nothing was ordered");
}

/// Waits until the node at `place` serves the first, the last and those between.
async fn served(cluster: &Cluster, issuer: &Issuer, place: usize, count: usize) {
    let client = issuer.client();
    for part in 0..=8 {
        let known = name((count - 1) * part / 8);
        let served = timeout(10 * SOON, async {
            while handshake(&client, cluster.https_of(place), &known)
                .await
                .is_err()
            {
                sleep(std::time::Duration::from_millis(5)).await;
            }
        });
        served.await.unwrap();
    }
}
