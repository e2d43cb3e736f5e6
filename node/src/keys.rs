//! The node's own files, opened by its key provider.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use cluster::{Entropy, IdentityStore, KeySource};
use state::Secret;
use tokio::sync::watch;

use crate::{
    config::{Config, KeyProvider, KmsKey},
    health::Readiness,
};

/// How long a start waits for KMS while that does not answer. It is longer than systemd counts
/// starts for, so a node is started again for as long as KMS is out.
#[cfg(feature = "aws")]
const KMS_PATIENCE: std::time::Duration = std::time::Duration::from_secs(300);

/// The node's own files. `readiness` is told what is waited for.
pub(crate) async fn identity_store(
    config: &Config,
    entropy: Arc<dyn Entropy>,
    readiness: &watch::Sender<Readiness>,
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
        KeyProvider::Kms(key) => {
            let waiting = "waiting for KMS to open this node's key".to_owned();
            readiness.send_replace(Readiness::NotReady(waiting));
            opened_by_kms(config, key, &*entropy).await?
        }
    };
    Ok(IdentityStore::open(&config.data_dir, &source, entropy)?)
}

#[cfg(feature = "aws")]
async fn opened_by_kms(config: &Config, key: &KmsKey, entropy: &dyn Entropy) -> Result<KeySource> {
    let account = aws::Account::load(aws::environment(), key.aws.region.as_deref());
    let kms = aws::Kms::new(&account.await?, &key.key, &key.aws.cluster, &config.name);
    let opening = cluster::wrapped_key::open(&config.data_dir, &kms, entropy, KMS_PATIENCE);
    Ok(opening.await?)
}

#[cfg(not(feature = "aws"))]
async fn opened_by_kms(_: &Config, _: &KmsKey, _: &dyn Entropy) -> Result<KeySource> {
    anyhow::bail!(
        "key.kms is configured, but this hostquorumd was built without the feature `aws`: build it \
         with its default features, as the released packages are, or use another key provider"
    )
}
