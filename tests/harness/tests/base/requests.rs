//! RFC 8555 section 6 and 7.1 to 7.2.

use http::Method;
use serde_json::json;

use crate::client::{jws, key};
use crate::world::World;

pub(crate) async fn the_directory_leads_to_all_that_is_needed(world: &mut World) {
    for resource in [
        "newNonce",
        "newAccount",
        "newOrder",
        "revokeCert",
        "keyChange",
    ] {
        assert!(
            world.client.url(resource).starts_with("https://"),
            "{resource}"
        );
    }
    let meta = &world.client.directory["meta"];
    assert!(meta["termsOfService"].is_string(), "{meta}");
    assert_ne!(meta["externalAccountRequired"], true);
}

pub(crate) async fn nonces_come_by_head_and_get(world: &mut World) {
    let url = world.client.url("newNonce");
    for (method, status) in [(Method::HEAD, 200), (Method::GET, 204)] {
        let answer = world.client.send(method, &url, None).await.unwrap();
        let answer = answer.expect(status);
        assert!(!answer.header("replay-nonce").is_empty());
        // The RFC says "no-store"; Pebble says "no-cache".
        let cached = answer.header("cache-control");
        assert!(cached.contains("no-store") || cached.contains("no-cache"));
    }
}

/// A request for a new order whose header says what `change` makes of it.
async fn drafted(
    world: &mut World,
    change: impl FnOnce(&mut serde_json::Value),
) -> crate::client::Answer {
    let account = world.client.account().await;
    let url = world.client.url("newOrder");
    let mut header = json!({
        "alg": "ES256",
        "kid": account.url,
        "nonce": world.client.nonce().await,
        "url": url,
    });
    change(&mut header);
    let name = world.name();
    let payload = json!({ "identifiers": [{ "type": "dns", "value": name }] });
    let body = jws(account.key(), &header, payload.to_string().as_bytes()).to_string();
    world
        .client
        .send(Method::POST, &url, Some(body))
        .await
        .unwrap()
}

pub(crate) async fn a_spent_nonce_is_refused_with_a_fresh_one(world: &mut World) {
    let answer = drafted(world, |header| {
        header["nonce"] = "AAAAAAAAAAAAAAAAAAAAAA".into();
    })
    .await;
    answer.problem(&[400], "badNonce");
    assert!(!answer.header("replay-nonce").is_empty());
}

/// The RFC says `unauthorized`; Pebble says `malformed`.
pub(crate) async fn a_request_for_another_url_is_refused(world: &mut World) {
    let elsewhere = world.client.url("newAccount");
    let answer = drafted(world, |header| header["url"] = elsewhere.into()).await;
    let kind = answer.kind();
    assert!((400..500).contains(&answer.status), "{answer:?}");
    assert!(
        ["unauthorized", "malformed", "badNonce"].contains(&kind.as_str()),
        "{kind}"
    );
}

/// Both say `malformed`, or (by chance, at Pebble) `badNonce`.
pub(crate) async fn a_signature_of_another_key_is_refused(world: &mut World) {
    let account = world.client.account().await;
    let forger = crate::client::Account::with(key(), &account.url);
    let answer = world
        .client
        .order(&forger, &["forged.client.example"])
        .await;
    answer.problem(&[400, 401, 403], "malformed");
}

pub(crate) async fn resources_are_read_by_post(world: &mut World) {
    let (account, order) = world.ordered().await;
    let urls = [
        order.url.clone(),
        order.authorizations()[0].clone(),
        account.url,
    ];
    for url in &urls {
        world.client.get(url).await.expect(405);
    }
}
