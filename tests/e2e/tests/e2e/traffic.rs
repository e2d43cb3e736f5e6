//! Settings of hostnames, live on every node.

use std::time::Duration;

use harness::{Cluster, Options, wait};
use tokio::time::Instant;

const NAME: &str = "shop.customer.example";
const LIVE_WITHIN: Duration = Duration::from_secs(1);

/// The status that the node at `place` answers with.
async fn status(cluster: &Cluster, place: usize) -> Option<u16> {
    let at = cluster.nodes[place].files.https();
    let answer = cluster.https.get(at, NAME, "/").await.ok()?;
    Some(answer.status)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_is_live_on_all_nodes_within_a_second() {
    let cluster = Cluster::start(Options::default()).await;
    cluster.onboard(NAME).await;
    cluster.served_alike(&[0, 1, 2], NAME).await;
    for (line, expected) in [
        (&["zone", "set", "--maintenance", "503"][..], 503),
        (&["hostname", "set", NAME, "--maintenance", "off"], 200),
        (
            &[
                "hostname",
                "set",
                NAME,
                "--redirects",
                "/ https://elsewhere.example 302",
            ],
            302,
        ),
        (
            &[
                "hostname",
                "set",
                NAME,
                "--redirects",
                "",
                "--maintenance",
                "",
            ],
            503,
        ),
        (&["zone", "set", "--maintenance", ""], 200),
    ] {
        cluster.cli.run(line).await.ok();
        // From the answer on, by which the change was agreed on.
        let since = Instant::now();
        for place in 0..3 {
            let what = format!("{line:?} on node {}", place + 1);
            wait::until(&what, LIVE_WITHIN, || async {
                (status(&cluster, place).await? == expected).then_some(())
            })
            .await;
        }
        let took = since.elapsed();
        assert!(took < LIVE_WITHIN, "{line:?}: {took:?}");
    }
}
