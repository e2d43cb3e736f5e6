//! The node's own files, opened by its key provider, and the place where it finds others before
//! it is anybody.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
#[cfg(feature = "aws")]
use cluster::WrapKey;
use cluster::{
    Entropy, IdentityStore, KeySource,
    join::{ThisMachine, Vouch},
    meeting::Meeting,
    wrapped_key,
};
use state::Secret;

use crate::config::{Aws, Config, KeyProvider, KmsKey};

/// How long a start waits for KMS while that does not answer. It is longer than systemd counts
/// starts for, so a node is started again for as long as KMS is out.
const KMS_PATIENCE: Duration = Duration::from_secs(300);

/// The node's own files. Those that the previous key provider still protects come under the
/// present one.
pub(crate) async fn identity_store(
    config: &Config,
    entropy: Arc<dyn Entropy>,
) -> Result<IdentityStore> {
    let source = match (&config.key, &config.previous_key) {
        (KeyProvider::Kms(key), previous) => {
            opened_by_kms(config, key, previous.as_ref(), &*entropy, KMS_PATIENCE).await?
        }
        (key, _) => local(key)?,
    };
    let data_dir = &config.data_dir;
    let Some(previous) = &config.previous_key else {
        return Ok(IdentityStore::open(data_dir, &source, entropy)?);
    };
    let store = IdentityStore::open_replacing(data_dir, &source, entropy.clone())?;
    if !store.opens()? {
        let before = match previous {
            KeyProvider::Kms(key) => {
                opened_by_kms(config, key, None, &*entropy, KMS_PATIENCE).await?
            }
            key => local(key)?,
        };
        store.rewrap(&before)?;
        tracing::info!(
            from = before.kind(),
            to = source.kind(),
            "this node's secrets are protected by another key now"
        );
    }
    if matches!(previous, KeyProvider::Kms(_)) && !matches!(config.key, KeyProvider::Kms(_)) {
        wrapped_key::forget(data_dir)?;
    }
    tracing::warn!("nothing needs [previous_key] any more: take it out of the configuration");
    Ok(store)
}

/// True if what configures the node's key opens what it has, which must be something: nothing is
/// made or changed then. KMS is asked once.
pub(crate) async fn opens(config: &Config, entropy: Arc<dyn Entropy>) -> Result<bool> {
    let source = match &config.key {
        KeyProvider::Kms(key) => {
            opened_by_kms(config, key, None, &*entropy, Duration::ZERO).await?
        }
        key => local(key)?,
    };
    Ok(IdentityStore::open(&config.data_dir, &source, entropy)?.opens()?)
}

/// Of this machine.
fn local(provider: &KeyProvider) -> Result<KeySource> {
    Ok(match provider {
        KeyProvider::File(path) => KeySource::File(path.clone()),
        KeyProvider::Environment(variable) => {
            let value = std::env::vars_os()
                .find(|(name, _)| name.to_str() == Some(variable))
                .map(|(_, value)| value);
            let value =
                value.with_context(|| format!("the environment variable {variable} is not set"))?;
            KeySource::Value(Secret::new(value.into_encoded_bytes()))
        }
        KeyProvider::PassphraseFile(path) => {
            let mut words = std::fs::read(path)
                .with_context(|| format!("{} cannot be read", path.display()))?;
            words.truncate(words.trim_ascii_end().len());
            KeySource::Passphrase(Secret::new(words))
        }
        KeyProvider::Kms(key) => anyhow::bail!("{} is no key of this machine", key.key),
    })
}

/// Where nodes of this cluster meet, if there is such a place and this node has yet to become
/// somebody.
pub(crate) async fn meeting(
    config: &Config,
    store: &IdentityStore,
) -> Result<Option<Box<dyn Meeting>>> {
    match &config.aws {
        Some(aws) if aws.parameters && !is_member(store)? => {
            in_parameters(aws, &config.name).await.map(Some)
        }
        _ => Ok(None),
    }
}

/// What AWS says of this machine, if the node is to enter by that.
pub(crate) async fn machine(
    config: &Config,
    store: &IdentityStore,
) -> Result<Option<Box<dyn ThisMachine>>> {
    match &config.aws {
        Some(aws) if aws.join && !is_member(store)? => this_machine(aws, config).await.map(Some),
        _ => Ok(None),
    }
}

