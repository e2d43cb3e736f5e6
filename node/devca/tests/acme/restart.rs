//! What the CA remembers.

use devca::{Config, Error, Running, Server, StoreError};
use instant_acme::RetryPolicy;
use rcgen::KeyPair;

use crate::bench::csr_der;
use crate::client::{account, config, new_order, ready_order};
use crate::site::Site;

/// Stops a CA and starts one on the same directory and port.
async fn restarted(ca: Running, mut config: Config) -> Running {
    config.listen = ca.local_addr();
    ca.shutdown().await;
    Server::start(config).await.unwrap()
}

#[tokio::test]
async fn root_accounts_orders_and_certificates_survive_a_restart() {
    let site = Site::start().await;
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(site.probing());
    config.directory = Some(directory.path().into());
    let first = Server::start(config.clone()).await.unwrap();
    let root = first.root_pem().to_owned();
    let account = account(&first).await;
    let names = ["shop.client.example"];
    let mut issued = ready_order(&account, &names, &site).await;
    let key = KeyPair::generate().unwrap();
    issued.finalize_csr(&csr_der(&key, &names)).await.unwrap();
    let chain = issued.certificate().await.unwrap().unwrap();
    let ready = ready_order(&account, &["ready.client.example"], &site).await;
    let pending = new_order(&account, &["late.client.example"]).await;
    let before = first.ledger();

    let second = restarted(first, config.clone()).await;
    assert_eq!(second.root_pem(), root);
    assert_eq!(second.ledger(), before);
    let again = account.order(issued.url().to_owned()).await;
    let again = again.unwrap().certificate().await.unwrap();
    assert_eq!(again.unwrap(), chain);
    let mut ready = account.order(ready.url().to_owned()).await.unwrap();
    let csr = csr_der(&key, &["ready.client.example"]);
    ready.finalize_csr(&csr).await.unwrap();
    let mut pending = account.order(pending.url().to_owned()).await.unwrap();
    crate::client::answer(&mut pending, instant_acme::ChallengeType::Http01, &site).await;
    pending.poll_ready(&RetryPolicy::default()).await.unwrap();

    let third = restarted(second, config).await;
    let ledger = third.ledger();
    assert_eq!(ledger.certificates.len(), 2);
    assert_eq!(ledger.accounts.len(), 1);
    third.shutdown().await;
}

#[tokio::test]
async fn two_cas_do_not_share_a_directory() {
    let site = Site::start().await;
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(site.probing());
    config.directory = Some(directory.path().into());
    let first = Server::start(config.clone()).await.unwrap();
    let second = Server::start(config.clone()).await;
    assert!(matches!(second, Err(Error::Store(StoreError::InUse(_)))));
    first.shutdown().await;
    Server::start(config).await.unwrap().shutdown().await;
}

#[tokio::test]
async fn each_ca_in_memory_is_another() {
    let site = Site::start().await;
    let one = Server::start(config(site.probing())).await.unwrap();
    let two = Server::start(config(site.probing())).await.unwrap();
    assert_ne!(one.root_pem(), two.root_pem());
    assert_ne!(one.local_addr(), two.local_addr());
    one.shutdown().await;
    two.shutdown().await;
}

#[tokio::test]
async fn an_address_in_use_is_told() {
    let site = Site::start().await;
    let first = Server::start(config(site.probing())).await.unwrap();
    let mut second = config(site.probing());
    second.listen = first.local_addr();
    let refused = Server::start(second).await;
    assert!(matches!(refused, Err(Error::Listen { .. })));
    first.shutdown().await;
}
