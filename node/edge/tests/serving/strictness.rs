//! What a request must be: said in bytes, as an attacker would.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use tokio::{io::AsyncWriteExt, time::timeout};

use crate::{
    origin::{Act, App, Script, Speaks},
    rig::{HOST, PATIENCE, Rig, empty, read_for, whole},
};

/// The head of a request to [`HOST`] with these lines.
fn request(line: &str, fields: &str) -> String {
    format!("{line}\r\nHost: {HOST}\r\n{fields}\r\n")
}

/// Sends `bytes`, and a second request behind them; expects one answer that
/// begins with `expected`.
async fn check(rig: &Rig, bytes: &str, expected: &str) {
    let behind = request("GET /behind HTTP/1.1", "");
    let answer = rig.raw(format!("{bytes}{behind}").as_bytes()).await;
    assert!(answer.starts_with(expected), "{bytes:?}: {answer}");
    assert_eq!(
        answer.matches("HTTP/1.1 ").count(),
        1,
        "{bytes:?}: nothing may be read behind it: {answer}"
    );
}

#[tokio::test]
async fn what_may_be_read_in_two_ways_is_refused_and_ends_the_connection() {
    let rig = Rig::start();
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.set_origin(app.at.clone());
    let get = |host: &str| format!("GET / HTTP/1.1\r\n{host}\r\n");
    let post = |fields: &str| request("POST / HTTP/1.1", fields);
    for (bytes, expected) in [
        (get(""), "HTTP/1.1 400"),
        (
            get(&format!("Host: {HOST}\r\nHost: {HOST}\r\n")),
            "HTTP/1.1 400",
        ),
        (
            get(&format!("Host: {HOST}\r\nhost: other.example\r\n")),
            "HTTP/1.1 400",
        ),
        (get("Host: \r\n"), "HTTP/1.1 400"),
        (get("Host: a b/../\r\n"), "HTTP/1.1 400"),
        (get(&format!("Host: u@{HOST}\r\n")), "HTTP/1.1 400"),
        (get(&format!("Host: {HOST}:99999\r\n")), "HTTP/1.1 400"),
        (get("Host: [::1]\r\n"), "HTTP/1.1 400"),
        (
            request("GET http://shop.client.example/ HTTP/1.1", ""),
            "HTTP/1.1 400",
        ),
        (
            request("GET https://other.example/ HTTP/1.1", ""),
            "HTTP/1.1 400",
        ),
        (
            request(&format!("GET https://u@{HOST}/ HTTP/1.1"), ""),
            "HTTP/1.1 400",
        ),
        (request("GET * HTTP/1.1", ""), "HTTP/1.1 400"),
        (request("get / HTTP/1.1", ""), "HTTP/1.1 400"),
        (
            request(&format!("CONNECT {HOST}:443 HTTP/1.1"), ""),
            "HTTP/1.1 405",
        ),
        (request("TRACE / HTTP/1.1", ""), "HTTP/1.1 405"),
        (
            post("Transfer-Encoding: identity, chunked\r\n"),
            "HTTP/1.1 400",
        ),
        (
            post("Transfer-Encoding: chunked, chunked\r\n"),
            "HTTP/1.1 400",
        ),
        (post("Transfer-Encoding: gzip, chunked\r\n"), "HTTP/1.1 400"),
        (
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            "HTTP/1.1 400",
        ),
        (
            post("Transfer-Encoding: chunked, identity\r\n"),
            "HTTP/1.1 400",
        ),
        (post("Transfer-Encoding: xchunked\r\n"), "HTTP/1.1 400"),
        (post("Transfer-Encoding : chunked\r\n"), "HTTP/1.1 400"),
        (
            request("POST / HTTP/1.0", "Transfer-Encoding: chunked\r\n"),
            "HTTP/1.1 400",
        ),
        (
            post("Content-Length: 4\r\nContent-Length: 5\r\n"),
            "HTTP/1.1 400",
        ),
        (post("Content-Length: 4, 4\r\n"), "HTTP/1.1 400"),
        (post("Content-Length: +4\r\n"), "HTTP/1.1 400"),
        (post("Content-Length: -1\r\n"), "HTTP/1.1 400"),
        (post("X: a\0b\r\n"), "HTTP/1.1 400"),
        (post("X: a\r\n folded\r\n"), "HTTP/1.1 400"),
        (post("Expect: 200-ok\r\n"), "HTTP/1.1 417"),
        (
            request(&format!("GET /{} HTTP/1.1", "a".repeat(9000)), ""),
            "HTTP/1.1 414",
        ),
        (
            post(&format!("X: {}\r\n", "a".repeat(17_000))),
            "HTTP/1.1 431",
        ),
        (
            post(&format!(
                "X: {0}\r\nY: {0}\r\nZ: {0}\r\n",
                "a".repeat(15_000)
            )),
            "HTTP/1.1 431",
        ),
        (post(&"X: y\r\n".repeat(101)), "HTTP/1.1 431"),
    ] {
        check(&rig, &bytes, expected).await;
    }
    assert_eq!(
        app.seen.requests.load(Relaxed),
        0,
        "nothing reached the origin"
    );
}