/// What has AWS vouch for others' machines, if they are let in by that. A member serves without.
pub(crate) async fn vouch(config: &Config) -> Option<Arc<dyn Vouch>> {
    let aws = config.aws.as_ref().filter(|aws| aws.join)?;
    match by_aws(aws).await {
        Ok(vouch) => Some(vouch),
        Err(error) => {
            let reason = format!("{error:#}");
            tracing::warn!(reason, "no machine is let in by what AWS says of it");
            None
        }
    }
}

/// A founder is one once its first command is applied.
fn is_member(store: &IdentityStore) -> Result<bool> {
    Ok(store.load()?.is_some() && store.founding()?.is_none())
}

#[cfg(feature = "aws")]
async fn account(aws: &Aws) -> Result<aws::Account> {
    Ok(aws::Account::load(aws::environment(), aws.region.as_deref()).await?)
}

#[cfg(feature = "aws")]
async fn in_parameters(aws: &Aws, name: &str) -> Result<Box<dyn Meeting>> {
    let account = account(aws).await?;
    Ok(Box::new(aws::Parameters::new(account, &aws.cluster, name)))
}

#[cfg(feature = "aws")]
async fn this_machine(aws: &Aws, config: &Config) -> Result<Box<dyn ThisMachine>> {
    let account = account(aws).await?;
    let port = config.admin.listen.port();
    let machine = aws::Machine::new(account, &aws.cluster, &config.name, port);
    Ok(Box::new(machine))
}

#[cfg(feature = "aws")]
async fn by_aws(aws: &Aws) -> Result<Arc<dyn Vouch>> {
    Ok(Arc::new(aws::Machines::new(
        account(aws).await?,
        &aws.cluster,
    )))
}

#[cfg(not(feature = "aws"))]
async fn this_machine(_: &Aws, _: &Config) -> Result<Box<dyn ThisMachine>> {
    anyhow::bail!("aws.join is set, {WITHOUT_AWS}, or let nodes in by --join")
}

#[cfg(not(feature = "aws"))]
async fn by_aws(_: &Aws) -> Result<Arc<dyn Vouch>> {
    anyhow::bail!("aws.join is set, {WITHOUT_AWS}, or let nodes in by --join")
}

#[cfg(not(feature = "aws"))]
async fn in_parameters(_: &Aws, _: &str) -> Result<Box<dyn Meeting>> {
    anyhow::bail!("aws.parameters is set, {WITHOUT_AWS}, or let nodes in by --join")
}

/// What is wrong with a program that cannot do what is configured.
#[cfg(not(feature = "aws"))]
const WITHOUT_AWS: &str = "but this hostquorumd was built without the feature `aws`: build it with \
                           its default features, as the released packages are";

/// By `key`; what `previous` has wrapped comes under it.
#[cfg(feature = "aws")]
async fn opened_by_kms(
    config: &Config,
    key: &KmsKey,
    previous: Option<&KeyProvider>,
    entropy: &dyn Entropy,
    patience: Duration,
) -> Result<KeySource> {
    let (data, service) = (&config.data_dir, kms(config, key).await?);
    Ok(match previous {
        None => wrapped_key::open(data, &service, entropy, patience).await?,
        Some(KeyProvider::Kms(key)) => {
            let before = kms(config, key).await?;
            let before: Option<&dyn WrapKey> = Some(&before);
            wrapped_key::open_replacing(data, &service, before, entropy, patience).await?
        }
        Some(_) => wrapped_key::open_replacing(data, &service, None, entropy, patience).await?,
    })
}

#[cfg(feature = "aws")]
async fn kms(config: &Config, key: &KmsKey) -> Result<aws::Kms> {
    let account = aws::Account::load(aws::environment(), key.aws.region.as_deref());
    let account = account.await?;
    Ok(aws::Kms::new(
        &account,
        &key.key,
        &key.aws.cluster,
        &config.name,
    ))
}

#[cfg(not(feature = "aws"))]
async fn opened_by_kms(
    _: &Config,
    _: &KmsKey,
    _: Option<&KeyProvider>,
    _: &dyn Entropy,
    _: Duration,
) -> Result<KeySource> {
    anyhow::bail!("a key of KMS is configured, {WITHOUT_AWS}, or use another key provider")
}
