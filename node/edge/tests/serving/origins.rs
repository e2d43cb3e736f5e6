//! Origins that are missing, broken or slow.

use std::{sync::atomic::Ordering, time::Duration};

use edge::Limits;
use state::OriginProtocol;
use tokio::{net::TcpListener, time::Instant};

use crate::{
    origin::{Act, App, Script, Speaks},
    rig::{HOST, Options, Rig, empty, eventually, whole},
};

/// One request; expects this status and reason, and nothing of our inside.
async fn check(rig: &Rig, status: u16, reason: &str) {
    rig.settled().await;
    let (head, text) = rig.get("/").await;
    assert_eq!(
        (
            head.status.as_u16(),
            head.headers["hostquorum-error"].to_str().unwrap()
        ),
        (status, reason)
    );
    assert!(
        text.starts_with(&format!("{status} {reason}: ")) && !text.contains("127.0.0.1"),
        "{text}"
    );
}

#[tokio::test]
async fn without_an_origin_there_is_a_reason() {
    let rig = Rig::start();
    check(&rig, 503, "no_origin").await;
    let metrics = rig.edge.metrics();
    assert!(metrics.reasons.contains(&("no_origin", 1)));
}

#[tokio::test]
async fn an_origin_that_is_down_is_a_bad_gateway() {
    let rig = Rig::start();
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    rig.set_origin(format!("http://{free}").parse().unwrap());
    check(&rig, 502, "origin_unreachable").await;
    rig.set_origin(
        format!("http://no-such-host.invalid:{}", free.port())
            .parse()
            .unwrap(),
    );
    check(&rig, 502, "origin_unreachable").await;
}

#[tokio::test]
async fn an_origin_whose_certificate_does_not_hold_is_refused() {
    let rig = Rig::start();
    let other = Rig::start();
    let app = App::start(Speaks::Tls(&["http/1.1"]), &other.ca).await;
    rig.set_origin(app.at.clone());
    check(&rig, 502, "origin_handshake").await; // an unknown issuer
    let app = App::start(Speaks::Tls(&["http/1.1"]), &rig.ca).await;
    rig.set_origin(
        format!("https://127.0.0.1:{}", app.at.port)
            .parse()
            .unwrap(),
    );
    check(&rig, 502, "origin_handshake").await; // another name
    rig.set_origin(app.at.clone().with_protocol(OriginProtocol::Http2));
    check(&rig, 502, "origin_handshake").await; // another protocol
    rig.set_origin(app.at);
    rig.settled().await;
    assert_eq!(rig.get("/").await.0.status, 200);
}

#[tokio::test]
async fn an_origin_that_breaks_off_or_babbles_is_a_bad_gateway() {
    for (acts, reason) in [
        (&[Act::SayAndClose("")][..], "origin_closed"),
        (
            &[Act::SayAndClose("HTTP/1.1 200 OK\r\ncontent-le")],
            "origin_closed",
        ),
        (
            &[Act::SayAndClose("SSH-2.0-OpenSSH_9.2\r\n\r\n")],
            "origin_invalid",
        ),
        (
            &[Act::SayAndClose(
                "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
            )],
            "origin_invalid",
        ),
        (
            &[Act::SayAndClose("HTTP/1.1 200 OK\r\na: b\r\n evil\r\n\r\n")],
            "origin_invalid",
        ),
        (
            &[Act::SayAndClose(
                "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
            )],
            "origin_invalid",
        ),
    ] {
        let rig = Rig::start();
        let script = Script::start(acts).await;
        rig.set_origin(script.at.clone());
        check(&rig, 502, reason).await;
    }
}

#[tokio::test]
async fn part_of_a_response_never_passes_for_the_whole() {
    let rig = Rig::start();
    for said in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfour",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        let acts: &'static [Act] = Vec::leak(vec![Act::SayAndClose(said)]);
        let script = Script::start(acts).await;
        rig.set_origin(script.at.clone());
        rig.settled().await;
        let answer = rig
            .raw(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes())
            .await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && !answer.ends_with("0\r\n\r\n"),
            "{answer}"
        );
        let request = http::Request::builder()
            .uri(format!("https://{HOST}/"))
            .body(empty())
            .unwrap();
        let response = rig.http2().await.send_request(request).await.unwrap();
        assert!(
            http_body_util::BodyExt::collect(response.into_body())
                .await
                .is_err()
        );
    }
}

#[tokio::test]
async fn interim_responses_are_passed_over() {
    const ACTS: &[Act] = &[Act::Say(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n\
         HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    )];
    let rig = Rig::start();
    let script = Script::start(ACTS).await;
    rig.set_origin(script.at.clone());
    rig.settled().await;
    let (head, text) = rig.get("/").await;
    assert_eq!((head.status.as_u16(), text.as_str()), (200, "hello"));
    assert!(!head.headers.contains_key("link"));
}

#[tokio::test]
async fn bytes_behind_a_response_are_no_answer_to_another_request() {
    const ACTS: &[Act] = &[Act::Say(
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
    )];
    let rig = Rig::with(Options {
        cores: 1,
        ..Options::default()
    });
    let script = Script::start(ACTS).await;
    rig.set_origin(script.at.clone());
    rig.settled().await;
    for _ in 0..5 {
        let (head, text) = rig.get("/").await;
        assert_eq!((head.status.as_u16(), text.as_str()), (200, "hello"));
    }
}

