//! RFC 8555 sections 7.4 and 7.5.

use std::time::Duration;

use devca::{Entropy, Kind, OrderStatus, Problem};
use rcgen::KeyPair;
use serde_json::{Value, json};

use crate::bench::{Account, BASE, Bench, Order, csr, kinds};

fn status(bench: &mut Bench, account: &Account, url: &str) -> Value {
    let answer = bench.post(account, url, &Value::Null).expect(200);
    answer.json()["status"].clone()
}

#[test]
fn an_order_goes_from_pending_to_valid() {
    let mut bench = Bench::new();
    let account = bench.account();
    let names = ["b.example", "a.example"];
    let order = bench.order(&account, &names);
    assert_eq!(order.authorizations.len(), 2);
    assert_eq!(status(&mut bench, &account, &order.url), "pending");
    bench.prove(&account, &order);
    assert_eq!(status(&mut bench, &account, &order.url), "ready");
    let key = KeyPair::generate().unwrap();
    let done = bench.post(&account, &order.finalize, &csr(&key, &names));
    let done = done.expect(200).json();
    assert_eq!(done["status"], "valid");
    let chain = bench.post(
        &account,
        done["certificate"].as_str().unwrap(),
        &Value::Null,
    );
    let chain = chain.expect(200);
    assert_eq!(
        chain.header("content-type"),
        "application/pem-certificate-chain"
    );
    assert_eq!(chain.text.matches("BEGIN CERTIFICATE").count(), 2);
    let ledger = bench.core.ledger(bench.time());
    assert_eq!(ledger.certificates_for(&names).count(), 1);
    assert_eq!(ledger.orders_for(&names).count(), 1);
    assert_eq!(ledger.certificates[0].names, ["a.example", "b.example"]);
    assert_eq!(ledger.certificates[0].issued.as_unix(), bench.now);
}

#[test]
fn orders_are_refused_with_their_reason() {
    let mut bench = Bench::new();
    let account = bench.account();
    let dns = |name: &str| json!({ "identifiers": [{ "type": "dns", "value": name }] });
    let mut dated = dns("a.example");
    dated["notAfter"] = "2030-01-01T00:00:00Z".into();
    for (payload, status, kind) in [
        (dns("*.a.example"), 403, "rejectedIdentifier"),
        (dns("localhost"), 403, "rejectedIdentifier"),
        (dns("A.example"), 400, "malformed"),
        (dns("192.0.2.1"), 400, "malformed"),
        (
            json!({ "identifiers": [{ "type": "ip", "value": "192.0.2.1" }] }),
            400,
            "unsupportedIdentifier",
        ),
        (json!({ "identifiers": [] }), 400, "malformed"),
        (json!({}), 400, "malformed"),
        (dated, 400, "malformed"),
    ] {
        let answer = bench.post(&account, &format!("{BASE}/order"), &payload);
        answer.problem(status, kind);
    }
}

#[test]
fn authorizations_are_never_used_again() {
    let mut bench = Bench::new();
    let account = bench.account();
    let first = bench.ready_order(&account, &["a.example"]);
    let second = bench.order(&account, &["a.example"]);
    assert_ne!(first.authorizations, second.authorizations);
    assert_eq!(status(&mut bench, &account, &second.url), "pending");
}

#[test]
fn each_challenge_leads_up_and_only_one_is_tried() {
    let mut bench = Bench::new();
    let account = bench.account();
    let order = bench.order(&account, &["a.example"]);
    let url = &order.authorizations[0];
    let shown = bench.post(&account, url, &Value::Null).expect(200).json();
    assert_eq!(
        shown["identifier"],
        json!({ "type": "dns", "value": "a.example" })
    );
    let types: Vec<_> = shown["challenges"].as_array().unwrap().iter().collect();
    assert_eq!(
        types
            .iter()
            .map(|it| it["type"].as_str().unwrap())
            .collect::<Vec<_>>(),
        kinds()
    );
    let http = format!("{url}/http-01");
    let read = bench.post(&account, &http, &Value::Null).expect(200);
    assert_eq!(read.json()["status"], "pending");
    let up = format!("<{url}>;rel=\"up\"");
    assert!(read.headers.get_all("link").iter().any(|link| *link == up));
    for _ in 0..2 {
        let begun = bench.post(&account, &http, &json!({})).expect(200);
        assert_eq!(begun.json()["status"], "processing");
    }
    let other = format!("{url}/tls-alpn-01");
    bench
        .post(&account, &other, &json!({}))
        .problem(400, "malformed");
    let validation = bench.due_validation().unwrap();
    assert_eq!(bench.due_validation(), None);
    let token = shown["challenges"][0]["token"].as_str().unwrap();
    assert!(
        validation
            .key_authorization
            .starts_with(&format!("{token}."))
    );
    bench.conclude(&validation, Ok(()));
    let shown = bench.post(&account, url, &Value::Null).expect(200).json();
    assert_eq!(shown["challenges"].as_array().unwrap().len(), 1);
    assert_eq!(shown["challenges"][0]["validated"], "2027-01-15T08:00:00Z");
    bench
        .post(&account, &http, &json!({}))
        .problem(400, "malformed");
}

