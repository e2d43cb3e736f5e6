//! A node's key under KMS.

use std::{path::Path, time::Duration};

use aws::{Account, Kms};
use aws_sdk_kms::{Client, config::Region};
use cluster::{
    KeySource, SystemEntropy, WrapKey as _,
    wrapped_key::{self, WrapKeyError, WrappedKeyError},
};
use tokio::{net::TcpListener, time::Instant};

use crate::{account_at, kit};

async fn account() -> Account {
    account_at(moto::url()).await
}

/// Whoever administers keys.
fn administrator(account: &Account) -> Client {
    Client::new(account.config())
}

async fn make_key(client: &Client) -> String {
    let made = client.create_key().send().await.unwrap();
    made.key_metadata.unwrap().arn.unwrap()
}

async fn open(data: &Path, kms: &Kms) -> Result<KeySource, WrappedKeyError> {
    wrapped_key::open(data, kms, &SystemEntropy, Duration::ZERO).await
}

/// All that an error says, with its causes.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[tokio::test]
async fn a_key_is_made_once_and_opens_at_each_start() {
    let account = account().await;
    let key = make_key(&administrator(&account)).await;
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let kms = Kms::new(&account, &key, "edge", "a");
    let first = open(&data, &kms).await.unwrap();
    let again = open(&data, &Kms::new(&account, &key, "edge", "a")).await;
    assert_eq!(again.unwrap(), first);
    let written = std::fs::read_to_string(data.join("wrapped-key.json")).unwrap();
    assert!(written.contains(&key), "{written}");
    let other = root.path().join("other");
    assert_ne!(open(&other, &kms).await.unwrap(), first);
}

#[tokio::test]
async fn a_key_opens_for_its_own_cluster_and_node_only() {
    let account = account().await;
    let key = make_key(&administrator(&account)).await;
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    open(&data, &Kms::new(&account, &key, "edge", "a"))
        .await
        .unwrap();
    for (cluster, node) in [("edge", "b"), ("other", "a")] {
        let stranger = Kms::new(&account, &key, cluster, node);
        let error = told(&open(&data, &stranger).await.unwrap_err());
        for part in [
            "InvalidCiphertextException",
            "for another cluster or node",
            &format!("hostquorum:cluster={cluster}, hostquorum:node={node}"),
            &key,
        ] {
            assert!(error.contains(part), "{part} is not in: {error}");
        }
    }
}

#[tokio::test]
async fn aliases_and_keys_of_other_regions_are_found() {
    let account = account().await;
    let client = administrator(&account);
    let (alias, key) = ("alias/aliases-are-found", make_key(&client).await);
    let named = client.create_alias().alias_name(alias).target_key_id(&key);
    named.send().await.unwrap();
    let far = kit(moto::url()).region(Region::new("us-west-2"));
    let far = Account::load(far, None).await.unwrap();
    let far = make_key(&administrator(&far)).await;
    assert!(far.contains("us-west-2"), "{far}");
    for key in [alias, &far] {
        let kms = Kms::new(&account, key, "edge", "a");
        let wrapped = kms.wrap(&[7; 32]).await.unwrap();
        assert_eq!(*kms.open(&wrapped.ciphertext).await.unwrap(), [7; 32]);
    }
}

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    let key = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000";
    let kms = Kms::new(&account().await, key, "edge", "a");
    let error = kms.wrap(&[7; 32]).await.unwrap_err();
    assert!(matches!(error, WrapKeyError::Refused(_)), "{error}");
    let error = error.to_string();
    for part in ["kms:Encrypt", key, "NotFoundException", "key.kms names"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_silent_or_gone_is_given_up_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone_at = gone.local_addr().unwrap();
    drop(gone);
    for address in [silent.local_addr().unwrap(), gone_at] {
        let account = account_at(&format!("http://{address}")).await;
        let begun = Instant::now();
        let error = Kms::new(&account, "alias/edge", "edge", "a")
            .open(&[1; 200])
            .await
            .unwrap_err();
        let waited = begun.elapsed();
        assert!(matches!(error, WrapKeyError::Unavailable { .. }), "{error}");
        assert!(error.to_string().contains("alias/edge"), "{error}");
        assert!(waited <= Duration::from_secs(21), "{waited:?}");
    }
}

#[tokio::test]
async fn without_a_region_nothing_is_asked() {
    let nowhere = aws_config::ConfigLoader::default()
        .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
        .region(aws_config::meta::region::RegionProviderChain::first_try(
            None::<Region>,
        ));
    let error = Account::load(nowhere, None).await.unwrap_err();
    assert!(error.to_string().contains("aws.region"), "{error}");
}
