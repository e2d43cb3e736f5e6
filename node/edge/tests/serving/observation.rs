//! What is noted down of requests: lines of the access log, and sums for each hostname.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        mpsc::{RecvTimeoutError, channel},
    },
};

use bytes::Bytes;
use edge::{AccessLog, Chunks, Rules, Totals, Trace, TraceContext};
use futures_util::{SinkExt, StreamExt};
use http::{Request, Response};
use hyper::body::Incoming;
use serde_json::Value;
use state::NodeId;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    origin::{Act, App, Script, Speaks},
    rig::{Body, HOST, Options, PATIENCE, Rig, empty, eventually, full, read_for, whole},
    websocket,
};

const ALL: [u32; 6] = [1; 6];

/// A rig with an origin and an access log.
struct Logged {
    rig: Rig,
    app: App,
    lines: Lines,
}

/// The lines of an access log, as they come.
struct Lines(std::sync::mpsc::Receiver<Value>);

impl Lines {
    fn of(chunks: Chunks) -> Self {
        let (told, lines) = channel();
        std::thread::spawn(move || {
            for chunk in chunks {
                let text = std::str::from_utf8(chunk.bytes()).unwrap();
                assert!(text.ends_with('\n'), "whole lines only: {text}");
                for line in text.lines() {
                    assert!(
                        line.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
                        "{line:?}"
                    );
                    if told.send(serde_json::from_str(line).unwrap()).is_err() {
                        return;
                    }
                }
            }
        });
        Self(lines)
    }

    async fn next(&self) -> Value {
        tokio::task::block_in_place(|| self.0.recv_timeout(PATIENCE)).unwrap()
    }

    /// The rest, once the edge has ended.
    fn rest(&self) -> Vec<Value> {
        let mut rest = Vec::new();
        loop {
            match self.0.recv_timeout(PATIENCE) {
                Ok(line) => rest.push(line),
                Err(RecvTimeoutError::Disconnected) => return rest,
                Err(RecvTimeoutError::Timeout) => panic!("the log does not end"),
            }
        }
    }
}

fn rules(one_in: [u32; 6], query: bool) -> Rules {
    Rules {
        one_in,
        query,
        node: NodeId(7),
    }
}

async fn logged(rules: Rules) -> Logged {
    let (log, chunks) = AccessLog::new(rules);
    let rig = Rig::with(Options {
        access_log: Some(log),
        cores: 1,
        ..Options::default()
    });
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.set_origin(app.at.clone());
    rig.settled().await;
    let lines = Lines::of(chunks);
    Logged { rig, app, lines }
}

async fn post(rig: &Rig, path: &str, body: Body) -> Response<Incoming> {
    let request = Request::post(path).header("host", HOST).body(body).unwrap();
    let sent = rig.http1().await.send_request(request).await;
    sent.unwrap()
}

/// What was served for [`HOST`], once so many requests were.
async fn totals(rig: &Rig, requests: u64) -> Totals {
    let told = || rig.edge.hostnames().get(HOST).unwrap_or_default();
    eventually("the requests count", || told().requests() == requests).await;
    told()
}

