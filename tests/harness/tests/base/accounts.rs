//! RFC 8555 section 7.3.

use serde_json::{Value, json};

use crate::client::{Account, jwk, jws, key};
use crate::world::World;

pub(crate) async fn a_key_makes_one_account(world: &mut World) {
    let (client, key) = (&world.client, key());
    let url = client.url("newAccount");
    let payload = json!({ "termsOfServiceAgreed": true, "contact": ["mailto:ops@client.example"] });
    let first = client.post_with_key(&key, &url, &payload).await.expect(201);
    assert_eq!(first.json()["status"], "valid");
    let again = client.post_with_key(&key, &url, &payload).await.expect(200);
    assert_eq!(again.header("location"), first.header("location"));
}

/// The RFC says `userActionRequired`, and 403; Pebble has a type of its own for it.
pub(crate) async fn the_terms_must_be_agreed_to(world: &mut World) {
    let url = world.client.url("newAccount");
    let refused = world.client.post_with_key(&key(), &url, &json!({})).await;
    assert_eq!(refused.status, 403, "{refused:?}");
}

pub(crate) async fn an_account_is_found_by_its_key(world: &mut World) {
    let client = &world.client;
    let account = client.account().await;
    let url = client.url("newAccount");
    let payload = json!({ "onlyReturnExisting": true });
    let found = client.post_with_key(account.key(), &url, &payload).await;
    assert_eq!(found.expect(200).header("location"), account.url);
    let none = client.post_with_key(&key(), &url, &payload).await;
    none.problem(&[400], "accountDoesNotExist");
}

pub(crate) async fn contacts_are_changed_and_checked(world: &mut World) {
    let client = &world.client;
    let account = client.account().await;
    let change = |contact: &str| json!({ "contact": [contact] });
    let good = change("mailto:new@client.example");
    let shown = client.post(&account, &account.url, &good).await.expect(200);
    assert_eq!(shown.json()["contact"], good["contact"]);
    let phone = change("tel:+15555550100");
    let phone = client.post(&account, &account.url, &phone).await;
    phone.problem(&[400], "unsupportedContact");
}

pub(crate) async fn the_key_is_changed(world: &mut World) {
    let client = &world.client;
    let old = client.account().await;
    let new = key();
    let url = client.url("keyChange");
    let header = json!({ "alg": "ES256", "jwk": jwk(&new), "url": url });
    let inner = json!({ "account": old.url, "oldKey": jwk(old.key()) });
    let inner = jws(&new, &header, inner.to_string().as_bytes());
    client.post(&old, &url, &inner).await.expect(200);
    let changed = Account::with(new, &old.url);
    client
        .post(&changed, &old.url, &Value::Null)
        .await
        .expect(200);
    let refused = client.post(&old, &old.url, &Value::Null).await;
    refused.problem(&[400, 401, 403], "malformed");
    // The new key is taken now.
    let another = client.account().await;
    let header = json!({ "alg": "ES256", "jwk": jwk(changed.key()), "url": url });
    let inner = json!({ "account": another.url, "oldKey": jwk(another.key()) });
    let inner = jws(changed.key(), &header, inner.to_string().as_bytes());
    let taken = client.post(&another, &url, &inner).await;
    // The RFC says 409, with the account's URL; Pebble says 500.
    assert!(matches!(taken.status, 409 | 500), "{taken:?}");
    client
        .post(&another, &another.url, &Value::Null)
        .await
        .expect(200);
}

/// The RFC says 401; Pebble says 403.
pub(crate) async fn a_deactivated_account_is_refused(world: &mut World) {
    let client = &world.client;
    let account = client.account().await;
    let payload = json!({ "status": "deactivated" });
    let gone = client
        .post(&account, &account.url, &payload)
        .await
        .expect(200);
    assert_eq!(gone.json()["status"], "deactivated");
    let refused = client.order(&account, &["late.client.example"]).await;
    refused.problem(&[401, 403], "unauthorized");
    let url = client.url("newAccount");
    let payload = json!({ "termsOfServiceAgreed": true });
    let again = client.post_with_key(account.key(), &url, &payload).await;
    assert!(matches!(again.status, 401 | 403));
}

pub(crate) async fn the_orders_are_listed(world: &mut World) {
    let (account, order) = world.ordered().await;
    let shown = world.show(&account, &account.url).await;
    let list = shown["orders"].as_str().unwrap();
    let listed = world.show(&account, list).await;
    assert_eq!(listed["orders"], json!([order.url]));
}
