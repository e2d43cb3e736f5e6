//! Upgrades: a tunnel after the origin's 101, and never before.

use std::time::Duration;

use edge::Limits;
use futures_util::{SinkExt, StreamExt};
use state::OriginProtocol;
use tokio::{io::AsyncWriteExt, net::TcpListener, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async, client_async,
    tungstenite::{self, Message, handshake::server},
};

use crate::{
    origin::{Act, Script},
    rig::{HOST, Options, PATIENCE, Rig, Secure, eventually, read_for},
};

/// An origin that echoes messages.
pub(crate) async fn echoing() -> state::Origin {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                #[expect(clippy::result_large_err, reason = "tungstenite's own signature")]
                let note = |request: &server::Request, mut response: server::Response| {
                    let forwarded = request.headers()["x-forwarded-for"].clone();
                    response.headers_mut().insert("x-seen", forwarded);
                    Ok(response)
                };
                let mut socket = accept_hdr_async(stream, note).await.unwrap();
                while let Some(Ok(message)) = socket.next().await {
                    if message.is_close() || socket.send(message).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    at
}

pub(crate) async fn open(
    rig: &Rig,
) -> Result<(WebSocketStream<Secure>, server::Response), tungstenite::Error> {
    let stream = rig.secure(&["http/1.1"]).await;
    let opened = timeout(PATIENCE, client_async(format!("wss://{HOST}/chat"), stream))
        .await
        .unwrap()?;
    Ok((opened.0, opened.1.map(|_| ())))
}

#[tokio::test]
async fn messages_pass_both_ways() {
    let rig = Rig::start();
    rig.set_origin(echoing().await);
    let (mut socket, response) = open(&rig).await.unwrap();
    assert_eq!(response.headers()["x-seen"], "127.0.0.1");
    for size in [1, 1000, 300_000] {
        let message = Message::binary(vec![7; size]);
        socket.send(message.clone()).await.unwrap();
        assert_eq!(
            timeout(PATIENCE, socket.next())
                .await
                .unwrap()
                .unwrap()
                .unwrap(),
            message
        );
    }
    let metrics = rig.edge.metrics();
    assert_eq!((metrics.tunnels_open, metrics.connections_open), (1, 1));
    socket.close(None).await.unwrap();
    drop(socket);
    eventually("the tunnel ends", || rig.edge.metrics().tunnels_open == 0).await;
}

#[tokio::test]
async fn a_refused_upgrade_is_an_ordinary_response() {
    const ACTS: &[Act] = &[Act::Say(
        "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno",
    )];
    let rig = Rig::start();
    let script = Script::start(ACTS).await;
    rig.set_origin(script.at.clone());
    match open(&rig).await {
        Err(tungstenite::Error::Http(response)) => assert_eq!(response.status(), 403),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn bytes_behind_an_upgrade_wait_for_the_answer() {
    // CVE-2026-2833: what follows the upgrade is a request, not the tunnel's.
    const ACTS: &[Act] = &[
        Act::Say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno"),
        Act::Say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno"),
    ];
    let rig = Rig::with(Options {
        cores: 1,
        ..Options::default()
    });
    let mut script = Script::start(ACTS).await;
    rig.set_origin(script.at.clone());
    let upgrade = format!(
        "GET /chat HTTP/1.1\r\nHost: {HOST}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let smuggled = format!("GET /behind HTTP/1.1\r\nHost: {HOST}\r\nX-Real-IP: 6.6.6.6\r\n\r\n");
    let answer = rig.raw(format!("{upgrade}{smuggled}").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let first = script.received.recv().await.unwrap();
    assert!(
        first.starts_with("GET /chat") && !first.contains("/behind"),
        "{first}"
    );
    // Whatever became of the rest, the origin never got it as it was sent.
    while let Ok(Some(more)) = timeout(Duration::from_millis(300), script.received.recv()).await {
        assert!(!more.contains("6.6.6.6"), "{more}");
    }
}

#[tokio::test]
async fn other_upgrades_are_passed_over() {
    const ACTS: &[Act] = &[Act::Say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")];
    let rig = Rig::start();
    let mut script = Script::start(ACTS).await;
    rig.set_origin(script.at.clone());
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
    );
    let answer = rig.raw(request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let head = script.received.recv().await.unwrap().to_lowercase();
    assert!(
        !head.contains("upgrade") && !head.contains("http2-settings"),
        "{head}"
    );
}

#[tokio::test]
async fn an_origin_of_http2_only_has_no_websocket() {
    let rig = Rig::start();
    rig.set_origin(echoing().await.with_protocol(OriginProtocol::Http2));
    match open(&rig).await {
        Err(tungstenite::Error::Http(response)) => assert_eq!(response.status(), 501),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_tunnel_that_rests_too_long_is_closed() {
    let limits = Limits {
        tunnel_idle: Duration::from_millis(300),
        ..Limits::default()
    };
    let rig = Rig::with(Options {
        limits,
        ..Options::default()
    });
    rig.set_origin(echoing().await);
    let (mut socket, _) = open(&rig).await.unwrap();
    assert!(!matches!(
        timeout(PATIENCE, socket.next()).await.unwrap(),
        Some(Ok(_))
    ));
    eventually("the tunnel ends", || {
        rig.edge.metrics().connections_open == 0
    })
    .await;
}

#[tokio::test]
async fn a_tunnel_outlives_the_limits_of_requests() {
    let short = Duration::from_millis(200);
    let limits = Limits {
        head: short,
        idle: short,
        exchange_idle: short,
        response_head: short,
        ..Limits::default()
    };
    let rig = Rig::with(Options {
        limits,
        ..Options::default()
    });
    rig.set_origin(echoing().await);
    let (mut socket, _) = open(&rig).await.unwrap();
    assert!(timeout(3 * short, socket.next()).await.is_err(), "it rests");
    socket.send(Message::text("still here")).await.unwrap();
    assert_eq!(
        timeout(PATIENCE, socket.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap(),
        Message::text("still here")
    );
    let mut stream = socket.into_inner();
    stream.shutdown().await.unwrap();
    read_for(&mut stream, short).await;
}
