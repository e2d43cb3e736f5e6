//! External account binding (RFC 8555 section 7.3.4).

use aws_lc_rs::hmac;
use devca::{Behaviour, ExternalAccount, ExternalAccounts};
use http::Method;
use serde_json::{Value, json};

use crate::bench::{Answer, BASE, Bench};
use crate::signer::{Signer, b64};

const SECRET: &[u8] = b"thirty-two bytes of a shared key";

fn bench(single_use: bool) -> Bench {
    let key = |kid: &str| ExternalAccount {
        kid: kid.into(),
        hmac_key: b64(SECRET),
    };
    Bench::behaving(Behaviour {
        external_accounts: Some(ExternalAccounts {
            keys: vec![key("one"), key("two")],
            single_use,
        }),
        ..Behaviour::default()
    })
}

fn url() -> String {
    format!("{BASE}/account")
}

/// A binding of `signer`'s key by this external account.
fn binding(signer: &Signer, header: &Value, secret: &[u8]) -> Value {
    let protected = b64(header.to_string().as_bytes());
    let payload = b64(signer.jwk().to_string().as_bytes());
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let mac = hmac::sign(&key, format!("{protected}.{payload}").as_bytes());
    json!({ "protected": protected, "payload": payload, "signature": b64(mac.as_ref()) })
}

fn header(kid: &str) -> Value {
    json!({ "alg": "HS256", "kid": kid, "url": url() })
}

fn register(bench: &mut Bench, signer: &Signer, binding: &Value) -> Answer {
    let payload = json!({ "termsOfServiceAgreed": true, "externalAccountBinding": binding });
    bench.post_as_key(signer, &url(), &payload)
}

#[test]
fn an_account_needs_a_binding_that_is_right() {
    let mut bench = bench(false);
    let directory = bench.get(Method::GET, "/directory").json();
    assert_eq!(directory["meta"]["externalAccountRequired"], true);
    let signer = Signer::p256();
    let none = bench.post_as_key(&signer, &url(), &json!({ "termsOfServiceAgreed": true }));
    none.problem(403, "externalAccountRequired");
    let mut hs512 = header("one");
    hs512["alg"] = "HS512".into();
    let mut elsewhere = header("one");
    elsewhere["url"] = BASE.into();
    let mut replayable = header("one");
    replayable["nonce"] = "AAAA".into();
    for (header, secret, status, kind) in [
        (header("one"), &b"another"[..], 403, "unauthorized"),
        (header("three"), SECRET, 403, "unauthorized"),
        (hs512, SECRET, 400, "badSignatureAlgorithm"),
        (elsewhere, SECRET, 400, "malformed"),
        (replayable, SECRET, 400, "malformed"),
    ] {
        let binding = binding(&signer, &header, secret);
        register(&mut bench, &signer, &binding).problem(status, kind);
    }
    let others = binding(&Signer::p256(), &header("one"), SECRET);
    register(&mut bench, &signer, &others).problem(400, "malformed");
    let good = binding(&signer, &header("one"), SECRET);
    register(&mut bench, &signer, &good).expect(201);
    // An account that exists needs no binding to be found.
    let again = bench.post_as_key(&signer, &url(), &json!({}));
    again.expect(200);
}

#[test]
fn a_key_may_be_good_for_one_account_only() {
    let mut bench = bench(true);
    for (kid, status) in [("one", 201), ("one", 403), ("two", 201)] {
        let signer = Signer::p256();
        let binding = binding(&signer, &header(kid), SECRET);
        assert_eq!(register(&mut bench, &signer, &binding).status, status);
    }
    bench.restart();
    let signer = Signer::p256();
    let late = binding(&signer, &header("two"), SECRET);
    register(&mut bench, &signer, &late).problem(403, "unauthorized");
}

#[test]
fn keys_are_not_shown() {
    let bench = bench(false);
    let shown = format!("{:?}", bench.core.behaviour());
    assert!(
        shown.contains("one") && !shown.contains(&b64(SECRET)),
        "{shown}"
    );
}
