//! Certificate profiles, and what the directory says of the CA.

use devca::{Behaviour, Profile};
use http::Method;
use serde_json::json;

use crate::bench::{Account, Bench, Order};

fn offered() -> (Bench, Account) {
    let mut bench = Bench::behaving(Behaviour::boulder());
    let account = bench.account();
    (bench, account)
}

fn wish(profile: &str) -> serde_json::Value {
    json!({ "profile": profile })
}

#[test]
fn the_directory_lists_the_profiles() {
    let (mut bench, _) = offered();
    let meta = bench.get(Method::GET, "/directory").json()["meta"].clone();
    let profiles: Vec<_> = meta["profiles"].as_object().unwrap().keys().collect();
    assert_eq!(profiles, ["classic", "shortlived", "tlsserver"]);
    let meta = Bench::new().get(Method::GET, "/directory").json()["meta"].clone();
    assert!(meta["profiles"].is_null());
}

#[test]
fn a_profile_is_echoed_and_decides_the_validity() {
    let (mut bench, account) = offered();
    for (profile, days) in [("tlsserver", 45), ("classic", 90)] {
        let names = [format!("{profile}.example")];
        let names = [names[0].as_str()];
        let answer = bench.try_order(&account, &names, &wish(profile));
        let answer = answer.expect(201);
        assert_eq!(answer.json()["profile"], profile);
        let order = Order::read(&answer);
        bench.prove(&account, &order);
        let key = rcgen::KeyPair::generate().unwrap();
        bench.finalized(&account, &order, &key, &names);
        let ledger = bench.core.ledger(bench.time());
        let entry = ledger.certificates.last().unwrap();
        assert_eq!(entry.not_after.as_unix() - bench.now, days * 86_400);
        assert_eq!(
            ledger.orders.last().unwrap().profile.as_deref(),
            Some(profile)
        );
    }
}

#[test]
fn without_one_the_configured_validity_holds_and_nothing_is_echoed() {
    let (mut bench, account) = offered();
    let answer = bench.try_order(&account, &["a.example"], &json!({}));
    assert!(answer.expect(201).json()["profile"].is_null());
}

#[test]
fn an_unknown_profile_and_too_many_names_are_refused() {
    let (mut bench, account) = offered();
    let answer = bench.try_order(&account, &["a.example"], &wish("ev"));
    answer.problem(400, "invalidProfile");
    let names: Vec<_> = (0..26).map(|i| format!("a{i}.example")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let answer = bench.try_order(&account, &names, &wish("tlsserver"));
    answer.problem(400, "malformed");
    let answer = bench.try_order(&account, &names, &wish("classic"));
    answer.expect(201);
}

#[test]
fn profiles_may_be_advertised_and_ignored() {
    let (mut bench, account) = offered();
    bench.adjust(|it| it.ignore_profiles = true);
    for profile in ["tlsserver", "no such"] {
        let answer = bench.try_order(&account, &["a.example"], &wish(profile));
        assert!(answer.expect(201).json()["profile"].is_null());
    }
}

#[test]
fn a_profile_bounds_orders_and_proofs() {
    let (mut bench, account) = offered();
    let quick = Profile {
        order_lifetime_seconds: Some(60),
        authorization_reuse_seconds: Some(30),
        ..Profile::default()
    };
    bench.adjust(|it| {
        it.profiles.insert("quick".into(), quick);
        it.forget_expired_orders = false;
    });
    let answer = bench.try_order(&account, &["a.example"], &wish("quick"));
    let order = Order::read(&answer.expect(201));
    bench.prove(&account, &order);
    assert_eq!(bench.status(&account, &order.url), "ready");
    bench.now += 30;
    assert_eq!(bench.status(&account, &order.url), "invalid");
    let answer = bench.try_order(&account, &["b.example"], &wish("quick"));
    let order = Order::read(&answer.expect(201));
    bench.now += 60;
    assert_eq!(bench.status(&account, &order.url), "invalid");
}

#[test]
fn the_directory_says_who_the_ca_is() {
    let mut bench = Bench::behaving(Behaviour {
        caa_identities: vec!["letsencrypt.org".into()],
        terms_of_service: Some("https://ca.example/agreement.pdf".into()),
        website: Some("https://ca.example".into()),
        ..Behaviour::default()
    });
    let meta = bench.get(Method::GET, "/directory").json()["meta"].clone();
    assert_eq!(meta["caaIdentities"], json!(["letsencrypt.org"]));
    assert_eq!(meta["termsOfService"], "https://ca.example/agreement.pdf");
    assert_eq!(meta["website"], "https://ca.example");
    assert_eq!(meta["externalAccountRequired"], false);
}