fn is(line: &Value, fields: &[(&str, Value)]) {
    for (field, expected) in fields {
        assert_eq!(&line[field], expected, "{field} of {line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_tells_what_was_asked_of_whom_and_answered() {
    let it = logged(rules(ALL, false)).await;
    let answer = post(&it.rig, "/echo?secret=1", full("sixteen bytes...")).await;
    whole(answer).await;
    let line = it.lines.next().await;
    is(
        &line,
        &[
            ("client_ip", "127.0.0.1".into()),
            ("listener", "https".into()),
            ("sni", HOST.into()),
            ("alpn", "http/1.1".into()),
            ("tls_version", "TLSv1.3".into()),
            ("resumed", false.into()),
            ("protocol", "HTTP/1.1".into()),
            ("method", "POST".into()),
            ("host", HOST.into()),
            ("path", "/echo".into()),
            ("query", Value::Null),
            ("status", 200.into()),
            ("bytes_in", 16.into()),
            ("bytes_out", 16.into()),
            ("upstream", it.app.at.to_string().into()),
            ("upstream_status", 200.into()),
            ("hostname", HOST.into()),
            ("reason", Value::Null),
            ("sample", 1.into()),
            ("node", 7.into()),
        ],
    );
    assert!(line["cipher"].as_str().unwrap().starts_with("TLS13_"));
    assert!(line["client_port"].as_u64().unwrap() > 0);
    let took = |field: &str| line[field].as_f64().unwrap();
    assert!(took("upstream_ms") > 0.0 && took("upstream_ms") <= took("duration_ms"));
    assert!(line["ts"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_is_written_if_it_is_asked_for() {
    let it = logged(rules(ALL, true)).await;
    it.rig.get("/empty?a=%22&b=2").await;
    is(
        &it.lines.next().await,
        &[
            ("path", "/empty".into()),
            ("query", "a=%22&b=2".into()),
            ("status", 204.into()),
        ],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_has_a_line_for_each_request() {
    let it = logged(rules(ALL, false)).await;
    let mut sender = it.rig.http2().await;
    for _ in 0..2 {
        let request = Request::get(format!("https://{HOST}/empty"));
        let sent = sender.send_request(request.body(empty()).unwrap()).await;
        whole(sent.unwrap()).await;
        is(
            &it.lines.next().await,
            &[
                ("alpn", "h2".into()),
                ("protocol", "HTTP/2".into()),
                ("host", HOST.into()),
                ("path", "/empty".into()),
                ("bytes_out", 0.into()),
            ],
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_answers_say_why() {
    let it = logged(rules(ALL, false)).await;
    let answer = it.rig.raw(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 421"), "{answer}");
    is(
        &it.lines.next().await,
        &[
            ("status", 421.into()),
            ("reason", "misdirected".into()),
            ("host", "a.test".into()),
            ("hostname", Value::Null),
            ("upstream", Value::Null),
        ],
    );
    it.rig.set_origin("http://127.0.0.1:1".parse().unwrap());
    it.rig.settled().await;
    it.rig.get("/").await;
    is(
        &it.lines.next().await,
        &[
            ("status", 502.into()),
            ("reason", "origin_unreachable".into()),
            ("hostname", HOST.into()),
            ("upstream", "http://127.0.0.1:1".into()),
            ("upstream_status", Value::Null),
            ("upstream_ms", Value::Null),
        ],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_http_port_has_lines_too() {
    let it = logged(rules(ALL, false)).await;
    let mut stream = TcpStream::connect(it.rig.http()).await.unwrap();
    let request = format!("GET /a HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    read_for(&mut stream, PATIENCE).await;
    is(
        &it.lines.next().await,
        &[
            ("listener", "http".into()),
            ("status", 308.into()),
            ("path", "/a".into()),
            ("sni", Value::Null),
            ("tls_version", Value::Null),
            ("resumed", Value::Null),
        ],
    );
}

/// Nothing that a client sends gets into a line raw; [`Lines`] checks each for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_cannot_write_into_the_log() {
    let it = logged(rules(ALL, true)).await;
    for request in [
        "GET /\"},{\"status\":200 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /caf\u{e9}\u{9b}31m?\u{202e} HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: \"\\\t\u{fc}\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: a\tb\r\n\r\n",
        "G'%|T /a HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        let answer = it.rig.raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "y".repeat(9_000));
    it.rig.raw(long.as_bytes()).await;
    it.rig.edge.drain(PATIENCE).await;
    let lines = it.lines.rest();
    assert!(lines.len() >= 3, "{lines:?}");
    let longest = lines
        .iter()
        .map(|line| line["path"].as_str().unwrap().len());
    assert_eq!(longest.max(), Some(2048));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_are_sampled_by_the_class_of_the_answer() {
    let it = logged(rules([1, 1, 3, 1, 0, 1], false)).await;
    for _ in 0..7 {
        it.rig.get("/empty").await;
    }
    for _ in 0..3 {
        it.rig.get("/early").await;
    }
    it.rig.set_origin("http://127.0.0.1:1".parse().unwrap());
    it.rig.settled().await;
    for _ in 0..2 {
        it.rig.get("/").await;
    }
    it.rig.edge.drain(PATIENCE).await;
    let told = it.lines.rest();
    let told: Vec<_> = told
        .iter()
        .map(|line| {
            (
                line["status"].as_u64().unwrap(),
                line["sample"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [(204, 3), (204, 3), (502, 1), (502, 1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_before_the_answer_is_told_apart() {
    let it = logged(rules(ALL, false)).await;
    let mut sender = it.rig.http1().await;
    let request = Request::get("/never").header("host", HOST).body(empty());
    let sent = tokio::spawn(sender.send_request(request.unwrap()));
    let seen = Arc::clone(&it.app.seen);
    eventually("the origin is asked", || {
        seen.requests.load(std::sync::atomic::Ordering::Relaxed) == 1
    })
    .await;
    sent.abort();
    drop(sender);
    is(
        &it.lines.next().await,
        &[
            ("status", Value::Null),
            ("path", "/never".into()),
            ("hostname", HOST.into()),
        ],
    );
    assert_eq!(totals(&it.rig, 1).await.classes, [1, 0, 0, 0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tunnel_is_told_of_when_it_has_ended() {
    let it = logged(rules(ALL, false)).await;
    it.rig.set_origin(websocket::echoing().await);
    let (mut socket, _) = websocket::open(&it.rig).await.unwrap();
    socket.send(Message::binary(vec![7; 5_000])).await.unwrap();
    let echoed = timeout(PATIENCE, socket.next()).await.unwrap();
    echoed.unwrap().unwrap();
    assert!(it.lines.0.try_recv().is_err(), "it has not ended");
    drop(socket);
    let line = it.lines.next().await;
    is(
        &line,
        &[("status", 101.into()), ("upstream_status", 101.into())],
    );
    // Frames have heads of their own.
    for field in ["bytes_in", "bytes_out"] {
        let bytes = line[field].as_u64().unwrap();
        assert!((5_000..5_100).contains(&bytes), "{field} of {line}");
    }
    let totals = totals(&it.rig, 1).await;
    assert_eq!(totals.classes, [0, 1, 0, 0, 0, 0]);
    assert_eq!(Some(totals.bytes_in), line["bytes_in"].as_u64());
    assert_eq!(totals.latency.quantile(500), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nobody_reads_stops_nobody() {
    let (log, chunks) = AccessLog::new(rules(ALL, false));
    let rig = Rig::with(Options {
        access_log: Some(log),
        cores: 1,
        ..Options::default()
    });
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.set_origin(app.at.clone());
    rig.settled().await;
    // A line has 2 KB of path, and 4 MB may wait.
    let path = format!("/empty?{}", "x".repeat(10));
    let long = format!("/{}", "x".repeat(2_000));
    let mut sender = rig.http2().await;
    while rig.edge.metrics().access_log_dropped < 3 {
        let request = Request::get(format!("https://{HOST}{long}"));
        let sent = sender.send_request(request.body(empty()).unwrap());
        timeout(PATIENCE, sent).await.unwrap().unwrap();
    }
    assert_eq!(rig.get(&path).await.0.status, 204);
    // What is taken makes room again.
    let lines = Lines::of(chunks);
    let written = rig.edge.metrics().access_log_lines;
    for _ in 0..written {
        lines.next().await;
    }
    rig.get(&path).await;
    is(&lines.next().await, &[("path", "/empty".into())]);
}

#[tokio::test]
async fn requests_are_added_up_for_their_hostname() {
    let rig = Rig::start();
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.set_origin(app.at.clone());
    rig.settled().await;
    for size in [0, 10, 70_000] {
        let body = Bytes::from(vec![b'x'; size]);
        let (_, echoed) = whole(post(&rig, "/echo", full(body)).await).await;
        assert_eq!(echoed.len(), size);
    }
    rig.get("/early").await;
    let totals = totals(&rig, 4).await;
    assert_eq!(totals.classes, [0, 0, 3, 0, 1, 0]);
    assert_eq!(totals.bytes_in, 70_010);
    assert_eq!(totals.bytes_out, 70_010 + "enough".len() as u64);
    assert_eq!(
        totals.latency.buckets().map(|it| it.requests).sum::<u64>(),
        4
    );
}

#[tokio::test]
async fn only_hostnames_that_are_served_are_counted() {
    let rig = Rig::with(Options {
        hostnames_counted: 2,
        ..Options::default()
    });
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.set_origin(app.at.clone());
    rig.settled().await;
    for name in ["x.test", "y.test"] {
        let misdirected = format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n");
        rig.raw(misdirected.as_bytes()).await;
        assert!(rig.connect(name, rig.ca.client(&[])).await.is_err());
    }
    assert_eq!(rig.edge.hostnames().count(), 0);
    rig.serve_wildcard("wild.example");
    for name in ["a.wild.example", "b.wild.example", HOST] {
        answered(&rig, name).await;
    }
    let counted = |name: &str| rig.edge.hostnames().get(name).map(|it| it.requests());
    eventually("both count", || {
        (counted("wild.example"), counted(HOST)) == (Some(2), Some(1))
    })
    .await;
    // There is no room for a third.
    rig.serve("third.example");
    answered(&rig, "third.example").await;
    let hostnames = rig.edge.hostnames();
    eventually("the rest counts", || hostnames.others().requests() == 1).await;
    assert_eq!(hostnames.count(), 2);
    assert_eq!(counted("third.example"), None);
}

async fn answered(rig: &Rig, name: &str) {
    let mut stream = rig.connect(name, rig.ca.client(&[])).await.unwrap();
    let request = format!("GET /empty HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = read_for(&mut stream, PATIENCE).await;
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn origins_and_the_log_are_told_the_same_ids() {
    const ACTS: &[Act] = &[Act::Say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")];
    let (log, chunks) = AccessLog::new(rules(ALL, false));
    let rig = Rig::with(Options {
        access_log: Some(log),
        trace: Trace {
            request_id: true,
            context: TraceContext::New,
            one_in: 1,
        },
        ..Options::default()
    });
    let mut script = Script::start(ACTS).await;
    rig.set_origin(script.at.clone());
    let sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Request-Id: mine\r\nTraceparent: {sent}\r\n\r\n"
    );
    let answer = rig.raw(request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let head = script.received.recv().await.unwrap();
    let line = Lines::of(chunks).next().await;
    let told = |field: &str| line[field].as_str().unwrap().to_owned();
    let (id, trace) = (told("request_id"), told("trace_id"));
    assert_eq!((id.len(), trace.len()), (32, 32));
    assert!(head.contains(&format!("x-request-id: {id}\r\n")), "{head}");
    assert!(
        head.contains(&format!("traceparent: 00-{trace}-")),
        "{head}"
    );
    assert!(!head.contains("mine") && !head.contains(sent), "{head}");
}

/// Who a client is comes from the front, as for everything else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_behind_a_front_is_named_by_it() {
    let (log, chunks) = AccessLog::new(rules(ALL, false));
    let rig = Rig::with(Options {
        access_log: Some(log),
        fronts: vec!["127.0.0.0/8".parse().unwrap()],
        ..Options::default()
    });
    rig.settled().await;
    let client: SocketAddr = "203.0.113.9:4711".parse().unwrap();
    let mut stream = TcpStream::connect(rig.http()).await.unwrap();
    let mut sent = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    sent.extend([203, 0, 113, 9, 127, 0, 0, 1]);
    sent.extend(client.port().to_be_bytes());
    sent.extend(rig.http().port().to_be_bytes());
    sent.extend(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").bytes());
    stream.write_all(&sent).await.unwrap();
    is(
        &Lines::of(chunks).next().await,
        &[
            ("client_ip", "203.0.113.9".into()),
            ("client_port", 4711.into()),
        ],
    );
}
