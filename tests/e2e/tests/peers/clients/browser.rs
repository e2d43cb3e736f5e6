//! Chromium: a page that fetches, uploads, listens to events and talks over a WebSocket.

use std::{net::SocketAddr, process::Stdio, time::Duration};

use harness::{request, wait};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{site, sockets};
use crate::{
    edge::{Edge, HOST},
    origins,
};

/// Chromium starts slowly on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread")]
async fn a_page_does_all_that_browsers_do() {
    let (site, sockets) = (site().await, sockets().await);
    let page = format!("http://{}", site.address);
    let socket = format!("/socket origin=http://{}", sockets.address);
    let edge = Edge::set(&["--origins", &page, "--paths", &socket]).await;
    let folder = tempfile::tempdir().unwrap();
    let mut browser = Command::new(origins::program("chromium-headless-shell"))
        .args(["--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"])
        .arg(format!("--user-data-dir={}", folder.path().display()))
        .arg(format!(
            "--host-resolver-rules=MAP {HOST}:443 {}",
            edge.address()
        ))
        .arg(format!(
            "--ignore-certificate-errors-spki-list={}",
            pin(edge.address()).await
        ))
        .arg(format!("https://{HOST}/"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let report = wait::until("Chromium has reported", PATIENCE, || async {
        let (_, body) = request::plain(site.address, "/reported").await.ok()?;
        serde_json::from_slice::<Value>(&body).ok()
    })
    .await;
    browser.kill().await.unwrap();
    let expected = json!({
        "fetches": {"right": 40, "h2": 40},
        "upload": true,
        "download": true,
        "aborted": true,
        "events": [1, 2, 3, 4, 5, 6, 7, 8],
        "socket": {"heard": ["one", "two", "big"], "code": 4000, "clean": true},
    });
    assert_eq!(report, expected);
}

/// The pin of the certificate that is served, which the browser believes besides its own.
async fn pin(address: SocketAddr) -> String {
    let line = format!(
        "openssl s_client -connect {address} -servername {HOST} </dev/null 2>/dev/null \
         | openssl x509 -noout -pubkey | openssl pkey -pubin -outform der \
         | openssl dgst -sha256 -binary | openssl base64"
    );
    let output = Command::new("sh").args(["-c", &line]).output().await;
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
