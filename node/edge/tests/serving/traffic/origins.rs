//! Several origins: shares, health, failures, repeating.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use http::Request;
use state::{
    Origin, Traffic,
    traffic::{Ejection, HealthCheck, Switch},
};
use tokio::{net::TcpListener, time::Instant};

use super::list;
use crate::{
    origin::{Act, App, Script, Speaks},
    rig::{HOST, Options, PATIENCE, Rig, eventually, full, whole},
};

fn rig() -> Rig {
    Rig::with(Options {
        cores: 1,
        ..Options::default()
    })
}

/// Nobody listens there.
async fn dead() -> Origin {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", free.local_addr().unwrap())
        .parse()
        .unwrap()
}

fn requests(app: &App) -> usize {
    app.seen.requests.load(Ordering::Relaxed)
}

#[tokio::test]
async fn a_hostname_has_origins_of_its_own() {
    let rig = rig();
    let (of_zone, own) = (
        App::start(Speaks::Http1, &rig.ca).await,
        App::start(Speaks::Http1, &rig.ca).await,
    );
    rig.own(Traffic {
        origins: Some(list(&[&own.at])),
        ..Traffic::default()
    })
    .await;
    assert_eq!(
        rig.get("/").await.0.status,
        200,
        "without an origin of the zone"
    );
    rig.set_origin(of_zone.at.clone());
    rig.settled().await;
    rig.get("/").await;
    assert_eq!((requests(&of_zone), requests(&own)), (0, 2));
    rig.own(Traffic::default()).await;
    rig.get("/").await;
    assert_eq!((requests(&of_zone), requests(&own)), (1, 2));
}

#[tokio::test]
async fn origins_share_the_requests() {
    let rig = rig();
    let apps = [
        App::start(Speaks::Http1, &rig.ca).await,
        App::start(Speaks::Tls(&["h2"]), &rig.ca).await,
        App::start(Speaks::Http2, &rig.ca).await,
    ];
    rig.own(Traffic {
        origins: Some(list(&[&apps[0].at, &apps[1].at, &apps[2].at])),
        ..Traffic::default()
    })
    .await;
    for _ in 0..60 {
        assert_eq!(rig.get("/").await.0.status, 200);
    }
    assert!(apps.iter().all(|app| requests(app) >= 10));
}

#[tokio::test]
async fn a_busy_origin_gets_less() {
    let rig = rig();
    let (busy, idle) = (
        App::start(Speaks::Http1, &rig.ca).await,
        App::start(Speaks::Http1, &rig.ca).await,
    );
    rig.own(Traffic {
        origins: Some(list(&[&busy.at])),
        ..Traffic::default()
    })
    .await;
    let both = Traffic {
        origins: Some(list(&[&busy.at, &idle.at])),
        ..Traffic::default()
    };
    rig.own(both).await;
    // Held until one of them has some under way.
    let mut held = Vec::new();
    while requests(&busy) < 5 {
        let mut client = rig.http1().await;
        let request = Request::get("/gate")
            .header("host", HOST)
            .body(full(""))
            .unwrap();
        held.push(tokio::spawn(
            async move { client.send_request(request).await },
        ));
        let sent = held.len();
        eventually("the request's arrival", || {
            requests(&busy) + requests(&idle) == sent
        })
        .await;
    }
    let before = (requests(&busy), requests(&idle));
    idle.seen.gate.notify_waiters();
    eventually("the end of the idle origin's requests", || {
        rig.edge.metrics().requests_open as usize <= before.0
    })
    .await;
    for _ in 0..10 {
        rig.get("/").await;
    }
    assert_eq!(
        requests(&busy),
        before.0,
        "all of these went to the idle one"
    );
}

#[tokio::test]
async fn what_was_not_sent_goes_to_another_origin() {
    let rig = rig();
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.own(Traffic {
        origins: Some(list(&[&app.at, &dead().await])),
        ..Traffic::default()
    })
    .await;
    // With a body, too: none of it was sent.
    for _ in 0..6 {
        let request = Request::post("/echo").header("host", HOST);
        let request = request.body(full("body")).unwrap();
        let answer = rig.http1().await.send_request(request).await.unwrap();
        let (head, text) = whole(answer).await;
        assert_eq!((head.status.as_u16(), text.as_str()), (200, "body"));
    }
    assert!(rig.edge.metrics().origin_failovers >= 1);
}

#[tokio::test]
async fn only_what_may_be_repeated_is() {
    let rig = rig();
    let app = App::start(Speaks::Http1, &rig.ca).await;
    let rude = Script::start(&[Act::SayAndClose("")]).await;
    rig.own(Traffic {
        origins: Some(list(&[&app.at, &rude.at])),
        ejection: Some(Switch::Off),
        ..Traffic::default()
    })
    .await;
    for _ in 0..8 {
        assert_eq!(rig.get("/").await.0.status, 200, "a GET is asked again");
    }
    let mut failed = 0;
    for _ in 0..40 {
        let request = Request::post("/echo").header("host", HOST);
        let request = request.body(full("")).unwrap();
        let answer = rig.http1().await.send_request(request).await.unwrap();
        failed += usize::from(answer.status() == 502);
    }
    assert!(failed > 5, "a POST is not: {failed}");
    let failovers = rig.edge.metrics().origin_failovers;
    assert!((1..=8).contains(&failovers), "{failovers}");
}

