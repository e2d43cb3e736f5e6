//! Ending without an error for anybody who behaves.

use std::{sync::atomic::Ordering, time::Duration};

use http_body_util::BodyExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

use crate::{
    origin::{App, Speaks},
    rig::{HOST, Options, PATIENCE, Rig, empty, eventually, whole},
};

const GRACE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn what_was_begun_is_finished() {
    let rig = Rig::start();
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.set_origin(app.at.clone());
    rig.settled().await;
    let (mut h1, mut h2) = (rig.http1().await, rig.http2().await);
    let mut idle = rig.http1().await;
    idle.send_request(
        http::Request::builder()
            .uri("/")
            .header("host", HOST)
            .body(empty())
            .unwrap(),
    )
    .await
    .unwrap()
    .into_body()
    .collect()
    .await
    .unwrap();
    let request = http::Request::builder()
        .uri("/gate")
        .header("host", HOST)
        .body(empty())
        .unwrap();
    let first = tokio::spawn(h1.send_request(request));
    let request = http::Request::builder()
        .uri(format!("https://{HOST}/gate"))
        .body(empty())
        .unwrap();
    let second = tokio::spawn(h2.send_request(request));
    eventually("two requests", || {
        app.seen.requests.load(Ordering::Relaxed) == 3
    })
    .await;

    let address = rig.https();
    let draining = tokio::spawn(rig.edge.drain(GRACE));
    eventually("the resting connection ends", || idle.is_closed()).await;
    eventually("no listener", || {
        std::net::TcpStream::connect(address).is_err()
    })
    .await;
    app.seen.gate.notify_one();
    app.seen.gate.notify_one();
    let (head, text) = whole(first.await.unwrap().unwrap()).await;
    assert_eq!((head.status.as_u16(), text.as_str()), (200, "through"));
    assert_eq!(head.headers["connection"], "close");
    let (head, text) = whole(second.await.unwrap().unwrap()).await;
    assert_eq!((head.status.as_u16(), text.as_str()), (200, "through"));
    let drained = timeout(PATIENCE, draining).await.unwrap().unwrap();
    assert_eq!(drained.cut_off, 0);
    eventually("the h2 connection ends", || h2.is_closed()).await;
}

#[tokio::test]
async fn a_connection_that_was_accepted_may_ask_once() {
    let rig = Rig::start();
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.set_origin(app.at.clone());
    let mut stream = rig.secure(&["http/1.1"]).await;
    let address = rig.https();
    let draining = tokio::spawn(rig.edge.drain(GRACE));
    eventually("no listener", || {
        std::net::TcpStream::connect(address).is_err()
    })
    .await;
    stream
        .write_all(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"),
        "{answer}"
    );
    assert_eq!(draining.await.unwrap().cut_off, 0);
}

#[tokio::test]
async fn what_does_not_end_is_cut_off_after_the_grace() {
    let rig = Rig::start();
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.set_origin(app.at.clone());
    rig.settled().await;
    let mut h1 = rig.http1().await;
    let request = http::Request::builder()
        .uri("/never")
        .header("host", HOST)
        .body(empty())
        .unwrap();
    let pending = tokio::spawn(h1.send_request(request));
    eventually("a request", || {
        app.seen.requests.load(Ordering::Relaxed) == 1
    })
    .await;
    let begun = Instant::now();
    let drained = timeout(PATIENCE, rig.edge.drain(Duration::from_millis(300)))
        .await
        .unwrap();
    assert_eq!(drained.cut_off, 1);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert!(pending.await.unwrap().is_err());
}

#[tokio::test]
async fn a_lame_duck_serves_but_says_so() {
    let lame_duck = Duration::from_millis(500);
    let rig = Rig::with(Options {
        lame_duck,
        ..Options::default()
    });
    rig.settled().await;
    let (address, health) = (rig.https(), rig.edge.health());
    assert!(health.is_ready() && health.cores == 2);
    let begun = Instant::now();
    let mut draining = std::pin::pin!(rig.edge.drain(GRACE));
    assert!(timeout(lame_duck / 5, &mut draining).await.is_err());
    TcpStream::connect(address).await.unwrap();
    timeout(PATIENCE, draining).await.unwrap();
    assert!(begun.elapsed() >= lame_duck);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn dropping_it_ends_it() {
    let rig = Rig::start();
    let address = rig.https();
    let mut stream = rig.secure(&["http/1.1"]).await;
    drop(rig.edge);
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut rest))
        .await
        .unwrap();
    eventually("no listener", || {
        std::net::TcpStream::connect(address).is_err()
    })
    .await;
}