#[test]
fn a_failed_validation_ends_the_order() {
    let mut bench = Bench::new();
    let account = bench.account();
    let order = bench.order(&account, &["a.example", "b.example"]);
    let url = format!("{}/http-01", order.authorizations[1]);
    bench.post(&account, &url, &json!({})).expect(200);
    let validation = bench.due_validation().unwrap();
    let problem = Problem::new(Kind::Connection, "nobody is there");
    bench.conclude(&validation, Err(problem));
    let order = bench
        .post(&account, &order.url, &Value::Null)
        .expect(200)
        .json();
    assert_eq!(order["status"], "invalid");
    assert_eq!(order["error"]["detail"], "b.example: nobody is there");
    let challenge = bench.post(&account, &url, &Value::Null).expect(200).json();
    assert_eq!(challenge["status"], "invalid");
    assert_eq!(
        challenge["error"]["type"],
        "urn:ietf:params:acme:error:connection"
    );
}

#[test]
fn deactivated_and_expired_authorizations_end_the_order() {
    let mut bench = Bench::new();
    let account = bench.account();
    let order = bench.ready_order(&account, &["a.example"]);
    let url = order.authorizations[0].clone();
    let payload = json!({ "status": "deactivated" });
    bench
        .post(&account, &url, &json!({ "status": "valid" }))
        .problem(400, "malformed");
    let answer = bench.post(&account, &url, &payload).expect(200);
    assert_eq!(answer.json()["status"], "deactivated");
    bench
        .post(&account, &url, &payload)
        .problem(400, "malformed");
    assert_eq!(status(&mut bench, &account, &order.url), "invalid");
    let pending = bench.order(&account, &["b.example"]);
    let ready = bench.ready_order(&account, &["c.example"]);
    bench.now += 3_600;
    for (order, authorization) in [(pending, "invalid"), (ready, "expired")] {
        assert_eq!(status(&mut bench, &account, &order.url), "invalid");
        let url = &order.authorizations[0];
        assert_eq!(status(&mut bench, &account, url), authorization);
        let refused = bench.post(&account, &order.finalize, &json!({ "csr": "" }));
        refused.problem(403, "orderNotReady");
    }
}

#[test]
fn an_outcome_that_comes_too_late_changes_nothing() {
    let mut bench = Bench::new();
    let account = bench.account();
    let order = bench.order(&account, &["a.example"]);
    let url = &order.authorizations[0];
    bench
        .post(&account, &format!("{url}/http-01"), &json!({}))
        .expect(200);
    let validation = bench.due_validation().unwrap();
    bench
        .post(&account, url, &json!({ "status": "deactivated" }))
        .expect(200);
    bench.conclude(&validation, Ok(()));
    assert_eq!(status(&mut bench, &account, url), "deactivated");
}

fn ready() -> (Bench, Account, Order) {
    let mut bench = Bench::new();
    let account = bench.account();
    let order = bench.ready_order(&account, &["a.example"]);
    (bench, account, order)
}

#[test]
fn an_order_is_finalized_once() {
    let (mut bench, account, order) = ready();
    let key = KeyPair::generate().unwrap();
    let payload = csr(&key, &["a.example"]);
    bench.post(&account, &order.finalize, &payload).expect(200);
    for _ in 0..3 {
        let again = bench.post(&account, &order.finalize, &payload);
        again.problem(403, "orderNotReady");
    }
    let ledger = bench.core.ledger(bench.time());
    assert_eq!(ledger.certificates.len(), 1);
    let outcomes: Vec<_> = ledger.finalizations.iter().map(|it| it.refused).collect();
    let refused = Some(Kind::OrderNotReady);
    assert_eq!(outcomes, [None, refused, refused, refused]);
}

#[test]
fn certificates_are_made_for_every_kind_of_web_key() {
    let mut bench = Bench::new();
    let account = bench.account();
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_RSA_SHA256,
    ] {
        let order = bench.ready_order(&account, &["a.example"]);
        let key = KeyPair::generate_for(algorithm).unwrap();
        let payload = csr(&key, &["a.example"]);
        let answer = bench.post(&account, &order.finalize, &payload);
        assert_eq!(answer.expect(200).json()["status"], "valid");
    }
    // Two of elliptic curves; the RSA one goes beside them.
    let ledger = bench.core.ledger(bench.time());
    let duplicates = ledger.duplicates(Duration::from_secs(1));
    assert_eq!(duplicates.len(), 1);
    assert_eq!(duplicates[0].serials.len(), 2);
    assert!(ledger.certificates[2].is_rsa);
}

