//! RFC 8555 section 7.3.

use serde_json::{Value, json};

use crate::bench::{Account, BASE, Bench};
use crate::signer::Signer;

fn new_account(bench: &mut Bench, signer: &Signer, payload: &Value) -> crate::bench::Answer {
    bench.post_as_key(signer, &format!("{BASE}/account"), payload)
}

#[test]
fn one_key_has_one_account() {
    let mut bench = Bench::new();
    let account = bench.account();
    for payload in [
        json!({ "termsOfServiceAgreed": true }),
        json!({ "onlyReturnExisting": true }),
        json!({}),
    ] {
        let again = new_account(&mut bench, &account.signer, &payload).expect(200);
        assert_eq!(again.header("location"), account.url);
    }
    assert_eq!(bench.core.ledger(bench.time()).accounts.len(), 1);
}

#[test]
fn accounts_are_refused_with_their_reason() {
    let mut bench = Bench::new();
    for (payload, status, kind) in [
        (
            json!({ "onlyReturnExisting": true }),
            400,
            "accountDoesNotExist",
        ),
        (json!({}), 403, "userActionRequired"),
        (
            json!({ "termsOfServiceAgreed": false }),
            403,
            "userActionRequired",
        ),
        (
            json!({ "termsOfServiceAgreed": true, "contact": ["tel:1"] }),
            400,
            "unsupportedContact",
        ),
        (
            json!({ "termsOfServiceAgreed": true, "contact": ["mailto:x"] }),
            400,
            "invalidContact",
        ),
        (json!({ "termsOfServiceAgreed": "yes" }), 400, "malformed"),
        (Value::Null, 400, "malformed"),
    ] {
        new_account(&mut bench, &Signer::p256(), &payload).problem(status, kind);
    }
    let account = bench.account();
    let url = format!("{BASE}/account");
    bench
        .post(&account, &url, &json!({}))
        .problem(400, "malformed");
}

#[test]
fn contacts_can_be_changed_by_their_owner_alone() {
    let mut bench = Bench::new();
    let account = bench.account();
    let contact = json!({ "contact": ["mailto:ops@client.example"] });
    let updated = bench.post(&account, &account.url, &contact).expect(200);
    assert_eq!(updated.json()["contact"], contact["contact"]);
    let read = bench.post(&account, &account.url, &Value::Null).expect(200);
    assert_eq!(read.json()["contact"], contact["contact"]);
    assert_eq!(read.json()["status"], "valid");
    let stranger = bench.account();
    bench
        .post(&stranger, &account.url, &contact)
        .problem(403, "unauthorized");
    bench
        .post(&account, &account.url, &json!({ "status": "revoked" }))
        .problem(400, "malformed");
}

#[test]
fn a_deactivated_account_can_do_nothing() {
    let mut bench = Bench::new();
    let account = bench.account();
    let payload = json!({ "status": "deactivated" });
    let answer = bench.post(&account, &account.url, &payload).expect(200);
    assert_eq!(answer.json()["status"], "deactivated");
    let order = format!("{BASE}/order");
    bench
        .post(&account, &order, &json!({}))
        .problem(401, "unauthorized");
    let agreed = json!({ "termsOfServiceAgreed": true });
    new_account(&mut bench, &account.signer, &agreed).problem(401, "unauthorized");
}

#[test]
fn the_account_lists_its_orders() {
    let mut bench = Bench::new();
    let account = bench.account();
    let first = bench.order(&account, &["a.example"]);
    let second = bench.order(&account, &["b.example"]);
    let url = format!("{}/orders", account.url);
    let list = bench.post(&account, &url, &Value::Null).expect(200).json();
    assert_eq!(list["orders"], json!([second.url, first.url]));
    bench.now += 3_600;
    let list = bench.post(&account, &url, &Value::Null).expect(200).json();
    assert_eq!(list["orders"], json!([]));
}

/// The inner JWS of a change to `new`, right in everything.
fn inner(account: &Account, new: &Signer) -> (Value, Value) {
    let header = json!({
        "alg": new.algorithm(),
        "jwk": new.jwk(),
        "url": format!("{BASE}/key-change"),
    });
    let payload = json!({ "account": account.url, "oldKey": account.signer.jwk() });
    (header, payload)
}

fn change_key(
    bench: &mut Bench,
    account: &Account,
    new: &Signer,
    (header, payload): &(Value, Value),
) -> crate::bench::Answer {
    let jws = new.jws(header, payload.to_string().as_bytes());
    bench.post(account, &format!("{BASE}/key-change"), &jws)
}

#[test]
fn a_changed_key_takes_the_place_of_the_old_one() {
    let mut bench = Bench::new();
    let mut account = bench.account();
    let order = bench.order(&account, &["a.example"]);
    let new = Signer::p384();
    change_key(&mut bench, &account, &new, &inner(&account, &new)).expect(200);
    bench
        .post(&account, &order.url, &Value::Null)
        .problem(400, "badSignatureAlgorithm");
    account.signer = new;
    bench.post(&account, &order.url, &Value::Null).expect(200);
    bench.restart();
    bench.post(&account, &order.url, &Value::Null).expect(200);
    assert_eq!(bench.core.ledger(bench.time()).accounts.len(), 1);
}

#[test]
fn key_changes_are_refused_with_their_reason() {
    let mut bench = Bench::new();
    let account = bench.account();
    let new = Signer::p256();
    let good = inner(&account, &new);
    let change = |part: usize, field: &str, value: Value| {
        let mut parts = [good.0.clone(), good.1.clone()];
        parts[part][field] = value;
        let [header, payload] = parts;
        (header, payload)
    };
    let mut kid = change(0, "kid", account.url.clone().into());
    kid.0.as_object_mut().unwrap().remove("jwk");
    for changed in [
        change(0, "url", account.url.clone().into()),
        change(0, "nonce", "AAAA".into()),
        change(0, "jwk", account.signer.jwk()),
        change(1, "account", format!("{BASE}/account/x").into()),
        change(1, "oldKey", new.jwk()),
        kid,
    ] {
        change_key(&mut bench, &account, &new, &changed).problem(400, "malformed");
    }
    let holder = bench.account();
    let taken = inner(&account, &holder.signer);
    let answer = change_key(&mut bench, &account, &holder.signer, &taken);
    answer.problem(409, "malformed");
    assert_eq!(answer.header("location"), holder.url);
}
