//! RFC 8555 section 7.6.

use rcgen::KeyPair;
use serde_json::{Value, json};

use crate::bench::{Account, BASE, Bench};
use crate::signer::{Signer, b64};

const URL: &str = "https://ca.example:14000/revoke";

fn issued() -> (Bench, Account, KeyPair, Value) {
    let mut bench = Bench::new();
    let account = bench.account();
    let (key, der) = bench.issued(&account, &["a.example", "b.example"]);
    let payload = json!({ "certificate": b64(&der), "reason": 4 });
    (bench, account, key, payload)
}

fn revoked(bench: &Bench) -> Option<u8> {
    let ledger = bench.core.ledger(bench.time());
    let revoked = ledger.certificates[0].revoked.clone();
    revoked.map(|revocation| revocation.reason)
}

#[test]
fn the_account_that_ordered_may_revoke_once() {
    let (mut bench, account, _, payload) = issued();
    assert!(URL.starts_with(BASE));
    bench.post(&account, URL, &payload).expect(200);
    assert_eq!(revoked(&bench), Some(4));
    bench
        .post(&account, URL, &payload)
        .problem(400, "alreadyRevoked");
    bench.restart();
    assert_eq!(revoked(&bench), Some(4));
}

#[test]
fn the_key_of_the_certificate_may_revoke() {
    let (mut bench, _, key, payload) = issued();
    let stranger = Signer::p256();
    bench
        .post_as_key(&stranger, URL, &payload)
        .problem(403, "unauthorized");
    bench
        .post_as_key(&Signer::of(&key), URL, &payload)
        .expect(200);
    assert_eq!(revoked(&bench), Some(4));
}

#[test]
fn an_account_that_proved_all_the_names_may_revoke() {
    let (mut bench, _, _, payload) = issued();
    let other = bench.account();
    bench.ready_order(&other, &["a.example"]);
    bench
        .post(&other, URL, &payload)
        .problem(403, "unauthorized");
    bench.ready_order(&other, &["b.example"]);
    bench.post(&other, URL, &payload).expect(200);
}

#[test]
fn other_requests_are_refused_with_their_reason() {
    let (mut bench, account, _, good) = issued();
    let mut foreign = Bench::new();
    let owner = foreign.account();
    let (_, der) = foreign.issued(&owner, &["a.example"]);
    let with = |field: &str, value: Value| {
        let mut payload = good.clone();
        payload[field] = value;
        payload
    };
    for (payload, status, kind) in [
        (with("reason", json!(2)), 400, "badRevocationReason"),
        (with("reason", json!(7)), 400, "badRevocationReason"),
        (with("reason", json!(300)), 400, "badRevocationReason"),
        (with("certificate", json!("AAAA")), 400, "malformed"),
        (with("certificate", json!("!")), 400, "malformed"),
        (with("certificate", json!(b64(&der))), 404, "malformed"),
        (json!({}), 400, "malformed"),
    ] {
        bench.post(&account, URL, &payload).problem(status, kind);
    }
    assert_eq!(revoked(&bench), None);
}
