//! Slow clients, each cut off at the limit of its phase.

use std::time::Duration;

use bytes::Bytes;
use edge::Limits;
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use hyper::body::Frame;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

use crate::{
    origin::{App, Speaks},
    rig::{HOST, Options, PATIENCE, Rig, empty, eventually, full, streamed},
};

const SHORT: Duration = Duration::from_millis(400);

async fn rig(limits: Limits) -> Rig {
    let rig = Rig::with(Options {
        limits,
        ..Options::default()
    });
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.set_origin(app.at);
    rig.settled().await;
    rig
}

/// Reads until the end; expects it after [`SHORT`] and not much later.
async fn ends_in_time(stream: &mut (impl tokio::io::AsyncRead + Unpin), since: Instant) -> String {
    let mut read = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut read))
        .await
        .unwrap();
    let took = since.elapsed();
    assert!(
        took >= SHORT * 3 / 4 && took < SHORT + Duration::from_secs(4),
        "{took:?}"
    );
    String::from_utf8_lossy(&read).into_owned()
}

#[tokio::test]
async fn a_head_has_its_time_however_it_trickles() {
    let rig = rig(Limits {
        head: SHORT,
        ..Limits::default()
    })
    .await;
    let mut silent = rig.secure(&["http/1.1"]).await;
    ends_in_time(&mut silent, Instant::now()).await;
    let begun = Instant::now();
    let (mut read, mut write) = tokio::io::split(rig.secure(&["http/1.1"]).await);
    tokio::spawn(async move {
        for byte in
            b"GET / HTTP/1.1\r\nx: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy".chunks(1)
        {
            if write.write_all(byte).await.is_err() {
                return;
            }
            tokio::time::sleep(SHORT / 10).await;
        }
    });
    ends_in_time(&mut read, begun).await;
    let mut plain = TcpStream::connect(rig.http()).await.unwrap();
    ends_in_time(&mut plain, Instant::now()).await;
}

#[tokio::test]
async fn a_second_head_is_timed_from_its_first_byte() {
    let rig = rig(Limits {
        head: SHORT,
        ..Limits::default()
    })
    .await;
    let mut stream = rig.secure(&["http/1.1"]).await;
    stream
        .write_all(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut piece = [0; 4096];
    assert!(stream.read(&mut piece).await.unwrap() > 0);
    // Resting is no head: it may last longer.
    assert!(timeout(SHORT * 2, stream.read(&mut piece)).await.is_err());
    stream.write_all(b"GET / HT").await.unwrap();
    ends_in_time(&mut stream, Instant::now()).await;
}

#[tokio::test]
async fn a_resting_connection_is_closed_in_good_form() {
    let rig = rig(Limits {
        idle: SHORT,
        ..Limits::default()
    })
    .await;
    let mut stream = rig.secure(&["http/1.1"]).await;
    stream
        .write_all(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let begun = Instant::now();
    assert!(
        ends_in_time(&mut stream, begun)
            .await
            .starts_with("HTTP/1.1 200")
    );
    let mut h2 = rig.http2().await;
    let request = http::Request::builder()
        .uri(format!("https://{HOST}/"))
        .body(empty())
        .unwrap();
    h2.send_request(request)
        .await
        .unwrap()
        .into_body()
        .collect()
        .await
        .unwrap();
    eventually("the connection is closed", || h2.is_closed()).await;
}

#[tokio::test]
async fn a_body_that_stalls_is_a_request_timeout() {
    let limits = Limits {
        body_idle: SHORT,
        ..Limits::default()
    };
    let rig = rig(limits).await;
    let mut stream = rig.secure(&["http/1.1"]).await;
    let begun = Instant::now();
    stream
        .write_all(
            format!("POST /never HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 10\r\n\r\n1234")
                .as_bytes(),
        )
        .await
        .unwrap();
    let answer = ends_in_time(&mut stream, begun).await;
    assert!(
        answer.starts_with("HTTP/1.1 408") && answer.contains("body_stalled"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_off() {
    let rig = rig(Limits {
        write_stall: SHORT,
        ..Limits::default()
    })
    .await;
    let mut stream = rig.secure(&["http/1.1"]).await;
    stream
        .write_all(format!("GET /endless HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    eventually("a request", || rig.edge.metrics().requests == 1).await;
    eventually("the connection is cut off", || {
        rig.edge.metrics().connections_open == 0
    })
    .await;
}

#[tokio::test]
async fn a_stream_whose_window_stays_closed_ends() {
    let limits = Limits {
        exchange_idle: SHORT,
        response_head: SHORT / 8,
        connect: SHORT / 8,
        origin_handshake: SHORT / 8,
        ..Limits::default()
    };
    let rig = rig(limits).await;
    let mut h2 = rig.http2().await;
    let request = http::Request::builder()
        .uri(format!("https://{HOST}/endless"))
        .body(empty())
        .unwrap();
    let _unread = h2.send_request(request).await.unwrap();
    eventually("the connection is cut off", || {
        rig.edge.metrics().connections_open == 0
    })
    .await;
}

#[tokio::test]
async fn an_answered_exchange_may_rest_longer_than_a_body() {
    let rig = rig(Limits {
        body_idle: SHORT / 2,
        ..Limits::default()
    })
    .await;
    let (pieces, receiver) = tokio::sync::mpsc::unbounded_channel();
    let pieces_stream = tokio_stream::wrappers::UnboundedReceiverStream::new(receiver);
    let body = streamed(pieces_stream.map(|piece| Ok(Frame::data(piece))));
    let request = http::Request::builder()
        .method("POST")
        .uri(format!("https://{HOST}/echo"))
        .body(body)
        .unwrap();
    let mut response = rig.http2().await.send_request(request).await.unwrap();
    assert!(
        timeout(SHORT * 2, response.frame()).await.is_err(),
        "both rest"
    );
    pieces.send(Bytes::from_static(b"awake")).unwrap();
    let frame = timeout(PATIENCE, response.frame())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(frame.into_data().unwrap(), "awake");
}

#[tokio::test]
async fn a_body_beyond_its_bound_is_refused() {
    let rig = rig(Limits {
        request_body: 1000,
        ..Limits::default()
    })
    .await;
    for body in [
        full(vec![b'x'; 1001]),
        streamed(stream::iter(
            (0..11).map(|_| Ok(Frame::data(Bytes::from_static(&[b'x'; 100])))),
        )),
    ] {
        let request = http::Request::builder()
            .method("POST")
            .uri("/never")
            .header("host", HOST)
            .body(body)
            .unwrap();
        let response = timeout(PATIENCE, rig.http1().await.send_request(request))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(response.status(), 413);
    }
}
