//! Too many at once: who is let in, who must leave and who goes on undisturbed.

use std::{net::SocketAddr, sync::atomic::Ordering, time::Duration};

use edge::{Limits, Snapshot};
use hyper::client::conn::http1;
use state::traffic::Rate;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{
    fronts::of,
    origin::{App, Speaks},
    rig::{Body, HOST, Options, PATIENCE, Rig, empty, eventually, whole},
};

fn rig(limits: Limits) -> Rig {
    Rig::with(Options {
        limits,
        cores: 1,
        ..Options::default()
    })
}

async fn with_app(limits: Limits) -> (Rig, App) {
    let rig = rig(limits);
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.set_origin(app.at.clone());
    rig.settled().await;
    (rig, app)
}

fn request(path: &str) -> http::Request<Body> {
    let request = http::Request::builder().uri(path).header("host", HOST);
    request.body(empty()).unwrap()
}

/// A connection that rests after a request.
async fn resting(rig: &Rig) -> http1::SendRequest<Body> {
    let mut sender = rig.http1().await;
    let response = sender.send_request(request("/")).await.unwrap();
    assert_eq!(whole(response).await.0.status, 200);
    sender
}

/// Whether a connection to `at` that says nothing is ended within `patience`.
async fn is_refused(at: SocketAddr, patience: Duration) -> bool {
    // The kernel may say it already when we connect.
    let Ok(mut stream) = TcpStream::connect(at).await else {
        return true;
    };
    let read = timeout(patience, stream.read(&mut [0; 16])).await;
    matches!(read, Ok(Ok(0) | Err(_)))
}

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn those_who_rest_longest_leave_for_others() {
    let limits = Limits {
        connections: 20,
        ..Limits::default()
    };
    let (rig, app) = with_app(limits).await;
    let mut busy = rig.http1().await;
    let begun = tokio::spawn(async move { busy.send_request(request("/gate")).await });
    eventually("a request", || {
        app.seen.requests.load(Ordering::Relaxed) == 1
    })
    .await;
    let mut all = Vec::new();
    for _ in 0..30 {
        all.push(resting(&rig).await);
        // Longer than a core waits until it looks again who rests.
        sleep(Duration::from_millis(20)).await;
    }
    assert!(all[0].is_closed() && !all[29].is_closed());
    let open = all.iter().filter(|sender| !sender.is_closed()).count();
    assert!((10..=19).contains(&open), "{open}");
    let metrics = rig.edge.metrics();
    assert!(metrics.connections_shed >= 11, "{metrics:?}");
    assert_eq!(metrics.refused_full, 0);
    app.seen.gate.notify_one();
    let (head, text) = whole(begun.await.unwrap().unwrap()).await;
    assert_eq!((head.status.as_u16(), text.as_str()), (200, "through"));
}

#[tokio::test]
async fn where_all_are_busy_no_more_are_let_in() {
    let limits = Limits {
        connections: 2,
        ..Limits::default()
    };
    let (rig, app) = with_app(limits).await;
    let (mut one, mut two) = (rig.http1().await, rig.http1().await);
    let one = tokio::spawn(async move { one.send_request(request("/gate")).await });
    let two = tokio::spawn(async move { two.send_request(request("/gate")).await });
    eventually("two requests", || {
        app.seen.requests.load(Ordering::Relaxed) == 2
    })
    .await;
    for _ in 0..5 {
        assert!(is_refused(rig.https(), PATIENCE).await);
    }
    let metrics = rig.edge.metrics();
    assert_eq!((metrics.refused_full, metrics.connections_open), (5, 2));
    // The other port is counted apart.
    assert!(!is_refused(rig.http(), SHORT).await);
    app.seen.gate.notify_one();
    app.seen.gate.notify_one();
    for begun in [one, two] {
        assert_eq!(begun.await.unwrap().unwrap().status(), 200);
    }
    // Whoever has ended leaves room.
    eventually("room", || rig.edge.metrics().connections_open < 2).await;
    assert_eq!(rig.get("/").await.0.status, 200);
}

/// What was refused to connections that come one after the other from one client.
async fn refused(limits: Limits, fronts: &[&str], from: &[&[u8]]) -> (Vec<bool>, Snapshot) {
    let rig = Rig::with(Options {
        limits,
        cores: 2,
        fronts: fronts
            .iter()
            .map(|network| network.parse().unwrap())
            .collect(),
        ..Options::default()
    });
    let mut held = Vec::new();
    let mut refused = Vec::new();
    for header in from {
        // It may be refused before it can say anything.
        let Ok(mut stream) = TcpStream::connect(rig.https()).await else {
            refused.push(true);
            continue;
        };
        let _ = stream.write_all(header).await;
        let read = timeout(SHORT, stream.read(&mut [0; 16])).await;
        refused.push(matches!(read, Ok(Ok(0) | Err(_))));
        held.push(stream);
    }
    (refused, rig.edge.metrics())
}

