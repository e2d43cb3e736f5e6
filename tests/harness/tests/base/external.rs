//! RFC 8555 section 7.3.4.

use serde_json::{Value, json};

use crate::client::{binding, key};
use crate::world::{KID, SECRET, World};

pub(crate) async fn an_account_needs_the_word_of_another(world: &mut World) {
    let client = &world.client;
    assert_eq!(client.directory["meta"]["externalAccountRequired"], true);
    let url = client.url("newAccount");
    let key = key();
    let payload = json!({ "termsOfServiceAgreed": true });
    let none = client.post_with_key(&key, &url, &payload).await;
    none.problem(&[401, 403], "externalAccountRequired");
    let other = crate::client::key();
    for wrong in [
        binding(&key, &url, KID, b"another key of thirty-two bytes."),
        binding(&key, &url, "kid-2", SECRET),
        binding(&key, &client.url("newOrder"), KID, SECRET),
        binding(&other, &url, KID, SECRET),
        Value::from("no binding"),
    ] {
        let mut payload = payload.clone();
        payload["externalAccountBinding"] = wrong;
        let refused = client.post_with_key(&key, &url, &payload).await;
        assert!((400..500).contains(&refused.status), "{refused:?}");
    }
    let mut payload = payload;
    payload["externalAccountBinding"] = binding(&key, &url, KID, SECRET);
    let made = client.post_with_key(&key, &url, &payload).await.expect(201);
    let found = json!({ "onlyReturnExisting": true });
    let found = client.post_with_key(&key, &url, &found).await.expect(200);
    assert_eq!(found.header("location"), made.header("location"));
}
