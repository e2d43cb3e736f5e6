//! What RFC 8555 section 6 asks of every request.

use http::Method;
use serde_json::{Value, json};

use crate::bench::{Account, BASE, Bench};
use crate::signer::Signer;

const PAYLOAD: &[u8] = br#"{"identifiers":[{"type":"dns","value":"a.example"}]}"#;

/// A request for a new order, right in everything until a case changes it.
struct Draft {
    account: Account,
    header: Value,
    content_type: &'static str,
    url: String,
}

fn draft(bench: &mut Bench) -> Draft {
    let account = bench.account();
    let url = format!("{BASE}/order");
    let header = json!({
        "alg": account.signer.algorithm(),
        "kid": account.url,
        "nonce": bench.nonce(),
        "url": url,
    });
    Draft {
        account,
        header,
        content_type: "application/jose+json",
        url,
    }
}

/// Sends a draft after `change`, and expects this refusal.
#[track_caller]
fn refused(change: impl FnOnce(&mut Bench, &mut Draft), status: u16, kind: &str, part: &str) {
    let mut bench = Bench::new();
    let mut draft = draft(&mut bench);
    change(&mut bench, &mut draft);
    let body = draft.account.signer.jws(&draft.header, PAYLOAD).to_string();
    let answer = bench.post_raw(&draft.url, draft.content_type, body);
    let detail = answer.problem(status, kind);
    assert!(detail.contains(part), "{detail}");
    assert!(bench.core.ledger(bench.time()).orders.is_empty());
}

#[test]
fn the_draft_itself_is_accepted() {
    let mut bench = Bench::new();
    let draft = draft(&mut bench);
    let signer = &draft.account.signer;
    bench
        .post_jws(&draft.url, signer, &draft.header, PAYLOAD)
        .expect(201);
}

#[test]
fn the_content_type_must_be_jose_json() {
    let change = |_: &mut Bench, draft: &mut Draft| draft.content_type = "application/json";
    refused(change, 415, "malformed", "application/jose+json");
}

#[test]
fn nonces_must_be_fresh() {
    let bad = |nonce: Value| move |_: &mut Bench, draft: &mut Draft| draft.header["nonce"] = nonce;
    refused(
        bad(json!("AAAAAAAAAAAAAAAAAAAAAA")),
        400,
        "badNonce",
        "unknown",
    );
    refused(bad(json!("not base64url!")), 400, "badNonce", "unknown");
    refused(bad(Value::Null), 400, "badNonce", "no \"nonce\"");
}

#[test]
fn a_nonce_is_good_once_and_the_refusal_brings_another() {
    let mut bench = Bench::new();
    let mut draft = draft(&mut bench);
    let signer = &draft.account.signer;
    bench
        .post_jws(&draft.url, signer, &draft.header, PAYLOAD)
        .expect(201);
    let again = bench.post_jws(&draft.url, signer, &draft.header, PAYLOAD);
    again.problem(400, "badNonce");
    draft.header["nonce"] = again.header("replay-nonce").into();
    bench
        .post_jws(&draft.url, signer, &draft.header, PAYLOAD)
        .expect(201);
}

#[test]
fn the_url_must_be_the_one_sent_to() {
    let url = |url: &'static str| {
        move |_: &mut Bench, draft: &mut Draft| draft.header["url"] = url.into()
    };
    refused(
        url("https://ca.example:14000/account"),
        401,
        "unauthorized",
        "was sent to",
    );
    refused(
        url("https://other.example/order"),
        401,
        "unauthorized",
        "was sent to",
    );
    refused(url("/order"), 401, "unauthorized", "was sent to");
    let query = |_: &mut Bench, draft: &mut Draft| draft.url.push_str("?x=y");
    refused(query, 401, "unauthorized", "/order?x=y");
}

#[test]
fn exactly_one_of_key_and_account_must_sign() {
    let both = |_: &mut Bench, draft: &mut Draft| {
        draft.header["jwk"] = draft.account.signer.jwk();
    };
    refused(both, 400, "malformed", "both");
    let none = |_: &mut Bench, draft: &mut Draft| {
        draft.header.as_object_mut().unwrap().remove("kid");
    };
    refused(none, 400, "malformed", "neither");
    let key = |_: &mut Bench, draft: &mut Draft| {
        draft.header.as_object_mut().unwrap().remove("kid");
        draft.header["jwk"] = draft.account.signer.jwk();
    };
    refused(key, 400, "malformed", "not \"jwk\"");
}

