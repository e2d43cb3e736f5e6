//! Misbehaviour on command, as far as the core carries it out itself.

use devca::{
    ChainFault, Disruption, Endpoint, Fault, Kind, Mishap, OrderStatus, RetryAfter, Spoil,
};
use rcgen::KeyPair;
use serde_json::{Value, json};

use crate::bench::{Account, BASE, Bench, Order, csr};

const NAMES: [&str; 1] = ["a.example"];

fn struck(endpoint: Endpoint, mishap: Mishap) -> (Bench, Account, Order) {
    let mut bench = Bench::new();
    let account = bench.account();
    let order = bench.ready_order(&account, &NAMES);
    bench.core.inject(Fault::once(endpoint, mishap));
    bench.strict = false;
    (bench, account, order)
}

fn orders(bench: &Bench) -> usize {
    bench.core.ledger(bench.time()).orders.len()
}

#[test]
fn refusals_do_nothing_and_are_over_when_their_times_are() {
    for (mishap, status, kind) in [
        (
            Mishap::Status {
                status: 500,
                html: false,
            },
            500,
            "serverInternal",
        ),
        (
            Mishap::Status {
                status: 503,
                html: false,
            },
            503,
            "serverInternal",
        ),
        (Mishap::BadNonce, 400, "badNonce"),
    ] {
        let (mut bench, account, _) = struck(Endpoint::NewOrder, mishap);
        let answer = bench.try_order(&account, &["b.example"], &json!({}));
        answer.problem(status, kind);
        assert!(!answer.header("replay-nonce").is_empty());
        assert_eq!(orders(&bench), 1);
        bench.order(&account, &["b.example"]);
        assert_eq!(bench.core.faults()[0].struck, 1);
    }
}

#[test]
fn a_load_balancer_answers_with_a_page_and_no_nonce() {
    let mishap = Mishap::Status {
        status: 503,
        html: true,
    };
    let (mut bench, account, _) = struck(Endpoint::NewOrder, mishap);
    let answer = bench.try_order(&account, &["b.example"], &json!({}));
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("content-type"), "text/html");
    assert!(answer.text.contains("<h1>503 Service Unavailable</h1>"));
    assert!(answer.headers.get("replay-nonce").is_none());
    assert_eq!(orders(&bench), 1);
}

#[test]
fn retry_after_comes_in_seconds_or_as_a_date() {
    for (retry_after, header) in [
        (RetryAfter::Seconds(7), "7"),
        (RetryAfter::Date(60), "Fri, 15 Jan 2027 08:01:00 GMT"),
    ] {
        let mishap = Mishap::RateLimited { retry_after };
        let (mut bench, account, _) = struck(Endpoint::NewOrder, mishap);
        let answer = bench.try_order(&account, &NAMES, &json!({}));
        answer.problem(429, "rateLimited");
        assert_eq!(answer.header("retry-after"), header);
    }
}

#[test]
fn what_was_acted_on_is_done_though_the_answer_fails() {
    for (mishap, disruption) in [
        (Mishap::StatusAfter { status: 502 }, None),
        (Mishap::ResetAfter, Some(Disruption::Reset)),
        (
            Mishap::Truncate { bytes: 9 },
            Some(Disruption::Truncate { bytes: 9 }),
        ),
        (Mishap::Endless, Some(Disruption::Endless)),
        (Mishap::SilenceAfter, Some(Disruption::Silence)),
        (
            Mishap::Late { millis: 5 },
            Some(Disruption::Late { millis: 5 }),
        ),
    ] {
        let (mut bench, account, order) = struck(Endpoint::Finalize, mishap);
        let key = KeyPair::generate().unwrap();
        let answer = bench.post(&account, &order.finalize, &csr(&key, &NAMES));
        assert_eq!(answer.disruption, disruption);
        assert_eq!(bench.status(&account, &order.url), "valid");
        let posts = bench.core.posts();
        let post = posts
            .iter()
            .find(|post| post.endpoint == Endpoint::Finalize);
        assert!(post.unwrap().struck);
    }
    for mishap in [Mishap::ResetBefore, Mishap::Silence] {
        let (mut bench, account, order) = struck(Endpoint::Finalize, mishap);
        let key = KeyPair::generate().unwrap();
        let answer = bench.post(&account, &order.finalize, &csr(&key, &NAMES));
        assert!(answer.disruption.is_some());
        assert_eq!(bench.status(&account, &order.url), "ready");
        assert!(bench.core.ledger(bench.time()).finalizations.is_empty());
    }
}

#[test]
fn orders_jump_to_invalid_and_to_statuses_that_no_one_knows() {
    let (mut bench, account, order) = struck(Endpoint::Order, Mishap::OrderInvalid);
    let shown = bench
        .post(&account, &order.url, &Value::Null)
        .expect(200)
        .json();
    assert_eq!(shown["status"], "invalid");
    assert!(
        shown["error"]["detail"]
            .as_str()
            .unwrap()
            .contains("on command")
    );
    assert_eq!(bench.status(&account, &order.url), "invalid");
    let status = "deactivated".to_owned();
    let (mut bench, account, order) = struck(Endpoint::Order, Mishap::OrderStatus { status });
    assert_eq!(bench.status(&account, &order.url), "deactivated");
    assert_eq!(bench.status(&account, &order.url), "ready");
    let (mut bench, account, order) = struck(Endpoint::Finalize, Mishap::OrderInvalid);
    let key = KeyPair::generate().unwrap();
    let answer = bench.post(&account, &order.finalize, &csr(&key, &NAMES));
    answer.problem(403, "orderNotReady");
    let ledger = bench.core.ledger(bench.time());
    assert_eq!(ledger.orders[0].status, OrderStatus::Invalid);
}

