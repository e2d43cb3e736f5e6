//! nghttp2's clients: many streams at once, and what they carry.

use super::{before, run, site};
use crate::edge::HOST;

#[tokio::test(flavor = "multi_thread")]
async fn many_streams_share_a_connection() {
    let origin = site().await;
    let edge = before(&origin).await;
    let url = format!("https://{HOST}/number?n=7");
    let connect = format!("--connect-to={}", edge.address());
    for (protocol, more) in [
        ("h2", &["--max-concurrent-streams=50"][..]),
        ("http/1.1", &["--h1"]),
    ] {
        let arguments = [
            &["--requests=3000", "--clients=4", &connect][..],
            more,
            &[&url],
        ];
        let (told, _) = run("h2load", &arguments.concat()).await;
        let counted =
            "3000 total, 3000 started, 3000 done, 3000 succeeded, 0 failed, 0 errored, 0 timeout";
        assert!(told.contains(counted), "{protocol}:\n{told}");
        assert!(
            told.contains("3000 2xx, 0 3xx, 0 4xx, 0 5xx"),
            "{protocol}:\n{told}"
        );
        assert!(
            told.contains(&format!("Application protocol: {protocol}")),
            "{told}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_and_its_trailers_arrive_over_http2() {
    let origin = site().await;
    let edge = before(&origin).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body");
    std::fs::write(&file, "x".repeat(200_000)).unwrap();
    let (url, host) = (
        format!("https://{}/upload", edge.address()),
        format!(":authority: {HOST}"),
    );
    let data = format!("--data={}", file.display());
    for more in [&[][..], &["--trailer", "x-sum: 1"], &["--padding=100"]] {
        let arguments = [
            &["--no-verify-peer", &data, "--header", &host][..],
            more,
            &[&url],
        ];
        let (told, _) = run("nghttp", &arguments.concat()).await;
        assert!(told.contains("\"length\":200000"), "{more:?}: {told}");
    }
}