#[test]
fn the_account_must_exist_here() {
    let kid = |kid: &'static str| {
        move |_: &mut Bench, draft: &mut Draft| draft.header["kid"] = kid.into()
    };
    refused(
        kid("https://ca.example:14000/account/0000000000000000"),
        400,
        "accountDoesNotExist",
        "no account",
    );
    refused(
        kid("https://other.example/account/1"),
        400,
        "malformed",
        "kid",
    );
    refused(kid("1"), 400, "malformed", "kid");
}

#[test]
fn the_signature_must_be_the_accounts() {
    let stranger = |_: &mut Bench, draft: &mut Draft| draft.account.signer = Signer::p256();
    refused(stranger, 400, "malformed", "does not verify");
}

#[test]
fn the_algorithm_must_be_known_and_that_of_the_key() {
    let alg = |alg: &'static str| {
        move |_: &mut Bench, draft: &mut Draft| draft.header["alg"] = alg.into()
    };
    refused(alg("none"), 400, "badSignatureAlgorithm", "none");
    refused(alg("HS256"), 400, "badSignatureAlgorithm", "HS256");
    refused(alg("RS256"), 400, "badSignatureAlgorithm", "Es256");
}

#[test]
fn the_body_must_be_a_flattened_jws() {
    let mut bench = Bench::new();
    let draft = draft(&mut bench);
    for body in ["", "{}", "x.y.z", r#"{"payload":"","signatures":[]}"#] {
        let answer = bench.post_raw(&draft.url, draft.content_type, body.into());
        answer.problem(400, "malformed");
    }
}

#[test]
fn accounts_may_have_keys_of_every_kind() {
    let mut bench = Bench::new();
    for signer in [
        Signer::p256(),
        Signer::p384(),
        Signer::rsa(),
        Signer::ed25519(),
    ] {
        let account = bench.account_of(signer);
        bench.order(&account, &["a.example"]);
    }
}

#[test]
fn unknown_resources_and_methods_are_told() {
    let mut bench = Bench::new();
    bench.get(Method::GET, "/nowhere").problem(404, "malformed");
    let answer = bench.get(Method::GET, "/order");
    answer.problem(405, "malformed");
    assert_eq!(answer.header("allow"), "POST");
    let answer = bench.post_raw(&format!("{BASE}/directory"), "text/plain", String::new());
    answer.problem(405, "malformed");
    assert_eq!(answer.header("allow"), "GET, HEAD");
}

#[test]
fn the_directory_leads_to_all_that_is_needed() {
    let mut bench = Bench::new();
    let directory = bench.get(Method::GET, "/directory").expect(200).json();
    for name in [
        "newNonce",
        "newAccount",
        "newOrder",
        "revokeCert",
        "keyChange",
    ] {
        assert!(
            directory[name].as_str().unwrap().starts_with(BASE),
            "{name}"
        );
    }
    assert_eq!(directory["meta"]["externalAccountRequired"], false);
    for name in ["termsOfService", "website"] {
        let url = directory["meta"][name].as_str().unwrap();
        let path = url.strip_prefix(BASE).unwrap();
        bench.get(Method::GET, path).expect(200);
    }
}

#[test]
fn nonces_come_by_head_and_get() {
    let mut bench = Bench::new();
    for (method, status) in [(Method::HEAD, 200), (Method::GET, 204)] {
        let answer = bench.get(method, "/nonce").expect(status);
        assert!(!answer.header("replay-nonce").is_empty());
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[test]
fn the_management_resources_show_root_and_ledger() {
    let mut bench = Bench::new();
    bench.account();
    let root = bench.get(Method::GET, "/management/root").expect(200);
    assert_eq!(root.text, bench.core.root_pem());
    let ledger = bench.get(Method::GET, "/management/ledger").expect(200);
    assert_eq!(ledger.json(), json!(bench.core.ledger(bench.time())));
}

#[test]
fn a_vouched_request_needs_an_account_that_is_there() {
    let mut bench = Bench::new();
    let payload = json!({ "identifiers": [{ "type": "dns", "value": "a.example" }] });
    let stranger = bench.vouched("nobody", "/order", &payload);
    stranger.problem(400, "accountDoesNotExist");
    let account = bench.account();
    let id = account.url.rsplit('/').next().unwrap();
    bench.vouched(id, "/order", &payload).expect(201);
    let gone = json!({ "status": "deactivated" });
    bench
        .post(&account, &account.url.clone(), &gone)
        .expect(200);
    let late = bench.vouched(id, "/order", &payload);
    late.problem(401, "unauthorized");
}