#[tokio::test]
async fn a_length_beside_chunks_ends_the_connection() {
    // hyper hides the length.
    let rig = Rig::start();
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.set_origin(app.at.clone());
    let body = "5\r\nhello\r\n0\r\n\r\n";
    for fields in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    ] {
        let bytes = format!("{}{body}", request("POST / HTTP/1.1", fields));
        check(&rig, &bytes, "HTTP/1.1 400").await;
    }
    assert_eq!(app.seen.requests.load(Relaxed), 0);
}

#[tokio::test]
async fn what_the_http_library_hides_is_refused_in_the_request_where_it_stands() {
    let rig = Rig::start();
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.set_origin(app.at.clone());
    let good = request("GET /good HTTP/1.1", "");
    for (bytes, code) in [
        (
            format!("GET / HTTP/1.1\nHost: {HOST}\r\n\r\n"),
            "line_end_invalid",
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: {HOST}\n\r\n"),
            "line_end_invalid",
        ),
        (
            format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\n"),
            "line_end_invalid",
        ),
        (format!("\n{good}"), "line_end_invalid"),
        (request("GET /a#b HTTP/1.1", ""), "target_invalid"),
        (
            request(
                "POST / HTTP/1.1",
                "Content-Length: 4\r\nContent-Length: 4\r\n",
            ),
            "content_length_invalid",
        ),
    ] {
        // Before, and on a connection that has served already; both at once, too.
        for before in ["", &good] {
            let answer = rig.raw(format!("{before}{bytes}{good}").as_bytes()).await;
            let answers: Vec<&str> = answer.split("HTTP/1.1 ").skip(1).collect();
            let expected = usize::from(!before.is_empty()) + 1;
            assert_eq!(answers.len(), expected, "{bytes:?}: {answer}");
            let last = answers[expected - 1];
            assert!(
                last.starts_with("400") && last.contains(code),
                "{bytes:?}: {answer}"
            );
            assert!(
                last.to_lowercase().contains("connection: close"),
                "{answer}"
            );
        }
    }
    let known = 6;
    assert_eq!(app.seen.requests.load(Relaxed), known, "those before only");
    // What is empty before a request is let pass, as hyper and RFC 9112 section 2.2 have it.
    let answer = rig.raw(format!("\r\n{good}").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn frames_that_move_nothing_end_an_http2_connection() {
    // More than fits into the buffers between.
    const MANY: u32 = 2_000_000;
    let rig = Rig::start();
    let mut stream = rig.secure(&["h2"]).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    stream.write_all(preface).await.unwrap();
    let ping = b"\0\0\x08\x06\0\0\0\0\0abcdefgh";
    let (mut reading, mut writing) = tokio::io::split(stream);
    let drained =
        tokio::spawn(async move { tokio::io::copy(&mut reading, &mut tokio::io::sink()).await });
    let flood = async {
        let mut sent = 0;
        while sent < MANY && writing.write_all(&ping.repeat(100)).await.is_ok() {
            sent += 100;
        }
        sent
    };
    let sent = timeout(PATIENCE, flood).await.unwrap();
    assert!(sent < MANY, "all were taken");
    timeout(PATIENCE, drained).await.unwrap().unwrap().ok();
    assert_eq!(rig.edge.metrics().floods, 1);
    // A client that behaves is served meanwhile and after.
    let mut h2 = rig.http2().await;
    assert!(h2.ready().await.is_ok());
}

#[tokio::test]
async fn a_host_that_is_not_the_sessions_is_misdirected() {
    let rig = Rig::start();
    rig.serve("other.client.example");
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.set_origin(app.at.clone());
    for (host, status) in [
        ("other.client.example", "421"),
        ("unknown.example", "421"),
        ("SHOP.Client.Example", "200"),
        ("shop.client.example:8443", "200"),
        ("shop.client.example.", "200"),
    ] {
        let answer = rig
            .raw(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())
            .await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{host}: {answer}"
        );
    }
    let mut h2 = rig.http2().await;
    for (host, status) in [("other.client.example", 421), (HOST, 200)] {
        let request = http::Request::builder()
            .uri(format!("https://{host}/"))
            .body(empty())
            .unwrap();
        let (head, _) = whole(h2.send_request(request).await.unwrap()).await;
        assert_eq!(head.status, status, "{host}");
    }
    let request = http::Request::builder()
        .uri(format!("https://{HOST}/"))
        .header("host", "b.example")
        .body(empty())
        .unwrap();
    assert_eq!(h2.send_request(request).await.unwrap().status(), 400);
}

#[tokio::test]
async fn a_refused_host_does_not_end_an_honest_connection() {
    let rig = Rig::start();
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.set_origin(app.at.clone());
    let both = format!(
        "GET / HTTP/1.1\r\nHost: other.example\r\n\r\n{}",
        request("GET / HTTP/1.1", "")
    );
    let answer = rig.raw(both.as_bytes()).await;
    assert!(
        answer.starts_with("HTTP/1.1 421") && answer.contains("HTTP/1.1 200"),
        "{answer}"
    );
}

#[tokio::test]
async fn the_server_itself_may_be_asked_for_options() {
    let rig = Rig::start();
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.set_origin(app.at.clone());
    let answer = rig.raw(request("OPTIONS * HTTP/1.1", "").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
}

#[tokio::test]
async fn a_target_reaches_the_origin_as_it_was_sent() {
    let rig = Rig::start();
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.set_origin(app.at.clone());
    for (line, expected) in [
        (
            "GET /a%2fb/../c?x=%00&y[]=1 HTTP/1.1",
            "GET /a%2fb/../c?x=%00&y[]=1 HTTP/1.1",
        ),
        ("GET //double//?? HTTP/1.1", "GET //double//?? HTTP/1.1"),
        (
            &format!("GET https://{HOST}/absolute HTTP/1.1"),
            "GET /absolute HTTP/1.1",
        ),
        ("GET / HTTP/1.0", "GET / HTTP/1.1"),
    ] {
        let answer = rig.raw(request(line, "").as_bytes()).await;
        assert!(answer.contains(expected), "{line}: {answer}");
    }
}

#[tokio::test]
async fn broken_chunks_never_become_a_whole_request() {
    let rig = Rig::start();
    let mut script = Script::start(&[Act::Say("")]).await;
    rig.set_origin(script.at.clone());
    for body in [
        "5\r\nhel",
        "zz\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "-1\r\n",
        "5;a=\"\r\n\"\rhello\r\n",
    ] {
        let mut stream = rig.secure(&["http/1.1"]).await;
        let bytes = format!(
            "{}{body}",
            request("POST / HTTP/1.1", "Transfer-Encoding: chunked\r\n")
        );
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        // The head may or may not have been sent on; the end never is.
        while let Ok(Some(told)) = timeout(Duration::from_millis(300), script.received.recv()).await
        {
            assert!(!told.ends_with("0\r\n\r\n"), "{body:?}: {told:?}");
        }
        read_for(&mut stream, Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_client_may_wait_for_leave_to_send_its_body() {
    let rig = Rig::start();
    let app = App::start(Speaks::Http1, &rig.ca).await;
    rig.set_origin(app.at.clone());
    let mut stream = rig.secure(&["http/1.1"]).await;
    let head = request(
        "POST /echo HTTP/1.1",
        "Expect: 100-continue\r\nContent-Length: 5\r\n",
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let quiet = Duration::from_millis(300);
    let leave = read_for(&mut stream, quiet).await;
    assert!(leave.starts_with("HTTP/1.1 100 "), "{leave}");
    stream.write_all(b"hello").await.unwrap();
    let answer = leave + &read_for(&mut stream, quiet).await;
    assert!(
        answer.contains("HTTP/1.1 200") && answer.ends_with("hello"),
        "{answer}"
    );
}
