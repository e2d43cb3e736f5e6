//! What a node tells of the requests that it serves.

use std::{fs, path::Path, time::Duration};

use harness::{Cluster, Options, wait};
use rustix::process::Signal;
use serde_json::Value;

const NAME: &str = "shop.customer.example";
const SOON: Duration = Duration::from_secs(10);

/// The lines of an access log about requests for `path`.
fn lines(file: &Path, path: &str) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let all = text.lines().map(|line| serde_json::from_str(line).unwrap());
    all.filter(|line: &Value| line["path"] == path).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_logged_counted_and_told_of() {
    let mut options = Options {
        nodes: 1,
        ..Options::default()
    };
    options
        .extra
        .push_str("[access_log]\nfile = \"access.log\"\n[trace]\nrequest_id = true\n");
    let cluster = Cluster::start(options).await;
    cluster.onboard(NAME).await;
    let node = &cluster.nodes[0];
    let folder = node.files.config().parent().unwrap().to_owned();
    let (file, moved) = (folder.join("access.log"), folder.join("access.log.1"));
    let ask = async |path: &str| {
        let answer = cluster.https.get(node.files.https(), NAME, path).await;
        answer.unwrap().status
    };
    let told = async |file: &Path, path: &str| {
        let what = format!("a line about {path}");
        wait::until(&what, SOON, || async { lines(file, path).pop() }).await
    };
    let status = ask("/one").await;
    let line = told(&file, "/one").await;
    assert_eq!(line["status"], status);
    assert_eq!(line["hostname"], NAME);
    assert_eq!(line["request_id"].as_str().unwrap().len(), 32);
    // Rotated, with the signal that rotating programs send: the node goes on.
    fs::rename(&file, &moved).unwrap();
    node.signal(Signal::HUP).unwrap();
    ask("/two").await;
    told(&file, "/two").await;
    assert_eq!(lines(&moved, "/two").len(), 0);
    let stats = cluster.cli.json(&["stats", NAME]).await;
    assert!(
        stats["hostnames"][0]["requests"].as_u64() >= Some(2),
        "{stats}"
    );
    assert_eq!(stats["boot"].as_str().unwrap().len(), 32);
    let requests = cluster.figure(0, "hostquorum_hostnames_counted").await;
    assert_eq!(requests, Some(1.0));
}
