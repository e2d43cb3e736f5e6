//! Ending without an error for anybody who behaves.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use http_body_util::BodyExt;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;

use crate::{
    origin::{App, Speaks},
    rig::{HOST, PATIENCE, Rig, Secure, empty, eventually, whole},
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
    let rig = Rig::start();
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.set_origin(app.at.clone());
    rig.settled().await;
    let health = rig.edge.health();
    assert!(health.is_ready() && health.cores == 2);
    let mut kept = rig.http1().await;
    rig.edge.lame_duck();
    assert!(!rig.edge.health().is_ready() && rig.edge.health().draining);
    for _ in 0..3 {
        let request = http::Request::builder().uri("/").header("host", HOST);
        let response = kept.send_request(request.body(empty()).unwrap());
        let (head, _) = whole(response.await.unwrap()).await;
        assert_eq!(head.status, 200);
        assert!(!head.headers.contains_key("connection"), "it is kept");
    }
    assert_eq!(rig.get("/").await.0.status, 200);
    let address = rig.https();
    timeout(PATIENCE, rig.edge.drain(GRACE)).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn who_comes_while_it_drains_is_served_once() {
    let rig = Rig::start();
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.set_origin(app.at.clone());
    rig.settled().await;
    let mut kept = rig.http1().await;
    let request = http::Request::builder().uri("/").header("host", HOST);
    let response = kept.send_request(request.body(empty()).unwrap());
    assert_eq!(whole(response.await.unwrap()).await.0.status, 200);
    let Rig { edge, parts, .. } = rig;
    let address = edge.addresses().https;
    let draining = tokio::spawn(edge.drain(GRACE));
    eventually("the resting connection ends", || kept.is_closed()).await;
    for alpn in ["http/1.1", "h2"] {
        let connector = TlsConnector::from(Arc::new(parts.ca.client(&[alpn])));
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from(HOST).unwrap();
        let stream = TokioIo::new(connector.connect(name, stream).await.unwrap());
        let request = http::Request::builder().uri(format!("https://{HOST}/"));
        let status = if alpn == "h2" {
            let hands = http2::handshake(TokioExecutor::new(), stream);
            let (mut sender, connection) = hands.await.unwrap();
            tokio::spawn(connection);
            let response = sender.send_request(request.body(empty()).unwrap());
            whole(response.await.unwrap()).await.0.status
        } else {
            let (mut sender, connection) = http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            let request = request.header("host", HOST).body(empty()).unwrap();
            let (head, _) = whole(sender.send_request(request).await.unwrap()).await;
            assert_eq!(head.headers["connection"], "close");
            head.status
        };
        assert_eq!(status, 200, "{alpn}");
    }
    let drained = timeout(PATIENCE, draining).await.unwrap().unwrap();
    assert_eq!(drained.cut_off, 0);
}

const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

/// The next frame of `kind`: its flags and payload.
async fn frame(stream: &mut Secure, kind: u8) -> (u8, Vec<u8>) {
    loop {
        let mut head = [0; 9];
        timeout(PATIENCE, stream.read_exact(&mut head))
            .await
            .unwrap()
            .unwrap();
        let [a, b, c, found, flags, ..] = head;
        let length = u32::from_be_bytes([0, a, b, c]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut payload).await.unwrap();
        if found == kind {
            return (flags, payload);
        }
    }
}

fn last_stream(goaway: &[u8]) -> u32 {
    u32::from_be_bytes(goaway[..4].try_into().unwrap())
}

#[tokio::test]
async fn http2_is_told_twice_to_go() {
    let rig = Rig::start();
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.set_origin(app.at.clone());
    rig.settled().await;
    let mut stream = rig.secure(&["h2"]).await;
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    frame(&mut stream, SETTINGS).await;
    // GET https://shop.client.example/ on stream `id`, in static and literal fields.
    let request = |id: u8| {
        let host = HOST.as_bytes();
        let length = u8::try_from(host.len()).unwrap();
        let fields = [&[0x82, 0x87, 0x84, 0x01, length], host].concat();
        let size = u8::try_from(fields.len()).unwrap();
        [&[0, 0, size, 1, 5, 0, 0, 0, id], &fields[..]].concat()
    };
    stream.write_all(&request(1)).await.unwrap();
    frame(&mut stream, 1).await; // its answer
    let draining = tokio::spawn(rig.edge.drain(GRACE));
    let (_, first) = frame(&mut stream, GOAWAY).await;
    assert_eq!(
        last_stream(&first),
        (1 << 31) - 1,
        "what is under way is welcome"
    );
    let (_, ping) = frame(&mut stream, PING).await;
    // It was sent before the client heard of the end.
    stream.write_all(&request(3)).await.unwrap();
    let pong = [&[0, 0, 8, PING, 1, 0, 0, 0, 0], &ping[..]].concat();
    stream.write_all(&pong).await.unwrap();
    let (_, last) = frame(&mut stream, GOAWAY).await;
    assert_eq!(last_stream(&last), 3, "and is answered");
    frame(&mut stream, 1).await;
    let drained = timeout(PATIENCE, draining).await.unwrap().unwrap();
    assert_eq!(drained.cut_off, 0);
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
