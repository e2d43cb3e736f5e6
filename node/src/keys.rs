//! The node's own files, opened by its key provider, and the place where it finds others before
//! it is anybody.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use cluster::{Entropy, IdentityStore, KeySource, meeting::Meeting};
use state::Secret;

use crate::config::{Aws, Config, KeyProvider, KmsKey};

/// How long a start waits for KMS while that does not answer. It is longer than systemd counts
/// starts for, so a node is started again for as long as KMS is out.
#[cfg(feature = "aws")]
const KMS_PATIENCE: std::time::Duration = std::time::Duration::from_secs(300);

/// The node's own files.
pub(crate) async fn identity_store(
    config: &Config,
    entropy: Arc<dyn Entropy>,
) -> Result<IdentityStore> {
    let source = match &config.key {
        KeyProvider::File(path) => KeySource::File(path.clone()),
        KeyProvider::Environment(variable) => {
            let value = std::env::vars_os()
                .find(|(name, _)| name.to_str() == Some(variable))
                .map(|(_, value)| value);
            let value = value.with_context(|| {
                format!("the environment variable {variable} of key.environment is not set")
            })?;
            KeySource::Value(Secret::new(value.into_encoded_bytes()))
        }
        KeyProvider::PassphraseFile(path) => {
            let mut words = std::fs::read(path)
                .with_context(|| format!("{} cannot be read", path.display()))?;
            words.truncate(words.trim_ascii_end().len());
            KeySource::Passphrase(Secret::new(words))
        }
        KeyProvider::Kms(key) => opened_by_kms(config, key, &*entropy).await?,
    };
    Ok(IdentityStore::open(&config.data_dir, &source, entropy)?)
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

/// A founder is one once its first command is applied.
fn is_member(store: &IdentityStore) -> Result<bool> {
    Ok(store.load()?.is_some() && store.founding()?.is_none())
}

#[cfg(feature = "aws")]
async fn in_parameters(aws: &Aws, name: &str) -> Result<Box<dyn Meeting>> {
    let account = aws::Account::load(aws::environment(), aws.region.as_deref()).await?;
    Ok(Box::new(aws::Parameters::new(account, &aws.cluster, name)))
}

#[cfg(not(feature = "aws"))]
async fn in_parameters(_: &Aws, _: &str) -> Result<Box<dyn Meeting>> {
    anyhow::bail!("aws.parameters is set, {WITHOUT_AWS}, or let nodes in by --join")
}

/// What is wrong with a program that cannot do what is configured.
#[cfg(not(feature = "aws"))]
const WITHOUT_AWS: &str = "but this hostquorumd was built without the feature `aws`: build it with \
                           its default features, as the released packages are";

#[cfg(feature = "aws")]
async fn opened_by_kms(config: &Config, key: &KmsKey, entropy: &dyn Entropy) -> Result<KeySource> {
    let account = aws::Account::load(aws::environment(), key.aws.region.as_deref());
    let kms = aws::Kms::new(&account.await?, &key.key, &key.aws.cluster, &config.name);
    let opening = cluster::wrapped_key::open(&config.data_dir, &kms, entropy, KMS_PATIENCE);
    Ok(opening.await?)
}

#[cfg(not(feature = "aws"))]
async fn opened_by_kms(_: &Config, _: &KmsKey, _: &dyn Entropy) -> Result<KeySource> {
    anyhow::bail!("key.kms is set, {WITHOUT_AWS}, or use another key provider")
}
