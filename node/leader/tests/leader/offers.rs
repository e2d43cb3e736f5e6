//! What a CA offers, and whether it does what was asked: its directory, profiles,
//! replacements and windows to renew in.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use leader::issuance::authority::{AuthorityError, Feature, OrderStatus, Rates};
use state::Timestamp;

use crate::{
    bench::{Bench, say},
    client::new_key,
    recorder::Answer,
};

#[tokio::test]
async fn a_directory_is_read_once_and_tells_all() {
    let bench = Bench::with(&[]).await;
    for _ in 0..3 {
        bench.authority.warm().await.unwrap();
        bench.order(|_| {}).await.unwrap();
    }
    let view = bench.authority.directory().await.unwrap();
    let profiles: Vec<&str> = view.profiles.keys().map(String::as_str).collect();
    assert_eq!(profiles, ["classic", "shortlived"]);
    assert_eq!(view.caa_identities, ["ca.example"]);
    assert_eq!(
        view.terms_of_service.as_deref(),
        Some("https://ca.example/terms")
    );
    assert_eq!(view.website.as_deref(), Some("https://ca.example/"));
    assert!(view.external_account_required && view.has_renewal_info && view.has_key_change);
    assert_eq!(bench.count("GET /directory"), 1);
    assert_eq!(bench.count("HEAD"), 1, "nonces come with answers");
}

#[tokio::test]
async fn a_directory_that_cannot_be_read_again_serves_on() {
    let down = Arc::new(AtomicU32::new(0));
    let switch = down.clone();
    let bench = Bench::scripted(Rates::UNPUBLISHED, move |line, _| {
        let fails = line.starts_with("GET /directory") && switch.load(SeqCst) > 0;
        fails.then(|| say("503 Service Unavailable", "<html>"))
    })
    .await;
    bench.authority.directory().await.unwrap();
    down.store(1, SeqCst);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(3601)).await;
    tokio::time::resume();
    for _ in 0..3 {
        bench.authority.directory().await.unwrap();
    }
    assert_eq!(
        bench.count("GET /directory"),
        2,
        "and is not asked for all the time"
    );
    bench.order(|_| {}).await.unwrap();
}

#[tokio::test]
async fn a_directory_that_is_none_says_so() {
    for body in [
        "<html>",
        "{}",
        r#"{"newNonce":"/nonce","newAccount":"/a","newOrder":"/o"}"#,
    ] {
        let bench = Bench::scripted(Rates::UNPUBLISHED, move |line, _| {
            line.starts_with("GET").then(|| say("200 OK", body))
        })
        .await;
        let error = bench.authority.warm().await.unwrap_err();
        assert!(matches!(error, AuthorityError::Malformed(_)), "{error}");
    }
}

#[tokio::test]
async fn a_profile_that_is_not_offered_costs_no_order() {
    let bench = Bench::with(&[]).await;
    let error = bench.order(|it| it.profile = Some("forever")).await;
    let error = error.unwrap_err();
    let text = "the CA offers no profile `forever`; it offers: classic, shortlived";
    assert_eq!(error.to_string(), text);
    assert_eq!(bench.recorder.posts(), 0);
}

#[tokio::test]
async fn a_profile_that_is_ignored_is_never_taken_for_granted() {
    let bench = Bench::with(&[]).await;
    let error = bench.order(|it| it.profile = Some("shortlived")).await;
    let expected = AuthorityError::ProfileIgnored {
        profile: "shortlived".to_owned(),
        order_url: format!("{}/order/1", bench.recorder.base),
    };
    assert_eq!(error, Err(expected));

    let bench = Bench::scripted(Rates::UNPUBLISHED, |line, _| {
        let body = r#"{"status":"ready","authorizations":["{base}/a"],"finalize":"{base}/f",
            "profile":"shortlived"}"#;
        line.starts_with("POST /new ")
            .then(|| say("201 Created", body))
    })
    .await;
    bench
        .order(|it| it.profile = Some("shortlived"))
        .await
        .unwrap();
    let requests = bench.recorder.requests();
    let sent = requests.last().unwrap();
    assert!(sent.starts_with("POST /new "));
}