#[test]
fn a_bad_request_leaves_the_order_ready() {
    let (mut bench, account, order) = ready();
    let key = KeyPair::generate().unwrap();
    for (payload, kind) in [
        (csr(&key, &["b.example"]), "badCSR"),
        (csr(&key, &["a.example", "b.example"]), "badCSR"),
        (json!({ "csr": "AAAA" }), "badCSR"),
        (json!({ "csr": "A+/A" }), "malformed"),
        (json!({}), "malformed"),
    ] {
        bench
            .post(&account, &order.finalize, &payload)
            .problem(400, kind);
        assert_eq!(status(&mut bench, &account, &order.url), "ready");
    }
    let good = csr(&key, &["a.example"]);
    bench.post(&account, &order.finalize, &good).expect(200);
}

#[test]
fn a_client_in_a_loop_is_stopped() {
    let (mut bench, account, order) = ready();
    for _ in 0..256 {
        let answer = bench.post(&account, &order.finalize, &json!({}));
        answer.problem(400, "malformed");
    }
    let answer = bench.post(&account, &order.finalize, &json!({}));
    answer.problem(429, "rateLimited");
}

#[test]
fn what_belongs_to_an_account_is_hidden_from_others() {
    let (mut bench, account, order) = ready();
    let key = KeyPair::generate().unwrap();
    let done = bench.post(&account, &order.finalize, &csr(&key, &["a.example"]));
    let certificate = done.expect(200).json()["certificate"].clone();
    let stranger = bench.account();
    for url in [
        &order.url,
        &order.finalize,
        &order.authorizations[0],
        &format!("{}/http-01", order.authorizations[0]),
        &format!("{}/orders", account.url),
        certificate.as_str().unwrap(),
    ] {
        let answer = bench.post(&stranger, url, &Value::Null);
        answer.problem(403, "unauthorized");
    }
    for path in [
        "order/x",
        "order/x/finalize",
        "authorization/x",
        "certificate/x",
    ] {
        let answer = bench.post(&account, &format!("{BASE}/{path}"), &Value::Null);
        answer.problem(404, "malformed");
    }
}

#[test]
fn what_is_read_takes_no_payload() {
    let (mut bench, account, order) = ready();
    let answer = bench.post(&account, &order.url, &json!({}));
    answer.problem(400, "malformed");
}

#[test]
fn a_slow_ca_is_processing_until_its_time() {
    let mut bench = Bench::with_delay(Duration::from_secs(5));
    let account = bench.account();
    let order = bench.ready_order(&account, &["a.example"]);
    let key = KeyPair::generate().unwrap();
    let payload = csr(&key, &["a.example"]);
    let answer = bench.post(&account, &order.finalize, &payload).expect(200);
    assert_eq!(answer.json()["status"], "processing");
    assert_eq!(answer.header("retry-after"), "5");
    bench.now += 3;
    let answer = bench.post(&account, &order.url, &Value::Null).expect(200);
    assert_eq!(answer.header("retry-after"), "2");
    bench
        .post(&account, &order.finalize, &payload)
        .problem(403, "orderNotReady");
    bench.issue_due();
    bench.issue_due();
    assert_eq!(status(&mut bench, &account, &order.url), "valid");
    assert_eq!(bench.core.ledger(bench.time()).certificates.len(), 1);
}

#[test]
fn what_was_under_way_is_begun_again_after_a_restart() {
    let mut bench = Bench::with_delay(Duration::from_secs(5));
    let account = bench.account();
    let slow = bench.ready_order(&account, &["a.example"]);
    let key = KeyPair::generate().unwrap();
    let payload = csr(&key, &["a.example"]);
    bench.post(&account, &slow.finalize, &payload).expect(200);
    let order = bench.order(&account, &["b.example"]);
    let url = format!("{}/http-01", order.authorizations[0]);
    bench.post(&account, &url, &json!({})).expect(200);
    bench.restart();
    assert_eq!(bench.effects.len(), 2);
    let validation = bench.due_validation().unwrap();
    assert_eq!(validation.hostname, "b.example");
    bench.conclude(&validation, Ok(()));
    bench.issue_due();
    let ledger = bench.core.ledger(bench.time());
    let statuses: Vec<_> = ledger.orders.iter().map(|order| order.status).collect();
    assert_eq!(statuses, [OrderStatus::Valid, OrderStatus::Ready]);
    bench.restart();
    assert_eq!(bench.effects, []);
    assert_eq!(bench.core.ledger(bench.time()), ledger);
}

/// A source that counts.
struct Counter(u8);

impl Entropy for Counter {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
    }
}

#[test]
fn the_same_chance_makes_the_same_answers() {
    let answers = || {
        let mut bench = Bench::new();
        let mut entropy = Counter(0);
        let request = http::Request::get("/nonce")
            .body(bytes::Bytes::new())
            .unwrap();
        let one = bench.send_with(&request, &mut entropy);
        let two = bench.send_with(&request, &mut entropy);
        [one, two].map(|answer| answer.header("replay-nonce").to_owned())
    };
    assert_eq!(answers(), answers());
}
