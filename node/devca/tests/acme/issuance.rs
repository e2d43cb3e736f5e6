//! The whole road, with instant-acme over loopback.

use std::sync::Arc;
use std::time::Duration;

use devca::{Behaviour, FinalizeRule, Limits, Server};
use instant_acme::{
    ChallengeType, Error, Identifier, NewOrder, OrderStatus, RetryPolicy, RevocationRequest,
};
use rcgen::KeyPair;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::bench::csr_der;
use crate::client::{
    account, answer, ca_for, config, new_order, ready_order, system_precise_clock,
};
use crate::site::Site;

/// Checks a chain as a browser does.
fn verify(chain: &str, root: &str, name: &str) -> CertificateDer<'static> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes())
        .map(Result::unwrap)
        .collect();
    let root = CertificateDer::from_pem_slice(root.as_bytes()).unwrap();
    let anchor = anchor_from_trusted_cert(&root).unwrap();
    let leaf = EndEntityCert::try_from(&chain[0]).unwrap();
    let algorithms = rustls::crypto::aws_lc_rs::default_provider()
        .signature_verification_algorithms
        .all;
    let now = UnixTime::since_unix_epoch(Duration::from_secs((crate::client::system_clock())()));
    leaf.verify_for_usage(
        algorithms,
        &[anchor],
        &chain[1..],
        now,
        KeyUsage::server_auth(),
        None,
        None,
    )
    .unwrap();
    let name = ServerName::try_from(name).unwrap();
    leaf.verify_is_valid_for_subject_name(&name).unwrap();
    chain[0].clone()
}

#[tokio::test]
async fn a_real_client_obtains_and_revokes_a_certificate_by_http() {
    let site = Site::start().await;
    let ca = ca_for(&site).await;
    let account = account(&ca).await;
    let names = ["shop.client.example", "www.client.example"];
    let mut order = ready_order(&account, &names, &site).await;
    let key = KeyPair::generate().unwrap();
    order.finalize_csr(&csr_der(&key, &names)).await.unwrap();
    let chain = order.certificate().await.unwrap().unwrap();
    let leaf = verify(&chain, ca.root_pem(), "www.client.example");
    let (_, parsed) = x509_parser::parse_x509_certificate(&leaf).unwrap();
    let certified = rcgen::PublicKeyData::subject_public_key_info(&key);
    assert_eq!(parsed.public_key().raw, certified);
    let revocation = RevocationRequest {
        certificate: &leaf,
        reason: None,
    };
    account.revoke(&revocation).await.unwrap();
    let ledger = ca.ledger();
    assert_eq!(ledger.certificates.len(), 1);
    assert!(ledger.certificates[0].revoked.is_some());
    let serial = data_encoding::HEXLOWER.encode(parsed.raw_serial());
    assert_eq!(ledger.certificates[0].serial, serial);
    ca.shutdown().await;
}

#[tokio::test]
async fn a_real_client_obtains_a_certificate_by_tls() {
    for version in rustls::ALL_VERSIONS {
        obtain_by_tls(&Site::start_speaking(&[*version]).await).await;
    }
}

async fn obtain_by_tls(site: &Site) {
    let ca = ca_for(site).await;
    let account = account(&ca).await;
    let names = ["shop.client.example"];
    let mut order = new_order(&account, &names).await;
    answer(&mut order, ChallengeType::TlsAlpn01, site).await;
    let status = order.poll_ready(&RetryPolicy::default()).await.unwrap();
    assert_eq!(status, OrderStatus::Ready);
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    order.finalize_csr(&csr_der(&key, &names)).await.unwrap();
    let chain = order.certificate().await.unwrap().unwrap();
    verify(&chain, ca.root_pem(), names[0]);
    ca.shutdown().await;
}

#[tokio::test]
async fn a_slow_ca_is_polled_until_it_is_done() {
    let site = Site::start().await;
    let mut config = config(site.probing());
    config.issue_delay = Duration::from_secs(1);
    let ca = Server::start(config).await.unwrap();
    let account = account(&ca).await;
    let names = ["shop.client.example"];
    let mut order = ready_order(&account, &names, &site).await;
    let key = KeyPair::generate().unwrap();
    order.finalize_csr(&csr_der(&key, &names)).await.unwrap();
    assert_eq!(order.state().status, OrderStatus::Processing);
    let chain = order.poll_certificate(&RetryPolicy::default()).await;
    verify(&chain.unwrap(), ca.root_pem(), names[0]);
    ca.shutdown().await;
}