#[tokio::test]
async fn an_order_that_is_no_replacement_comes_with_the_error() {
    let bench = Bench::with(&[]).await;
    let error = bench.order(|it| it.replaces = Some("aki.serial")).await;
    let error = error.unwrap_err();
    assert!(error.is_about_replacing());
    let AuthorityError::ReplacesIgnored(view) = error else {
        panic!("{error}");
    };
    assert_eq!(view.url, format!("{}/order/1", bench.recorder.base));
    bench.order(|_| {}).await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_is_replaced_already_is_told_apart() {
    for (head, kind) in [
        ("409 Conflict", "alreadyReplaced"),
        ("404 Not Found", "malformed"),
    ] {
        let bench = Bench::scripted(Rates::UNPUBLISHED, move |line, before| {
            let body = format!(
                r#"{{"type":"urn:ietf:params:acme:error:{kind}","detail":"by order {before}"}}"#
            );
            line.starts_with("POST /new ")
                .then_some(Answer::Say(head, body))
        })
        .await;
        let error = bench.order(|it| it.replaces = Some("aki.serial")).await;
        let error = error.unwrap_err();
        assert!(
            matches!(error, AuthorityError::ReplacesRefused(_)),
            "{error}"
        );
        assert_eq!((error.kind(), error.is_outage()), (kind, false));
        let plain = bench.order(|_| {}).await.unwrap_err();
        assert!(matches!(plain, AuthorityError::Refused(_)), "{plain}");
    }
}

#[tokio::test]
async fn what_is_no_renewal_id_is_not_sent() {
    let bench = Bench::with(&[]).await;
    for id in [
        "", "aki", "aki.", ".serial", "a.b.c", "../a.b", "a b.c", "a?.c",
    ] {
        let error = bench.order(|it| it.replaces = Some(id)).await;
        assert!(matches!(error, Err(AuthorityError::Unusable(_))), "{id}");
        let error = bench.authority.renewal_info(id).await;
        assert!(matches!(error, Err(AuthorityError::Unusable(_))), "{id}");
    }
    assert_eq!(bench.recorder.posts(), 0);
}

#[tokio::test]
async fn renewal_information_is_a_plain_get() {
    let bench = Bench::scripted(Rates::UNPUBLISHED, |line, _| {
        let body = r#"{"suggestedWindow":{"start":"2027-01-15T08:00:00Z",
            "end":"2027-01-17T08:00:00Z"},"explanationURL":"https://ca.example/why"}"#;
        line.starts_with("GET /renewal/aki.serial ")
            .then(|| say("200 OK\r\nRetry-After: 21600", body))
    })
    .await;
    let info = bench.authority.renewal_info("aki.serial").await.unwrap();
    assert_eq!(info.start, Timestamp::from_secs(1_800_000_000));
    assert_eq!(info.end.since(info.start), Duration::from_secs(2 * 86_400));
    assert_eq!(info.retry_after, Some(Duration::from_secs(21_600)));
    assert_eq!(
        info.explanation_url.as_deref(),
        Some("https://ca.example/why")
    );
    assert_eq!(bench.recorder.posts(), 0);
}

#[tokio::test]
async fn a_certificate_that_the_ca_knows_no_window_of_has_none() {
    for body in [
        "<html>",
        r#"{"type":"urn:ietf:params:acme:error:malformed","detail":"?"}"#,
    ] {
        let bench = Bench::scripted(Rates::UNPUBLISHED, move |line, _| {
            let asked = line.starts_with("GET /renewal/");
            asked.then(|| say("404 Not Found", body))
        })
        .await;
        let error = bench.authority.renewal_info("aki.serial").await;
        let expected = AuthorityError::Unsupported(Feature::RenewalInfo);
        assert_eq!(error, Err(expected));
    }
}

#[tokio::test]
async fn accounts_at_one_ca_share_its_rates_and_its_nonces() {
    let bench = Bench::with(&[]).await;
    bench.authority.warm().await.unwrap();
    let account = format!("{}/account/2", bench.recorder.base);
    let other = bench.client.open(&new_key(), Some(&account));
    other.warm().await.unwrap();
    let url = format!("{}/order/1", bench.recorder.base);
    assert_eq!(other.order(&url).await.unwrap().status, OrderStatus::Ready);
    assert_eq!(bench.count("GET /directory"), 1);
    assert_eq!(bench.count("HEAD"), 1);
    assert_eq!(bench.recorder.connections(), 1);
}
