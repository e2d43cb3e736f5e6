//! What CAs answer that is not as it should be, and what is made of it.

use std::{
    sync::atomic::{AtomicU32, Ordering::SeqCst},
    time::Duration,
};

use leader::issuance::authority::{AuthorityError, Limit, Rate, Rates, RevocationReason};
use state::{Timestamp, testing::START};
use tokio::time::Instant;

use crate::{
    bench::{Bench, say},
    client::plain,
    recorder::{Answer, Recorder},
};

/// What is asked of a CA by a POST with an effect, one of each signer.
const EFFECTS: [&str; 2] = ["POST /new ", "POST /challenge "];

async fn effect(bench: &Bench, which: &str) -> AuthorityError {
    if which == EFFECTS[0] {
        return bench.order(|_| {}).await.unwrap_err();
    }
    let url = format!("{}/challenge", bench.recorder.base);
    let ready = bench.authority.ready(&url, bench.client.permit());
    ready.await.unwrap_err()
}

#[tokio::test]
async fn an_answer_that_is_cut_off_leaves_an_effect_unknown_and_is_sent_once() {
    for which in EFFECTS {
        for cut in [
            "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{",
            "HTTP/1.1 2",
            "",
        ] {
            let bench = Bench::scripted(Rates::UNPUBLISHED, move |line, _| {
                line.starts_with(which).then(|| Answer::Cut(cut.to_owned()))
            })
            .await;
            let error = effect(&bench, which).await;
            assert!(matches!(error, AuthorityError::Unknown(_)), "{error}");
            assert!(error.is_outage());
            assert_eq!(bench.count(which), 1);
        }
    }
}

#[tokio::test]
async fn a_page_in_front_of_the_ca_keeps_its_status_and_its_wait() {
    let date = "503 Service Unavailable\r\nRetry-After: Fri, 15 Jan 2027 08:01:40 GMT";
    let seconds = "502 Bad Gateway\r\nRetry-After: 100";
    for which in EFFECTS {
        for (head, expected) in [(date, 503), (seconds, 502)] {
            let bench = Bench::scripted(Rates::UNPUBLISHED, move |line, _| {
                line.starts_with(which)
                    .then(|| say(head, "<html>busy</html>"))
            })
            .await;
            let now = Timestamp::from_secs(1_800_000_000);
            bench.clock.advance(now.since(START));
            let expected = AuthorityError::Unavailable {
                status: expected,
                retry_after: Some(Duration::from_secs(100)),
            };
            assert_eq!(effect(&bench, which).await, expected);
        }
    }
}

#[tokio::test]
async fn limits_overloads_and_pauses_come_with_what_to_do() {
    for which in EFFECTS {
        let bench = Bench::scripted(Rates::UNPUBLISHED, move |line, _| {
            let body = r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"Your account
                is temporarily prevented from requesting certificates for shop.example and
                possibly others. Please visit: https://portal.ca.example/unpause?jwt=a.b"}"#;
            let body = body.replace("\n                ", " ");
            let head = "429 Too Many Requests\r\nRetry-After: 3600";
            line.starts_with(which).then_some(Answer::Say(head, body))
        })
        .await;
        let error = effect(&bench, which).await;
        let limit = error.problem().unwrap().limit();
        let page = "https://portal.ca.example/unpause?jwt=a.b";
        assert_eq!(limit, Some(Limit::Paused(Some(page))));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
        assert!(!error.is_outage());
    }
}

fn away(path: &str) -> Answer {
    Answer::Whole(format!(
        "HTTP/1.1 201 Created\r\nLocation: https://evil.example{path}\r\nContent-Length: 73\r\n\r\n\
         {{\"status\":\"valid\",\"authorizations\":[\"https://x/\"],\"finalize\":\"https://x/\"}} "
    ))
}

#[tokio::test]
async fn a_location_that_leads_to_another_host_is_not_followed() {
    let bench = Bench::scripted(Rates::UNPUBLISHED, |line, _| {
        let made = line.starts_with("POST /new ") || line.starts_with("POST /account ");
        made.then(|| away("/1"))
    })
    .await;
    let error = bench.order(|_| {}).await.unwrap_err();
    assert!(matches!(&error, AuthorityError::Malformed(_)), "{error}");
    let (plain, permit) = (plain(), bench.client.permit());
    let error = bench.authority.register(&plain, permit).await.unwrap_err();
    let AuthorityError::Malformed(text) = &error else {
        panic!("{error}");
    };
    assert!(text.contains("evil.example"), "{text}");
    let error = bench.authority.find().await.unwrap_err();
    assert!(matches!(&error, AuthorityError::Malformed(_)), "{error}");
}

