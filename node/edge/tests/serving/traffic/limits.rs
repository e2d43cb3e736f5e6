//! Bodies, rates, connections.

use http::Request;
use state::{
    Traffic,
    traffic::{Rate, Switch},
};
use tokio::io::AsyncReadExt;

use crate::{
    origin::{App, Speaks},
    rig::{HOST, Options, Rig, eventually, full, whole},
};

async fn served(cores: usize) -> (Rig, App) {
    let options = Options {
        cores,
        ..Options::default()
    };
    let rig = Rig::with(options);
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.set_origin(app.at.clone());
    rig.settled().await;
    (rig, app)
}

#[tokio::test]
async fn a_body_has_the_length_that_is_allowed() {
    let (rig, _app) = served(1).await;
    rig.own(Traffic {
        max_body: Some(10),
        ..Traffic::default()
    })
    .await;
    let post = |text: &'static str| {
        let request = Request::post("/echo").header("host", HOST);
        request.body(full(text)).unwrap()
    };
    let (head, text) = whole(
        rig.http1()
            .await
            .send_request(post("0123456789"))
            .await
            .unwrap(),
    )
    .await;
    assert_eq!((head.status.as_u16(), text.as_str()), (200, "0123456789"));
    let (head, _) = whole(
        rig.http1()
            .await
            .send_request(post("0123456789a"))
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(head.status, 413);
    assert_eq!(head.headers["hostquorum-error"], "body_too_large");
    // Of unknown length: it is cut off when it has become too long.
    let chunked = format!(
        "POST /echo HTTP/1.1\r\nhost: {HOST}\r\ntransfer-encoding: chunked\r\n\r\n\
         8\r\n01234567\r\n8\r\n01234567\r\n0\r\n\r\n"
    );
    let answer = rig.raw(chunked.as_bytes()).await;
    assert!(!answer.contains("\r\n0\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_rate_holds_over_all_cores_and_connections() {
    let (rig, _app) = served(4).await;
    rig.own(Traffic {
        request_rate: Some(Switch::On(Rate {
            per_second: 1,
            burst: 5,
        })),
        ..Traffic::default()
    })
    .await;
    let begun = tokio::time::Instant::now();
    let mut allowed = 0;
    for _ in 0..20 {
        let (head, _) = rig.get("/").await;
        if head.status == 200 {
            allowed += 1;
        } else {
            assert_eq!(head.status, 429);
            assert_eq!(head.headers["hostquorum-error"], "rate_limited");
            assert_eq!(head.headers["retry-after"], "1");
        }
    }
    let more = begun.elapsed().as_secs() + 1;
    assert!((5..=5 + more).contains(&allowed), "{allowed} in {more} s");
    rig.serve("other.example");
    rig.own(Traffic::default()).await;
    assert_eq!(rig.get("/").await.0.status, 200);
}

#[tokio::test]
async fn random_names_below_a_wildcard_share_one_rate() {
    let (rig, _app) = served(1).await;
    rig.serve_wildcard("wild.example");
    let limited = Traffic {
        request_rate: Some(Switch::On(Rate {
            per_second: 1,
            burst: 2,
        })),
        ..Traffic::default()
    };
    rig.decide(Some("wild.example"), limited).await;
    let begun = tokio::time::Instant::now();
    let mut allowed = 0;
    for number in 0..10 {
        let name = format!("n{number}.wild.example");
        let stream = rig
            .connect(&name, rig.ca.client(&["http/1.1"]))
            .await
            .unwrap();
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get("/")
            .header("host", &name)
            .body(full(""))
            .unwrap();
        allowed += u64::from(sender.send_request(request).await.unwrap().status() == 200);
    }
    assert!(allowed <= 3 + begun.elapsed().as_secs(), "{allowed}");
}

#[tokio::test]
async fn connections_beyond_what_is_allowed_are_refused_until_others_end() {
    let (rig, _app) = served(2).await;
    rig.own(Traffic {
        max_connections: Some(Switch::On(2)),
        ..Traffic::default()
    })
    .await;
    let connect = || rig.connect(HOST, rig.ca.client(&["http/1.1"]));
    let mut first = connect().await.unwrap();
    let _second = connect().await.unwrap();
    assert!(connect().await.is_err());
    assert_eq!(rig.edge.metrics().connections_refused, 1);
    // Other hostnames are not meant.
    rig.serve("other.example");
    rig.connect("other.example", rig.ca.client(&["http/1.1"]))
        .await
        .unwrap();
    tokio::io::AsyncWriteExt::shutdown(&mut first)
        .await
        .unwrap();
    let _ = first.read_to_end(&mut Vec::new()).await;
    let metrics = || rig.edge.metrics().connections_open;
    let open = metrics();
    drop(first);
    eventually("a connection's end", || metrics() < open || metrics() <= 2).await;
    let mut again = connect().await;
    for _ in 0..100 {
        if again.is_ok() {
            break;
        }
        again = connect().await;
    }
    assert!(again.is_ok());
}