#[tokio::test]
async fn a_pooled_connection_that_has_ended_costs_no_request() {
    const ACTS: &[Act] = &[Act::SayAndClose(
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    )];
    let rig = Rig::with(Options {
        cores: 1,
        ..Options::default()
    });
    let script = Script::start(ACTS).await;
    rig.set_origin(script.at.clone());
    rig.settled().await;
    for _ in 0..20 {
        assert_eq!(rig.get("/").await.0.status, 200);
    }
}

#[tokio::test]
async fn a_slow_origin_is_a_gateway_timeout() {
    let limits = Limits {
        response_head: Duration::from_millis(300),
        ..Limits::default()
    };
    let rig = Rig::with(Options {
        limits,
        ..Options::default()
    });
    for speaks in [Speaks::Http1, Speaks::Http2] {
        let app = App::start(speaks, &rig.ca).await;
        rig.set_origin(app.at.clone());
        rig.settled().await;
        let request = http::Request::builder()
            .uri("/never")
            .header("host", HOST)
            .body(empty())
            .unwrap();
        let (head, _) = whole(rig.http1().await.send_request(request).await.unwrap()).await;
        assert_eq!(
            (head.status.as_u16(), &head.headers["hostquorum-error"]),
            (504, &"origin_response_timeout".parse().unwrap())
        );
    }
}

#[tokio::test]
async fn an_origin_that_accepts_no_one_is_a_gateway_timeout() {
    let limits = Limits {
        connect: Duration::from_millis(300),
        origin_handshake: Duration::from_millis(300),
        ..Limits::default()
    };
    let rig = Rig::with(Options {
        limits,
        ..Options::default()
    });
    // It listens, but nobody speaks TLS with us.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    rig.set_origin(
        format!("https://{}", silent.local_addr().unwrap())
            .parse()
            .unwrap(),
    );
    check(&rig, 504, "origin_connect_timeout").await;
}

#[tokio::test]
async fn an_origin_whose_connections_are_all_in_use_is_busy() {
    let limits = Limits {
        connect: Duration::from_millis(300),
        upstream_connections: 1,
        ..Limits::default()
    };
    let rig = Rig::with(Options {
        limits,
        cores: 1,
        ..Options::default()
    });
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.set_origin(app.at.clone());
    rig.settled().await;
    let mut first = rig.http1().await;
    let request = http::Request::builder()
        .uri("/endless")
        .header("host", HOST)
        .body(empty())
        .unwrap();
    let _held = first.send_request(request).await.unwrap();
    check(&rig, 503, "origin_busy").await;
}

#[tokio::test]
async fn a_new_origin_is_used_by_the_next_request() {
    let rig = Rig::start();
    let (old, new) = (
        App::start(Speaks::Http1, &rig.ca).await,
        App::start(Speaks::Http2, &rig.ca).await,
    );
    let mut client = rig.http1().await;
    for app in [&old, &new] {
        rig.set_origin(app.at.clone());
        rig.settled().await;
        client.ready().await.unwrap();
        let request = http::Request::builder()
            .uri("/")
            .header("host", HOST)
            .body(empty())
            .unwrap();
        let (head, _) = whole(client.send_request(request).await.unwrap()).await;
        assert_eq!(head.status, 200);
        assert_eq!(app.seen.requests.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test]
async fn a_connection_that_comes_back_serves_who_waits() {
    let limits = Limits {
        upstream_connections: 1,
        ..Limits::default()
    };
    let rig = Rig::with(Options {
        limits,
        cores: 1,
        ..Options::default()
    });
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.set_origin(app.at.clone());
    rig.settled().await;
    let mut first = rig.http1().await;
    let request = http::Request::builder()
        .uri("/gate")
        .header("host", HOST)
        .body(empty())
        .unwrap();
    let first = tokio::spawn(first.send_request(request));
    eventually("a request", || {
        app.seen.requests.load(Ordering::Relaxed) == 1
    })
    .await;
    let (waiting, ()) = tokio::join!(rig.get("/"), async { app.seen.gate.notify_one() });
    assert_eq!(waiting.0.status, 200);
    assert_eq!(first.await.unwrap().unwrap().status(), 200);
    assert_eq!(app.seen.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_dead_origin_is_not_tried_by_one_request_after_the_other() {
    let limits = Limits {
        connect: Duration::from_millis(300),
        origin_handshake: Duration::from_millis(300),
        ..Limits::default()
    };
    let rig = Rig::with(Options {
        limits,
        cores: 1,
        ..Options::default()
    });
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    rig.set_origin(
        format!("https://{}", silent.local_addr().unwrap())
            .parse()
            .unwrap(),
    );
    rig.settled().await;
    let h2 = rig.http2().await;
    let begun = Instant::now();
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let mut h2 = h2.clone();
        let request = http::Request::builder()
            .uri(format!("https://{HOST}/"))
            .body(empty())
            .unwrap();
        requests.spawn(async move { h2.send_request(request).await.unwrap().status() });
    }
    for status in requests.join_all().await {
        assert_eq!(status, 504);
    }
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn an_origin_that_leads_back_to_us_ends_in_an_error() {
    let rig = Rig::start();
    rig.set_origin(
        format!("https://{HOST}:{}", rig.https().port())
            .parse()
            .unwrap(),
    );
    rig.settled().await;
    let hops = "1.1 hostquorum, 2.0 hostquorum, 1.1 other, 1.1 hostquorum, 1.1 hostquorum";
    for (via, status) in [
        (hops.to_owned(), "502"),
        (format!("{hops}, 1.1 hostquorum"), "508"),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nVia: {via}\r\n\r\n");
        let answer = rig.raw(request.as_bytes()).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
    }
}