#[tokio::test]
async fn one_client_holds_no_more_than_it_may() {
    let limits = Limits {
        connections_each: Some(2),
        ..Limits::default()
    };
    let (said, metrics) = refused(limits, &[], &[b"", b"", b"", b""]).await;
    assert_eq!(said, [false, false, true, true]);
    assert_eq!((metrics.refused_client, metrics.connections_open), (2, 2));
}

#[tokio::test]
async fn one_client_opens_them_no_faster_than_it_may() {
    let limits = Limits {
        rate_each: Some(Rate {
            per_second: 1,
            burst: 3,
        }),
        ..Limits::default()
    };
    let rig = rig(limits);
    rig.settled().await;
    let mut refused = 0;
    for _ in 0..6 {
        refused += usize::from(is_refused(rig.https(), Duration::from_millis(50)).await);
    }
    assert!(refused >= 2, "{refused}");
}

#[tokio::test]
async fn who_is_behind_a_front_is_counted_and_not_the_front() {
    let limits = Limits {
        connections_each: Some(1),
        ..Limits::default()
    };
    let one = of("192.0.2.1");
    let other = of("192.0.2.2");
    let house = of("2001:db8::1");
    let same_house = of("2001:db8::2");
    let next_door = of("2001:db8:0:1::1");
    let from = [&one[..], &other, &one, &house, &same_house, &next_door];
    let (said, metrics) = refused(limits, &["127.0.0.0/8"], &from).await;
    assert_eq!(said, [false, false, true, false, true, false]);
    assert_eq!(metrics.refused_client, 2);
}

#[tokio::test]
async fn the_silent_do_not_keep_others_from_a_handshake() {
    let limits = Limits {
        handshakes: 16,
        connections_each: None,
        ..Limits::default()
    };
    let (rig, _app) = with_app(limits).await;
    let mut silent = Vec::new();
    for _ in 0..400 {
        // The kernel may say already here that it was refused.
        silent.push(TcpStream::connect(rig.https()).await);
        assert!(rig.edge.metrics().handshakes_open <= 32);
    }
    eventually("the oldest have left", || {
        let metrics = rig.edge.metrics();
        metrics.connections >= 400 && metrics.handshakes_open <= 16
    })
    .await;
    assert_eq!(rig.get("/").await.0.status, 200);
    let metrics = rig.edge.metrics();
    assert!(metrics.handshakes_shed > 0, "{metrics:?}");
    assert_eq!(metrics.handshakes, 1);
    drop(silent);
    eventually("no handshake is under way", || {
        rig.edge.metrics().handshakes_open == 0
    })
    .await;
}

#[tokio::test]
async fn those_who_rest_leave_when_memory_is_short() {
    const MOST: u64 = 1000;
    let limits = Limits {
        memory: MOST,
        connections: 40,
        ..Limits::default()
    };
    let (rig, _app) = with_app(limits).await;
    let mut all = Vec::new();
    for _ in 0..8 {
        all.push(resting(&rig).await);
    }
    rig.memory.store(MOST - 10, Ordering::Relaxed);
    eventually("all have left", || {
        all.iter().all(|sender| sender.is_closed())
    })
    .await;
    assert!(rig.edge.metrics().connections_shed >= 8);
    rig.memory.store(MOST + 1, Ordering::Relaxed);
    // A tenth of the places and one, whatever memory says.
    let mut few = Vec::new();
    timeout(PATIENCE, async {
        while rig.edge.metrics().refused_memory == 0 {
            few.push(TcpStream::connect(rig.https()).await);
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    drop(few);
    rig.memory.store(0, Ordering::Relaxed);
    eventually("the few are gone", || {
        rig.edge.metrics().connections_open == 0
    })
    .await;
    assert_eq!(rig.get("/").await.0.status, 200);
}

#[tokio::test]
async fn origins_have_their_share_of_descriptors() {
    let limits = Limits {
        descriptors: 16, // 12 for traffic: 6 for clients, and for origins as many
        ..Limits::default()
    };
    let shares = limits.shares();
    let (rig, app) = with_app(limits).await;
    let mut h2 = rig.http2().await;
    let mut begun = Vec::new();
    for _ in 0..shares.origins + 2 {
        let request = http::Request::builder().uri(format!("https://{HOST}/gate"));
        begun.push(tokio::spawn(
            h2.send_request(request.body(empty()).unwrap()),
        ));
    }
    eventually("as many as may be", || {
        app.seen.requests.load(Ordering::Relaxed) == shares.origins
    })
    .await;
    eventually("the others are answered", || {
        begun.iter().filter(|request| request.is_finished()).count() == 2
    })
    .await;
    let mut statuses = Vec::new();
    for request in begun {
        app.seen.gate.notify_one();
        statuses.push(request.await.unwrap().unwrap().status().as_u16());
    }
    statuses.sort_unstable();
    assert_eq!(statuses.split_off(shares.origins), [503, 503]);
    assert!(statuses.iter().all(|status| *status == 200));
}
