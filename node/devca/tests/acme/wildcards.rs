//! Wildcards and dns-01, without a DNS server.

use devca::{Behaviour, ChallengeKind};
use serde_json::{Value, json};

use crate::bench::{Account, Bench, Order};

fn bench() -> (Bench, Account) {
    let mut bench = Bench::behaving(Behaviour {
        dns_01: true,
        ..Behaviour::default()
    });
    let account = bench.account();
    (bench, account)
}

/// The kinds of challenges of an authorization, as its URL shows it.
fn shown(bench: &mut Bench, account: &Account, url: &str) -> (Value, Vec<String>) {
    let body = bench.post(account, url, &Value::Null).expect(200).json();
    let challenges = body["challenges"].as_array().unwrap().iter();
    let kinds = challenges.map(|it| it["type"].as_str().unwrap().to_owned());
    (body.clone(), kinds.collect())
}

#[test]
fn a_wildcard_with_its_base_has_two_authorizations_of_one_name() {
    let (mut bench, account) = bench();
    let names = ["client.example", "*.client.example"];
    let order = bench.order(&account, &names);
    let [wildcard, base] = order.authorizations.as_slice() else {
        panic!("{:?}", order.authorizations);
    };
    let (body, kinds) = shown(&mut bench, &account, wildcard);
    assert_eq!(body["wildcard"], true);
    assert_eq!(body["identifier"]["value"], "client.example");
    assert_eq!(kinds, ["dns-01"]);
    let (body, kinds) = shown(&mut bench, &account, base);
    assert_eq!(body["wildcard"], Value::Null);
    assert_eq!(body["identifier"]["value"], "client.example");
    assert_eq!(kinds, ["http-01", "tls-alpn-01", "dns-01"]);
    let by_http = format!("{wildcard}/http-01");
    bench
        .post(&account, &by_http, &json!({}))
        .problem(404, "malformed");
    prove_by_dns(&mut bench, &account, &order);
    let key = rcgen::KeyPair::generate().unwrap();
    let der = bench.finalized(&account, &order, &key, &names);
    let (_, leaf) = x509_parser::parse_x509_certificate(&der).unwrap();
    let found = leaf.subject_alternative_name().unwrap().unwrap();
    assert_eq!(found.value.general_names.len(), 2);
}

fn prove_by_dns(bench: &mut Bench, account: &Account, order: &Order) {
    for url in &order.authorizations {
        let url = format!("{url}/dns-01");
        bench.post(account, &url, &json!({})).expect(200);
        let validation = bench.due_validation().unwrap();
        assert_eq!(validation.kind, ChallengeKind::Dns01);
        assert_eq!(validation.hostname, "client.example");
        bench.conclude(&validation, Ok(()));
    }
    assert_eq!(bench.status(account, &order.url), "ready");
}

#[test]
fn a_name_that_the_wildcard_covers_is_malformed_beside_it() {
    let (mut bench, account) = bench();
    let names = ["www.client.example", "*.client.example"];
    let answer = bench.try_order(&account, &names, &json!({}));
    let detail = answer.problem(400, "malformed");
    assert!(detail.contains("redundant with a wildcard"), "{detail}");
}

#[test]
fn a_proof_of_the_base_is_none_of_the_wildcard() {
    let (mut bench, account) = bench();
    bench.adjust(|it| it.authorization_reuse_seconds = Some(8_000));
    bench.issued(&account, &["client.example"]);
    let order = bench.order(&account, &["client.example", "*.client.example"]);
    assert_eq!(bench.status(&account, &order.authorizations[0]), "pending");
    assert_eq!(bench.status(&account, &order.authorizations[1]), "valid");
}

#[test]
fn dns_01_is_not_there_unless_it_is_switched_on() {
    let mut bench = Bench::new();
    let account = bench.account();
    let order = bench.order(&account, &["client.example"]);
    let url = format!("{}/dns-01", order.authorizations[0]);
    bench
        .post(&account, &url, &json!({}))
        .problem(404, "malformed");
}
