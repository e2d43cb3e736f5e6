//! curl, over both protocols.

use std::fs;

use serde_json::Value;

use super::{before, run, site};
use crate::edge::{Edge, HOST};

const PROTOCOLS: [&str; 2] = ["--http1.1", "--http2"];

/// Asks for `path`, with more arguments.
async fn curl(edge: &Edge, protocol: &str, path: &str, more: &[&str]) -> String {
    let port = edge.address().port();
    let connect = format!("{HOST}:443:{}:{port}", edge.address().ip());
    let roots = edge.roots_file().display().to_string();
    let url = format!("https://{HOST}{path}");
    let always = ["--silent", "--show-error", "--fail-with-body"];
    let where_to = ["--cacert", &roots, "--connect-to", &connect, protocol, &url];
    let all = [&always[..], &where_to, more];
    run("curl", &all.concat()).await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_downloads_uploads_and_is_told_everything() {
    let origin = site().await;
    let edge = before(&origin).await;
    let folder = tempfile::tempdir().unwrap();
    let big = folder.path().join("big");
    let body: Vec<u8> = (0..5_000_000_u32).map(|at| (at % 251) as u8).collect();
    fs::write(&big, &body).unwrap();
    let big = format!("@{}", big.display());
    for protocol in PROTOCOLS {
        let version = curl(
            &edge,
            protocol,
            "/number?n=7",
            &["--write-out", " %{http_version}"],
        )
        .await;
        let expected = if protocol == "--http2" {
            "7 2"
        } else {
            "7 1.1"
        };
        assert_eq!(version, expected);
        // A body that leave is asked for, and one that comes in chunks.
        for more in [
            &["--data-binary", &big, "--header", "Expect: 100-continue"][..],
            &[
                "--data-binary",
                &big,
                "--header",
                "Transfer-Encoding: chunked",
            ],
            &["--upload-file", &big[1..]],
        ] {
            let told = curl(&edge, protocol, "/upload", more).await;
            let told: Value = serde_json::from_str(&told).unwrap();
            assert_eq!(told["length"], 5_000_000, "{protocol} {more:?}");
            assert_eq!(told["headers"]["x-forwarded-for"], "127.0.0.1");
        }
        let length = curl(
            &edge,
            protocol,
            "/bytes?n=3000000",
            &["--write-out", "%{size_download}", "--output", "/dev/null"],
        )
        .await;
        assert_eq!(length, "3000000");
        let pieces = curl(&edge, protocol, "/slowly?n=10", &[]).await;
        assert_eq!(pieces.lines().count(), 10, "{pieces}");
        // What has no body has none.
        for (path, more, expected) in [
            ("/empty", &["--write-out", "%{http_code}"][..], "204"),
            (
                "/same",
                &[
                    "--header",
                    "If-None-Match: \"1\"",
                    "--write-out",
                    "%{http_code}",
                ],
                "304",
            ),
            (
                "/bytes?n=10",
                &[
                    "--head",
                    "--output",
                    "/dev/null",
                    "--write-out",
                    "%{http_code}",
                ],
                "200",
            ),
        ] {
            assert_eq!(curl(&edge, protocol, path, more).await, expected, "{path}");
        }
        // Trailers are for gRPC; without them the answer is whole all the same.
        let told = curl(&edge, protocol, "/trailers", &["--include"]).await;
        assert!(
            told.ends_with("told") && !told.contains("x-sum: 1"),
            "{told}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn interim_answers_do_not_take_the_place_of_the_last() {
    let origin = site().await;
    let edge = before(&origin).await;
    for protocol in PROTOCOLS {
        // Behind it on the same connection, so that what was left over would be seen.
        let again = format!("https://{HOST}/number?n=9");
        let told = curl(
            &edge,
            protocol,
            "/hints",
            &["--write-out", "|%{http_code}|", &again],
        )
        .await;
        assert_eq!(told, "hinted|200|9|200|", "{protocol}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_one_by_one() {
    let origin = site().await;
    let edge = before(&origin).await;
    for protocol in PROTOCOLS {
        let told = curl(&edge, protocol, "/events", &["--no-buffer"]).await;
        assert_eq!(told.matches("event: count").count(), 5, "{told}");
    }
}
