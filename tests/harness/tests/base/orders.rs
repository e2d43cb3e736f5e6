//! RFC 8555 sections 7.4, 7.5 and 8.3.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::world::World;

pub(crate) async fn a_new_order_is_pending_with_its_authorizations(world: &mut World) {
    let (account, order) = world.ordered().await;
    assert_eq!(order.body["status"], "pending");
    assert!(order.body["expires"].is_string());
    let identifier = json!({ "type": "dns", "value": order.names[0] });
    assert_eq!(order.body["identifiers"], json!([identifier]));
    assert_eq!(order.authorizations().len(), 1);
    let shown = world.show(&account, &order.url).await;
    assert_eq!(shown["status"], "pending");
    assert_eq!(shown["finalize"], order.body["finalize"]);
}

pub(crate) async fn identifiers_that_are_none_are_refused(world: &mut World) {
    let account = world.client.account().await;
    for name in ["", "a_b.client.example", "192.0.2.1"] {
        let answer = world.client.order(&account, &[name]).await;
        assert_eq!(answer.status, 400, "{name}: {answer:?}");
        assert!(
            ["malformed", "rejectedIdentifier"].contains(&answer.kind().as_str()),
            "{name}: {answer:?}"
        );
    }
    let url = world.client.url("newOrder");
    let none = json!({ "identifiers": [] });
    let none = world.client.post(&account, &url, &none).await;
    none.problem(&[400], "malformed");
    let odd = json!({ "identifiers": [{ "type": "mail", "value": "a@client.example" }] });
    let odd = world.client.post(&account, &url, &odd).await;
    assert_eq!(odd.status, 400, "{odd:?}");
}

pub(crate) async fn a_pending_order_is_not_finalized(world: &mut World) {
    let (account, order) = world.ordered().await;
    let early = world.finalize(&account, &order, &order.names).await;
    early.problem(&[403], "orderNotReady");
}

pub(crate) async fn an_order_becomes_a_certificate_once(world: &mut World) {
    let (account, order) = world.ready().await;
    let chain = world.issued(&account, &order).await;
    let kind = chain.header("content-type");
    assert!(
        kind.starts_with("application/pem-certificate-chain"),
        "{kind}"
    );
    assert_eq!(names(&chain.text), order.names);
    let again = world.finalize(&account, &order, &order.names).await;
    again.problem(&[403], "orderNotReady");
    let shown = world.show(&account, &order.url).await;
    assert_eq!(shown["status"], "valid");
}

/// The names of the first certificate of a chain, which must be followed by another.
pub(crate) fn names(chain: &str) -> Vec<String> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes())
        .map(Result::unwrap)
        .collect();
    assert!(chain.len() >= 2, "{} certificates", chain.len());
    let (_, leaf) = x509_parser::parse_x509_certificate(&chain[0]).unwrap();
    let names = leaf.subject_alternative_name().unwrap().unwrap();
    let names = names.value.general_names.iter();
    let mut names: Vec<_> = names
        .map(|name| match name {
            x509_parser::extensions::GeneralName::DNSName(name) => (*name).to_owned(),
            other => panic!("{other}"),
        })
        .collect();
    names.sort();
    names
}

pub(crate) async fn a_request_for_other_names_is_refused(world: &mut World) {
    let (account, order) = world.ready().await;
    let more = [order.names[0].clone(), "more.client.example".to_owned()];
    let answer = world.finalize(&account, &order, &more).await;
    assert!((400..500).contains(&answer.status), "{answer:?}");
    // What becomes of the order then is left open: Pebble gives it up.
    let shown = world.show(&account, &order.url).await;
    assert!(["ready", "invalid"].contains(&shown["status"].as_str().unwrap()));
    assert!(shown["certificate"].is_null());
}

pub(crate) async fn several_names_are_on_one_certificate(world: &mut World) {
    let account = world.client.account().await;
    let mut named = [world.name(), world.name(), world.name()];
    named.sort();
    let order = world
        .order(&account, &named.each_ref().map(String::as_str))
        .await;
    assert_eq!(order.authorizations().len(), 3);
    world.prove(&account, &order).await;
    let chain = world.issued(&account, &order).await;
    assert_eq!(names(&chain.text), named);
}

pub(crate) async fn an_authorization_shows_its_challenges(world: &mut World) {
    let (account, order) = world.ordered().await;
    let shown = world.show(&account, &order.authorizations()[0]).await;
    assert_eq!(shown["status"], "pending");
    assert_eq!(shown["identifier"], order.body["identifiers"][0]);
    assert_ne!(shown["wildcard"], true);
    for kind in ["http-01", "tls-alpn-01", "dns-01"] {
        let challenge = world
            .challenge(&account, &order.authorizations()[0], kind)
            .await;
        assert_eq!(challenge["status"], "pending");
        assert!(challenge["token"].as_str().unwrap().len() >= 22, "128 bits");
        let url = challenge["url"].as_str().unwrap();
        assert_eq!(world.show(&account, url).await["type"], kind);
    }
}

pub(crate) async fn a_wrong_answer_ends_the_order(world: &mut World) {
    let (account, order) = world.ordered().await;
    let url = &order.authorizations()[0];
    let challenge = world.challenge(&account, url, "http-01").await;
    let token = challenge["token"].as_str().unwrap();
    world.site.answer(token, "not the key authorization");
    let begin = challenge["url"].as_str().unwrap();
    world
        .client
        .post(&account, begin, &json!({}))
        .await
        .expect(200);
    world.becomes(&account, url, "invalid").await;
    let shown = world.show(&account, begin).await;
    let kind = shown["error"]["type"].as_str().unwrap();
    assert_eq!(kind, "urn:ietf:params:acme:error:unauthorized");
    world.becomes(&account, &order.url, "invalid").await;
    let late = world.finalize(&account, &order, &order.names).await;
    late.problem(&[403], "orderNotReady");
}

pub(crate) async fn a_challenge_that_is_done_is_not_begun_again(world: &mut World) {
    let (account, order) = world.ready().await;
    let challenge = world
        .challenge(&account, &order.authorizations()[0], "http-01")
        .await;
    assert_eq!(challenge["status"], "valid");
    assert!(challenge["validated"].is_string(), "{challenge}");
    let url = challenge["url"].as_str().unwrap();
    let again = world.client.post(&account, url, &json!({})).await;
    again.problem(&[400], "malformed");
}

pub(crate) async fn an_authorization_can_be_given_up(world: &mut World) {
    let (account, order) = world.ordered().await;
    let url = &order.authorizations()[0];
    let payload = json!({ "status": "deactivated" });
    let gone = world.client.post(&account, url, &payload).await.expect(200);
    assert_eq!(gone.json()["status"], "deactivated");
    // What the order is then is left open: Pebble calls it "deactivated".
    let late = world.finalize(&account, &order, &order.names).await;
    late.problem(&[403], "orderNotReady");
}

pub(crate) async fn strangers_are_refused(world: &mut World) {
    let (_, order) = world.ordered().await;
    let stranger = world.client.account().await;
    for url in [&order.url, &order.authorizations()[0]] {
        let answer = world.client.post(&stranger, url, &Value::Null).await;
        answer.problem(&[403], "unauthorized");
    }
    let finalized = world.finalize(&stranger, &order, &order.names).await;
    assert!((400..500).contains(&finalized.status), "{finalized:?}");
}
