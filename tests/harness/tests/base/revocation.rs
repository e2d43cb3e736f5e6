//! RFC 8555 section 7.6.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::client::{Account, b64};
use crate::world::World;

async fn issued(world: &mut World) -> (Account, Value) {
    let (account, order) = world.ready().await;
    let chain = world.issued(&account, &order).await;
    let leaf = CertificateDer::from_pem_slice(chain.text.as_bytes()).unwrap();
    (account, json!({ "certificate": b64(&leaf), "reason": 4 }))
}

pub(crate) async fn a_certificate_is_revoked_once(world: &mut World) {
    let (account, payload) = issued(world).await;
    let url = world.client.url("revokeCert");
    world
        .client
        .post(&account, &url, &payload)
        .await
        .expect(200);
    let again = world.client.post(&account, &url, &payload).await;
    again.problem(&[400], "alreadyRevoked");
}

pub(crate) async fn reasons_are_checked(world: &mut World) {
    let (account, mut payload) = issued(world).await;
    payload["reason"] = 7.into();
    let url = world.client.url("revokeCert");
    let answer = world.client.post(&account, &url, &payload).await;
    answer.problem(&[400], "badRevocationReason");
}

pub(crate) async fn strangers_do_not_revoke(world: &mut World) {
    let (_, payload) = issued(world).await;
    let stranger = world.client.account().await;
    let url = world.client.url("revokeCert");
    let answer = world.client.post(&stranger, &url, &payload).await;
    answer.problem(&[403], "unauthorized");
}
