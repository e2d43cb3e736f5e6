//! Requests through to the origin and back, for every pair of protocols.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::BodyExt;
use hyper::{
    body::{Frame, Incoming},
    client::conn::{http1, http2},
};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::{
    origin::{Act, App, Script, Speaks},
    rig::{Body, HOST, PATIENCE, Rig, empty, eventually, full, streamed, whole},
};

const EVERY: [Speaks; 4] = [
    Speaks::Http1,
    Speaks::Http2,
    Speaks::Tls(&["h2", "http/1.1"]),
    Speaks::Tls(&["http/1.1"]),
];

/// A client of either protocol.
enum Client {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

impl Client {
    async fn send(&mut self, method: &str, path: &str, body: Body) -> Response<Incoming> {
        self.send_with(method, path, &[], body).await
    }

    async fn send_with(
        &mut self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: Body,
    ) -> Response<Incoming> {
        let mut request = Request::builder().method(method);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let sent = match self {
            Self::Http1(sender) => {
                timeout(PATIENCE, sender.ready()).await.unwrap().unwrap();
                let request = request
                    .uri(path)
                    .header(header::HOST, HOST)
                    .body(body)
                    .unwrap();
                timeout(PATIENCE, sender.send_request(request)).await
            }
            Self::Http2(sender) => {
                let request = request
                    .uri(format!("https://{HOST}{path}"))
                    .body(body)
                    .unwrap();
                timeout(PATIENCE, sender.send_request(request)).await
            }
        };
        sent.unwrap().unwrap()
    }
}

/// Runs `check` for every pair of client and origin.
async fn for_every_pair(check: impl AsyncFn(&str, &mut Client, &App)) {
    let rig = Rig::start();
    for speaks in EVERY {
        let app = App::start(speaks, &rig.ca).await;
        rig.set_origin(app.at.clone());
        rig.settled().await;
        check(
            &format!("http/1.1 to {speaks:?}"),
            &mut Client::Http1(rig.http1().await),
            &app,
        )
        .await;
        check(
            &format!("h2 to {speaks:?}"),
            &mut Client::Http2(rig.http2().await),
            &app,
        )
        .await;
    }
}

#[tokio::test]
async fn requests_pass_for_every_pair_of_protocols() {
    for_every_pair(async |pair, client, _| {
        let (head, text) = whole(client.send("GET", "/a?b=c", empty()).await).await;
        assert_eq!(head.status, 200, "{pair}");
        assert!(text.contains("/a?b=c"), "{pair}: {text}");
        assert_eq!(head.headers["x-kept"], "1", "{pair}");
        assert!(!head.headers.contains_key("keep-alive"), "{pair}");
        let (head, text) = whole(client.send("GET", "/empty", empty()).await).await;
        assert_eq!((head.status.as_u16(), text.as_str()), (204, ""), "{pair}");
        let (head, text) = whole(client.send("HEAD", "/a", empty()).await).await;
        assert_eq!((head.status.as_u16(), text.as_str()), (200, ""), "{pair}");
        assert!(head.headers.contains_key("content-length"), "{pair}");
    })
    .await;
}

#[tokio::test]
async fn bodies_pass_in_both_directions_with_and_without_a_length() {
    for_every_pair(async |pair, client, _| {
        for size in [0, 1, 70_000, 3 << 20] {
            let data = Bytes::from_iter((0..size).map(|place: u32| place.to_le_bytes()[0]));
            let known = client.send("POST", "/echo", full(data.clone())).await;
            assert_eq!(
                known.into_body().collect().await.unwrap().to_bytes(),
                data,
                "{pair} {size}"
            );
            let pieces: Vec<_> = data
                .chunks(9999)
                .map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece))))
                .collect();
            let unknown = client
                .send("POST", "/echo", streamed(stream::iter(pieces)))
                .await;
            assert_eq!(
                unknown.into_body().collect().await.unwrap().to_bytes(),
                data,
                "{pair} {size}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn each_piece_passes_before_the_next_is_sent() {
    for_every_pair(async |pair, client, _| {
        let (pieces, receiver) = mpsc::unbounded_channel();
        let body =
            streamed(UnboundedReceiverStream::new(receiver).map(|piece| Ok(Frame::data(piece))));
        let mut response = client.send("POST", "/echo", body).await;
        for number in 0..3 {
            let piece = Bytes::from(format!("piece {number}"));
            pieces.send(piece.clone()).unwrap();
            let frame = timeout(PATIENCE, response.frame())
                .await
                .unwrap()
                .unwrap()
                .unwrap();
            assert_eq!(frame.into_data().unwrap(), piece, "{pair}");
        }
        drop(pieces);
        let rest = timeout(PATIENCE, response.into_body().collect())
            .await
            .unwrap();
        assert_eq!(rest.unwrap().to_bytes(), "", "{pair}");
    })
    .await;
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_the_origin() {
    for_every_pair(async |pair, client, app| {
        app.seen.produced.store(0, Ordering::Relaxed);
        let response = client.send("GET", "/endless", empty()).await;
        let produced = rests(pair, &app.seen.produced).await;
        assert!(
            produced < 32 << 20,
            "{pair}: {produced} bytes are somewhere"
        );
        drop(response);
    })
    .await;
}

#[tokio::test]
async fn an_origin_that_does_not_read_stops_the_client() {
    for_every_pair(async |pair, client, _| {
        let sent = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&sent);
        let pieces = stream::repeat_with(move || {
            counter.fetch_add(16 << 10, Ordering::Relaxed);
            Ok(Frame::data(Bytes::from_static(&[b's'; 16 << 10])))
        });
        let sending = client.send("POST", "/never", streamed(pieces));
        tokio::select! {
            _ = sending => panic!("{pair}: nobody answers"),
            produced = rests(pair, &sent) => assert!(produced < 32 << 20, "{pair}: {produced} bytes are somewhere"),
        }
    })
    .await;
}

/// Waits until the number stands still for half a second, and gives it.
async fn rests(what: &str, number: &AtomicU64) -> u64 {
    let mut last = u64::MAX;
    let waited = timeout(PATIENCE, async {
        while std::mem::replace(&mut last, number.load(Ordering::Relaxed)) != last || last == 0 {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}: it never rests");
    last
}

#[tokio::test]
async fn the_origin_is_told_of_the_client_by_us_alone() {
    for_every_pair(async |pair, client, _| {
        let fields = [
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-proto", "http"),
            ("x-real-ip", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6"),
            ("x_forwarded_for", "6.6.6.6"),
            ("accept", "text/plain"),
            ("proxy-authorization", "secret"),
        ];
        let (_, text) = whole(client.send_with("GET", "/", &fields, empty()).await).await;
        for line in [
            "x-forwarded-for: 127.0.0.1\n",
            "x-forwarded-proto: https\n",
            &format!("x-forwarded-host: {HOST}\n"),
            "x-real-ip: 127.0.0.1\n",
            &format!("forwarded: for=127.0.0.1;host=\"{HOST}\";proto=https\n"),
            "hostquorum\n",
            "accept: text/plain\n",
            HOST,
        ] {
            assert!(text.contains(line), "{pair}: {line} is missing in {text}");
        }
        assert!(
            !text.contains("6.6.6.6") && !text.contains("secret"),
            "{pair}: {text}"
        );
    })
    .await;
}

#[tokio::test]
async fn grpc_ends_in_trailers_both_ways() {
    let rig = Rig::start();
    for speaks in [Speaks::Http2, Speaks::Tls(&["h2"])] {
        let app = App::start(speaks, &rig.ca).await;
        rig.set_origin(app.at.clone());
        rig.settled().await;
        let mut client = Client::Http2(rig.http2().await);
        for (kind, request_trailers) in [("application/grpc", "x-checksum"), ("text/plain", "")] {
            let mut trailers = HeaderMap::new();
            trailers.insert("x-checksum", HeaderValue::from_static("1"));
            trailers.insert("authorization", HeaderValue::from_static("evil"));
            let frames = [
                Ok(Frame::data(Bytes::from_static(b"message"))),
                Ok(Frame::trailers(trailers)),
            ];
            let body = streamed(stream::iter(frames));
            let fields = [("content-type", kind), ("te", "trailers")];
            let response = client.send_with("POST", "/grpc", &fields, body).await;
            let collected = timeout(PATIENCE, response.into_body().collect())
                .await
                .unwrap()
                .unwrap();
            let trailers = collected.trailers().cloned().unwrap();
            assert_eq!(collected.to_bytes(), "message");
            assert_eq!(trailers["grpc-status"], "0");
            assert_eq!(trailers["x-request-trailers"], request_trailers, "{kind}");
            assert!(!trailers.contains_key("set-cookie"));
        }
    }
}

#[tokio::test]
async fn http1_trailers_pass_to_who_takes_them() {
    let rig = Rig::start();
    let app = App::start(Speaks::Http2, &rig.ca).await;
    rig.set_origin(app.at.clone());
    let request = format!(
        "POST /grpc HTTP/1.1\r\nHost: {HOST}\r\nTE: trailers\r\nConnection: te\r\nTrailer: x-checksum\r\n\
         Content-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n\
         7\r\nmessage\r\n0\r\nx-checksum: 1\r\n\r\n"
    );
    let answer = rig.raw(request.as_bytes()).await;
    assert!(answer.contains("7\r\nmessage\r\n0\r\n"), "{answer}");
}

#[tokio::test]
async fn trailers_that_do_not_go_on_are_not_announced() {
    let rig = Rig::start();
    let answered = "HTTP/1.1 200 OK\r\ntrailer: x-b\r\ntransfer-encoding: chunked\r\n\r\n\
                    2\r\nok\r\n0\r\nx-b: 1\r\n\r\n";
    let acts: &'static [Act] = Vec::leak(vec![Act::Say(answered)]);
    let mut script = Script::start(acts).await;
    rig.set_origin(script.at.clone());
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {HOST}\r\nTE: trailers\r\nConnection: te, close\r\n\
         Trailer: x-a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx-a: 1\r\n\r\n"
    );
    let answer = rig.raw(request.as_bytes()).await.to_lowercase();
    assert!(answer.contains("\r\n2\r\nok\r\n0\r\n\r\n"), "{answer}");
    assert!(!answer.contains("trailer"), "{answer}");
    let told = timeout(PATIENCE, script.received.recv()).await.unwrap();
    let told = told.unwrap().to_lowercase();
    assert!(told.contains("post / http/1.1"), "{told}");
    assert!(!told.contains("\r\ntrailer:"), "{told}");
}

#[tokio::test]
async fn an_early_answer_reaches_the_client() {
    for_every_pair(async |pair, client, app| {
        let over_http1 = matches!(client, Client::Http1(_));
        if over_http1 || app.speaks == Speaks::Http1 || app.speaks == Speaks::Tls(&["http/1.1"]) {
            return; // either end may close first
        }
        let pieces = stream::repeat_with(|| Ok(Frame::data(Bytes::from_static(&[b's'; 1024]))));
        let response = client.send("POST", "/early", streamed(pieces)).await;
        assert_eq!(response.status(), 413, "{pair}");
    })
    .await;
}

#[tokio::test]
async fn connections_to_the_origin_are_used_again() {
    for speaks in EVERY {
        let rig = Rig::start();
        let app = App::start(speaks, &rig.ca).await;
        rig.set_origin(app.at.clone());
        rig.settled().await;
        let mut client = Client::Http1(rig.http1().await);
        for _ in 0..10 {
            let (head, _) = whole(client.send("GET", "/", empty()).await).await;
            assert_eq!(head.status, 200);
        }
        // The pool hears of a connection's rest a moment after the client does.
        let connections = app.seen.connections.load(Ordering::Relaxed);
        assert!(
            connections <= 3,
            "{speaks:?}: {connections} connections for ten requests"
        );
    }
}

#[tokio::test]
async fn many_streams_share_a_connection_to_an_http2_origin() {
    let rig = Rig::start();
    let app = App::start(Speaks::Tls(&["h2", "http/1.1"]), &rig.ca).await;
    rig.set_origin(app.at.clone());
    rig.settled().await;
    let client = rig.http2().await;
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let mut client = Client::Http2(client.clone());
        requests.spawn(async move { client.send("GET", "/gate", empty()).await.status() });
    }
    eventually("fifty requests", || {
        app.seen.requests.load(Ordering::Relaxed) == 50
    })
    .await;
    assert_eq!(app.seen.connections.load(Ordering::Relaxed), 1);
    app.seen.gate.notify_waiters();
    for status in requests.join_all().await {
        assert_eq!(status, 200);
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_request_at_the_origin() {
    let rig = Rig::start();
    for speaks in [Speaks::Http1, Speaks::Http2] {
        let app = App::start(speaks, &rig.ca).await;
        rig.set_origin(app.at.clone());
        rig.settled().await;
        let mut client = Client::Http2(rig.http2().await);
        let response = client.send("GET", "/endless", empty()).await;
        drop(response);
        drop(client);
        eventually("no request", || rig.edge.metrics().requests_open == 0).await;
        rests("endless", &app.seen.produced).await;
    }
}
