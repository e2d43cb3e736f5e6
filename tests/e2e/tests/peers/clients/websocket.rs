//! WebSockets, by Python's `websockets` at both ends.

use super::{before, run, script, sockets};
use crate::edge::HOST;

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_carries_everything_both_ways() {
    let origin = sockets().await;
    let edge = before(&origin).await;
    let (ip, port) = (
        edge.address().ip().to_string(),
        edge.address().port().to_string(),
    );
    let roots = edge.roots_file().display().to_string();
    let (told, _) = run(
        "python",
        &[&script("websocket_client.py"), HOST, &ip, &port, &roots],
    )
    .await;
    assert_eq!(told, "10 conversations held\n");
}
