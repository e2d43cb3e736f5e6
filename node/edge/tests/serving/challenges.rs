//! The http port.

use std::sync::Arc;

use async_trait::async_trait;
use edge::{ChallengeSource, Unreachable};
use state::{Hostname, KeyPurpose, Sealed, Term};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::rig::{HOST, Options, Rig, read_for};

/// A leader that knows one token.
struct Leader;

#[async_trait]
impl ChallengeSource for Leader {
    async fn key_authorization(
        &self,
        hostname: &Hostname,
        token: Option<&str>,
    ) -> Result<Option<String>, Unreachable> {
        Ok((hostname.as_str() == HOST && token == Some("late")).then(|| "late.thumb".to_owned()))
    }
}

async fn ask(rig: &Rig, line: &str, host: &str) -> String {
    rig.settled().await;
    let mut stream = TcpStream::connect(rig.http()).await.unwrap();
    let request = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    read_for(&mut stream, crate::rig::PATIENCE).await
}

async fn challenge(rig: &Rig, token: &str, host: &str) -> String {
    ask(
        rig,
        &format!("GET /.well-known/acme-challenge/{token}"),
        host,
    )
    .await
}

#[track_caller]
fn answers(answer: &str, expected: &str) {
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with(&format!("\r\n\r\n{expected}")),
        "{answer}"
    );
}

#[track_caller]
fn refuses(answer: &str, status: u16) {
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status}")),
        "{answer}"
    );
}

/// A second hostname with an order whose challenge is placed.
fn prepare(rig: &Rig) {
    let key = Sealed {
        purpose: KeyPurpose::Serving,
        generation: 1,
        nonce: [0; 12],
        ciphertext: bytes::Bytes::new(),
    };
    rig.alone.authorize("new.client.example");
    rig.alone
        .prepare(Term(1), "new.client.example", key, "placed");
}

#[tokio::test]
async fn a_challenge_is_answered_for_its_hostname_only() {
    let rig = Rig::with(Options {
        leader: Arc::new(Leader),
        ..Options::default()
    });
    prepare(&rig);
    answers(
        &challenge(&rig, "placed", "new.client.example").await,
        "placed.thumb",
    );
    answers(
        &challenge(&rig, "placed", "NEW.client.example.:80").await,
        "placed.thumb",
    );
    refuses(&challenge(&rig, "placed", HOST).await, 404);
    refuses(&challenge(&rig, "placed", "unknown.example").await, 421);
    let head = ask(
        &rig,
        "HEAD /.well-known/acme-challenge/placed",
        "new.client.example",
    )
    .await;
    refuses(&head, 200);
}

#[tokio::test]
async fn a_challenge_missing_here_is_asked_of_the_leader() {
    let rig = Rig::with(Options {
        leader: Arc::new(Leader),
        ..Options::default()
    });
    answers(&challenge(&rig, "late", HOST).await, "late.thumb");
    refuses(&challenge(&rig, "unknown", HOST).await, 404);
    let metrics = rig.edge.metrics();
    assert_eq!(
        (metrics.challenges_fetched, metrics.challenges_unknown),
        (1, 1)
    );
}

#[tokio::test]
async fn without_a_leader_a_challenge_is_answered_from_the_account() {
    let rig = Rig::start();
    answers(&challenge(&rig, "whatever", HOST).await, "whatever.thumb");
    refuses(&challenge(&rig, "whatever", "unknown.example").await, 421);
    assert_eq!(rig.edge.metrics().challenges_stateless, 1);
}

#[tokio::test]
async fn only_a_token_is_a_token() {
    let rig = Rig::start();
    for token in ["", "a.b", "a/b", "a%62", "a~b", "a=", &"a".repeat(129)] {
        refuses(&challenge(&rig, token, HOST).await, 404);
    }
}

#[tokio::test]
async fn everything_else_is_sent_to_https() {
    let rig = Rig::start();
    let port = rig.https().port();
    for (line, target) in [
        ("GET /", "/"),
        ("POST /a%2fb?c=d&e", "/a%2fb?c=d&e"),
        (
            "GET /.well-known/acme-challenge",
            "/.well-known/acme-challenge",
        ),
        (
            "POST /.well-known/acme-challenge/token",
            "/.well-known/acme-challenge/token",
        ),
        ("OPTIONS *", "/"),
    ] {
        let answer = ask(&rig, line, "Shop.client.example").await;
        refuses(&answer, 308);
        assert!(
            answer.contains(&format!("location: https://{HOST}:{port}{target}\r\n")),
            "{line}: {answer}"
        );
    }
    let rig = Rig::with(Options {
        public_https_port: Some(443),
        ..Options::default()
    });
    let answer = ask(&rig, "GET /", HOST).await;
    assert!(
        answer.contains(&format!("location: https://{HOST}/\r\n")),
        "{answer}"
    );
}

#[tokio::test]
async fn the_http_port_is_as_strict_as_the_other() {
    let rig = Rig::start();
    refuses(&ask(&rig, "GET /", "unknown.example").await, 421);
    refuses(&ask(&rig, "GET /", "a b").await, 400);
    refuses(
        &ask(&rig, "GET /", &format!("{HOST}\r\nHost: {HOST}")).await,
        400,
    );
    refuses(&ask(&rig, &format!("CONNECT {HOST}:443"), HOST).await, 405);
    refuses(&ask(&rig, &format!("GET https://{HOST}/"), HOST).await, 400);
    refuses(
        &ask(
            &rig,
            "GET /",
            &format!("{HOST}\r\nTransfer-Encoding: gzip, chunked"),
        )
        .await,
        400,
    );
}

#[tokio::test]
async fn a_look_from_outside_is_answered_for_any_host_before_all_else() {
    let rig = Rig::start();
    let path = "/.well-known/hostquorum/reach/BwcHBwcHBwcHBwcHBwcHBw";
    for host in [HOST, "unknown.example", "UNKNOWN.example:80"] {
        let name = host.to_ascii_lowercase();
        let name = name.trim_end_matches(":80");
        let answer = ask(&rig, &format!("GET {path}"), host).await;
        answers(
            &answer,
            &format!("known at {name} by BwcHBwcHBwcHBwcHBwcHBw"),
        );
    }
    let other = ask(&rig, "GET /.well-known/hostquorum/reach/short", HOST).await;
    refuses(&other, 308);
    assert_eq!(rig.edge.metrics().reach_answered, 3);
}