#[tokio::test]
async fn the_account_key_can_be_changed_and_the_account_given_up() {
    let site = Site::start().await;
    let ca = ca_for(&site).await;
    let mut account = account(&ca).await;
    let _credentials = account.update_key().await.unwrap();
    account
        .update_contacts(&["mailto:new@client.example"])
        .await
        .unwrap();
    new_order(&account, &["shop.client.example"]).await;
    account.deactivate().await.unwrap();
    assert_eq!(ca.ledger().accounts.len(), 1);
    ca.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_simultaneous_finalizes_make_one_certificate() {
    let site = Site::start().await;
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(site.probing());
    config.directory = Some(directory.path().into());
    let ca = Server::start(config).await.unwrap();
    let account = account(&ca).await;
    let names = ["shop.client.example"];
    let order = ready_order(&account, &names, &site).await;
    let url = order.url().to_owned();
    let gate = Arc::new(tokio::sync::Barrier::new(50));
    let attempts: Vec<_> = (0..50)
        .map(|_| {
            let (account, url, gate) = (account.clone(), url.clone(), Arc::clone(&gate));
            tokio::spawn(async move {
                let mut order = account.order(url).await.unwrap();
                let csr = csr_der(&KeyPair::generate().unwrap(), &names);
                gate.wait().await;
                order.finalize_csr(&csr).await
            })
        })
        .collect();
    let mut accepted = 0;
    for attempt in attempts {
        match attempt.await.unwrap() {
            Ok(()) => accepted += 1,
            Err(Error::Api(problem)) => {
                let kind = problem.r#type.unwrap();
                assert_eq!(kind, "urn:ietf:params:acme:error:orderNotReady");
            }
            Err(error) => panic!("{error}"),
        }
    }
    let ledger = ca.ledger();
    assert_eq!(accepted, 1);
    assert_eq!(ledger.certificates_for(&names).count(), 1);
    assert_eq!(ledger.finalizations.len(), 50);
    ca.shutdown().await;
}

#[tokio::test]
async fn simultaneous_finalizes_make_several_certificates_on_command() {
    let site = Site::start().await;
    let mut config = config(site.probing());
    config.behaviour.finalize = FinalizeRule::Race {
        window_millis: 60_000,
    };
    config.precise_clock = Some(system_precise_clock());
    let ca = Server::start(config).await.unwrap();
    let account = account(&ca).await;
    let names = ["shop.client.example"];
    let order = ready_order(&account, &names, &site).await;
    let finalized = (0..2).map(async |_| {
        let mut order = account.order(order.url().to_owned()).await.unwrap();
        let csr = csr_der(&KeyPair::generate().unwrap(), &names);
        order.finalize_csr(&csr).await.unwrap();
    });
    futures_util::future::join_all(finalized).await;
    let duplicates = ca.ledger().duplicates(Duration::from_secs(60));
    assert_eq!(duplicates[0].serials.len(), 2);
}

#[tokio::test]
async fn a_real_client_finds_its_way_at_a_ca_like_boulder() {
    let site = Site::start().await;
    let mut config = config(site.probing());
    config.behaviour = Behaviour::boulder();
    config.behaviour.limits = Limits::production();
    config.precise_clock = Some(system_precise_clock());
    let ca = Server::start(config).await.unwrap();
    let account = account(&ca).await;
    let name = "shop.client.example";
    let identifiers = [Identifier::Dns(name.to_owned())];
    let wish = NewOrder::new(&identifiers).profile("tlsserver");
    let mut order = account.new_order(&wish).await.unwrap();
    assert_eq!(order.state().profile.as_deref(), Some("tlsserver"));
    let again = account.new_order(&wish).await.unwrap();
    assert_eq!(again.url(), order.url());
    answer(&mut order, ChallengeType::Http01, &site).await;
    order.poll_ready(&RetryPolicy::default()).await.unwrap();
    order.finalize().await.unwrap();
    let chain = order.poll_certificate(&RetryPolicy::default()).await;
    verify(&chain.unwrap(), ca.root_pem(), name);
    let ledger = ca.ledger();
    let entry = &ledger.certificates[0];
    let days = entry.not_after.since(entry.issued).as_secs() / 86_400;
    assert_eq!(days, 45);
    assert_eq!((ledger.orders.len(), ledger.overlaps().len()), (1, 0));
    // The proof is used again: the next order is born ready.
    let next = account.new_order(&wish).await.unwrap();
    assert_ne!(next.url(), order.url());
}