#[test]
fn location_may_lead_off_the_host() {
    let origin = "https://evil.example".to_owned();
    let mishap = Mishap::LocationElsewhere { origin };
    let (mut bench, account, _) = struck(Endpoint::NewOrder, mishap);
    let answer = bench.try_order(&account, &["b.example"], &json!({}));
    let url = answer.header("location");
    assert!(url.starts_with("https://evil.example/order/"), "{url}");
}

/// The certificate made under a fault: whether its key and its name are those asked for.
fn made(spoil: Spoil) -> (bool, bool) {
    let (mut bench, account, order) = struck(Endpoint::Finalize, Mishap::Spoil(spoil));
    let key = KeyPair::generate().unwrap();
    let der = bench.finalized(&account, &order, &key, &NAMES);
    let (_, leaf) = x509_parser::parse_x509_certificate(&der).unwrap();
    let spki = rcgen::PublicKeyData::subject_public_key_info(&key);
    let names = leaf.subject_alternative_name().unwrap().unwrap();
    let named = names
        .value
        .general_names
        .iter()
        .any(|name| name.to_string().contains(NAMES[0]));
    (leaf.public_key().raw == spki.as_slice(), named)
}

#[test]
fn certificates_come_with_the_wrong_key_or_names() {
    assert_eq!(made(Spoil::Key), (false, true));
    assert_eq!(made(Spoil::Names), (true, false));
}

#[test]
fn chains_come_broken() {
    let (mut bench, account, order) = struck(Endpoint::KeyChange, Mishap::BadNonce);
    let key = KeyPair::generate().unwrap();
    let done = bench
        .post(&account, &order.finalize, &csr(&key, &NAMES))
        .json();
    let url = done["certificate"].as_str().unwrap().to_owned();
    let mut chain = || bench.post(&account, &url, &Value::Null).expect(200).text;
    let whole = chain();
    let blocks = |text: &str| -> Vec<String> {
        let blocks = text.split_inclusive("-----END CERTIFICATE-----\n");
        blocks.map(str::to_owned).collect()
    };
    let right = blocks(&whole);
    for fault in [
        ChainFault::Missing,
        ChainFault::Reversed,
        ChainFault::Foreign,
    ] {
        bench.core.clear_faults();
        bench
            .core
            .inject(Fault::once(Endpoint::Certificate, Mishap::Chain(fault)));
        let text = bench.post(&account, &url, &Value::Null).expect(200).text;
        let found = blocks(&text);
        match fault {
            ChainFault::Missing => assert_eq!(found, right[..1]),
            ChainFault::Reversed => assert_eq!(found, [right[1].clone(), right[0].clone()]),
            ChainFault::Foreign => {
                assert_eq!((found.len(), &found[0]), (2, &right[0]));
                assert_ne!(found[1], right[1]);
            }
        }
    }
}

#[test]
fn every_post_is_logged_with_its_sender_and_its_end() {
    let mut bench = Bench::new();
    let account = bench.account();
    let order = bench.ready_order(&account, &NAMES);
    bench
        .post(&account, &order.finalize, &json!({}))
        .problem(400, "malformed");
    let raw = bench.post_raw(&format!("{BASE}/order"), "text/plain", String::new());
    assert_eq!(raw.status, 415);
    let posts = bench.core.posts();
    let told: Vec<_> = posts
        .iter()
        .map(|post| (post.endpoint, post.status, post.account.is_some()))
        .collect();
    assert_eq!(
        told,
        [
            (Endpoint::NewAccount, 201, false),
            (Endpoint::NewOrder, 201, true),
            (Endpoint::Authorization, 200, true),
            (Endpoint::Challenge, 200, true),
            (Endpoint::Finalize, 400, true),
            (Endpoint::NewOrder, 415, false),
        ]
    );
    assert_eq!(posts[0].received.as_unix_millis(), bench.now * 1_000);
    let refused = bench.core.ledger(bench.time()).finalizations[0].refused;
    assert_eq!(refused, Some(Kind::Malformed));
}

#[test]
fn validations_fail_on_command() {
    let (mut bench, account, _) = struck(Endpoint::Challenge, Mishap::Unproven);
    let order = bench.order(&account, &["b.example"]);
    let url = format!("{}/http-01", order.authorizations[0]);
    let begun = bench.post(&account, &url, &json!({})).expect(200).json();
    assert_eq!(begun["status"], "invalid");
    let detail = begun["error"]["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("During secondary validation"),
        "{detail}"
    );
    assert_eq!(bench.due_validation(), None);
    assert_eq!(bench.status(&account, &order.url), "invalid");
    let again = bench.ready_order(&account, &["b.example"]);
    assert_eq!(bench.status(&account, &again.url), "ready");
}