#[tokio::test]
async fn nothing_is_sent_to_a_host_that_is_not_the_cas() {
    let other = Recorder::start(|_, _| None).await;
    let bench = Bench::with(&[]).await;
    let (url, permit) = (format!("{}/order/1", other.base), bench.client.permit());
    let errors = [
        bench.authority.order(&url).await.unwrap_err(),
        bench.authority.authorization(&url).await.unwrap_err(),
        bench.authority.certificate(&url).await.unwrap_err(),
        bench.authority.alternate(&url).await.unwrap_err(),
        bench.authority.ready(&url, permit).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(&error, AuthorityError::Malformed(_)), "{error}");
    }
    assert_eq!((other.requests().len(), bench.recorder.posts()), (0, 0));
}

#[tokio::test]
async fn redirections_are_not_followed() {
    let bench = Bench::scripted(Rates::UNPUBLISHED, |line, _| {
        line.starts_with("POST")
            .then(|| say("307 Temporary Redirect", ""))
    })
    .await;
    for which in EFFECTS {
        let error = effect(&bench, which).await;
        let status = AuthorityError::Unavailable {
            status: 307,
            retry_after: None,
        };
        assert_eq!(error, status);
        assert_eq!(bench.count(which), 1);
    }
}

#[tokio::test]
async fn an_order_for_other_names_is_not_ours() {
    let bench = Bench::scripted(Rates::UNPUBLISHED, |line, _| {
        let body = r#"{"status":"ready","authorizations":["{base}/a"],"finalize":"{base}/f",
            "identifiers":[{"type":"dns","value":"evil.example"}]}"#;
        line.starts_with("POST /new ")
            .then(|| say("201 Created", body))
    })
    .await;
    let error = bench.order(|_| {}).await.unwrap_err();
    assert!(matches!(&error, AuthorityError::Malformed(_)), "{error}");
}

#[tokio::test]
async fn nonces_are_drawn_until_one_is_taken_and_not_for_ever() {
    for (refused, sent) in [(23, 24), (24, 24)] {
        for which in EFFECTS {
            let count = AtomicU32::new(0);
            let bench = Bench::scripted(Rates::UNPUBLISHED, move |line, _| {
                let body = r#"{"type":"urn:ietf:params:acme:error:badNonce","detail":"stale"}"#;
                let counted = line.starts_with(which) && count.fetch_add(1, SeqCst) < refused;
                counted.then(|| say("400 Bad Request", body))
            })
            .await;
            if refused == 24 {
                assert_eq!(effect(&bench, which).await.kind(), "badNonce");
            } else if which == EFFECTS[0] {
                bench.order(|_| {}).await.unwrap();
            } else {
                let url = format!("{}/challenge", bench.recorder.base);
                let ready = bench.authority.ready(&url, bench.client.permit());
                ready.await.unwrap();
            }
            assert_eq!(bench.count(which), sent, "{which}");
            assert_eq!(bench.count("HEAD"), 1, "each refusal brings a fresh one");
        }
    }
}

#[tokio::test]
async fn requests_beyond_the_rate_wait_and_those_far_beyond_are_not_sent() {
    let rate = |per_second, burst| Rate { per_second, burst };
    let rates = Rates {
        new_order: rate(20, 2),
        revocation: rate(1, 1),
        ..Rates::UNPUBLISHED
    };
    let bench = Bench::scripted(rates, |_, _| None).await;
    bench.authority.warm().await.unwrap();
    let begun = Instant::now();
    for _ in 0..6 {
        bench.order(|_| {}).await.unwrap();
    }
    // One at once, then seventeen a second.
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(290), "{took:?}");

    let revoke = || {
        let reason = RevocationReason::Unspecified;
        let (authority, permit) = (bench.authority.clone(), bench.client.permit());
        async move { authority.revoke(b"leaf", reason, permit).await }
    };
    revoke().await.unwrap();
    let error = revoke().await.unwrap_err();
    let AuthorityError::Paced { wait } = error else {
        panic!("{error}");
    };
    assert!(wait > Duration::from_secs(1), "{wait:?}");
    assert_eq!(error.retry_after(), Some(wait));
    assert_eq!(bench.count("POST /revoke "), 1);
}