#[tokio::test]
async fn repeating_has_a_budget() {
    let rig = rig();
    let (one, other) = (
        Script::start(&[Act::SayAndClose("")]).await,
        Script::start(&[Act::SayAndClose("")]).await,
    );
    rig.own(Traffic {
        origins: Some(list(&[&one.at, &other.at])),
        ejection: Some(Switch::Off),
        retry_percent: Some(10),
        ..Traffic::default()
    })
    .await;
    let begun = Instant::now();
    for _ in 0..50 {
        assert_eq!(rig.get("/").await.0.status, 502);
    }
    let most = 5 + 3 * (begun.elapsed().as_secs() + 2);
    let failovers = rig.edge.metrics().origin_failovers;
    assert!(failovers >= 5 && failovers <= most, "{failovers} of {most}");
}

#[tokio::test]
async fn an_origin_that_fails_is_left_alone_and_comes_back() {
    let rig = rig();
    let app = App::start(Speaks::Http1, &rig.ca).await;
    let mut gone = Script::start(&[Act::SayAndClose(
        "HTTP/1.1 503 gone\r\ncontent-length: 0\r\n\r\n",
    )])
    .await;
    rig.own(Traffic {
        origins: Some(list(&[&app.at, &gone.at])),
        ejection: Some(Switch::On(Ejection {
            failures: 3,
            period: Duration::from_secs(1),
        })),
        ..Traffic::default()
    })
    .await;
    let deadline = Instant::now() + PATIENCE;
    while rig.edge.metrics().origin_ejections == 0 {
        rig.get("/").await;
        assert!(Instant::now() < deadline, "it was not ejected");
    }
    let ejected = Instant::now();
    let mut asked = 0;
    while gone.received.try_recv().is_ok() {
        asked += 1;
    }
    assert_eq!(asked, 3);
    while ejected.elapsed() < Duration::from_millis(800) {
        assert_eq!(rig.get("/").await.0.status, 200);
    }
    // It is tried again by itself.
    while gone.received.try_recv().is_err() {
        rig.get("/").await;
        assert!(Instant::now() < deadline, "it did not come back");
    }
}

#[tokio::test]
async fn an_origin_that_is_ill_gets_nothing_until_it_is_well() {
    let rig = Rig::with(Options {
        cores: 2,
        ..Options::default()
    });
    let app = App::start(Speaks::Http1, &rig.ca).await;
    let ill = dead().await;
    let check = |path: &str| {
        Some(Switch::On(Arc::new(HealthCheck {
            path: path.into(),
            interval: Duration::from_millis(50),
            timeout: Duration::from_secs(5),
            rise: 1,
            fall: 2,
            status_from: 200,
            status_to: 200,
        })))
    };
    let traffic = |path: &str| Traffic {
        origins: Some(list(&[&app.at, &ill])),
        health_check: check(path),
        ejection: Some(Switch::Off),
        retry_percent: Some(0),
        ..Traffic::default()
    };
    rig.own(traffic("/healthz")).await;
    rig.get("/").await; // somebody uses them
    eventually("the finding that it is ill", || {
        rig.edge.metrics().origin_ill >= 1
    })
    .await;
    for _ in 0..20 {
        assert_eq!(rig.get("/").await.0.status, 200);
    }
    // Somebody listens again where nobody did.
    let well = TcpListener::bind(("127.0.0.1", ill.port)).await.unwrap();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = well.accept().await {
            let tell = tell.clone();
            let service =
                hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                    let agent = request.headers().get("user-agent").cloned();
                    let _ = tell.send((request.uri().path().to_owned(), agent));
                    async { Ok::<_, std::convert::Infallible>(http::Response::new(full("well"))) }
                });
            let io = hyper_util::rt::TokioIo::new(stream);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
        }
    });
    let deadline = Instant::now() + PATIENCE;
    let mut found = Vec::new();
    while !found.iter().any(|(path, _)| path == "/") {
        rig.get("/").await;
        found.extend(std::iter::from_fn(|| told.try_recv().ok()));
        assert!(
            Instant::now() < deadline,
            "it was not used again: {found:?}"
        );
    }
    assert_eq!(found[0].0, "/healthz");
    assert_eq!(found[0].1.as_ref().unwrap(), "hostquorum-health-check");
}

#[tokio::test]
async fn where_all_are_ill_all_are_asked() {
    let rig = rig();
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.own(Traffic {
        origins: Some(list(&[
            &app.at,
            &app.at.clone().with_protocol(state::OriginProtocol::Http1),
        ])),
        health_check: Some(Switch::On(Arc::new(HealthCheck {
            path: "/early".into(), // answered with 413
            interval: Duration::from_millis(50),
            timeout: Duration::from_secs(5),
            rise: 1,
            fall: 1,
            status_from: 200,
            status_to: 399,
        }))),
        ..Traffic::default()
    })
    .await;
    rig.get("/").await;
    eventually("both are ill", || rig.edge.metrics().origin_ill >= 2).await;
    assert_eq!(rig.get("/").await.0.status, 200);
}
