//! A key-encryption key that a service outside of this machine wraps. It is drawn once; its
//! ciphertext is kept in the data directory, beside what the key protects, and the service opens
//! it at each start. So whoever has the disk alone has nothing, and whoever may use the service
//! says who may start.
//!
//! A node that runs never asks the service again.

use std::{
    error::Error,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

use crate::{
    directory::{Directory, DirectoryError},
    entropy::{Entropy, random},
    identity::envelope,
    identity::store,
    key_source::KeySource,
};

/// The key, as the service wrapped it.
const WRAPPED_KEY: &str = "wrapped-key.json";

/// Changes whenever anything about the file's shape does.
const FORMAT: &str = "hostquorum wrapped key 1";

/// Pauses between attempts: each twice the last, and never longer than the second.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// A service that wraps keys, such as AWS KMS. What it is asked is bound to this node and its
/// cluster by whoever implements it.
#[async_trait]
pub trait WrapKey: Send + Sync {
    /// Its name in the identity's file.
    fn kind(&self) -> &'static str;

    /// Wraps `key`.
    async fn wrap(&self, key: &[u8; 32]) -> Result<Wrapped, WrapKeyError>;

    /// Opens what it wrapped.
    async fn open(&self, ciphertext: &[u8]) -> Result<Zeroizing<[u8; 32]>, WrapKeyError>;
}

/// A key as a service wrapped it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapped {
    /// Nobody but the service can open it.
    pub ciphertext: Bytes,
    /// Which key of the service did it, for people.
    pub by: String,
}

/// Why the service did not do as it was asked.
#[derive(Debug, thiserror::Error)]
pub enum WrapKeyError {
    /// Trying again may help.
    #[error("{what}")]
    Unavailable {
        /// What was asked of whom.
        what: String,
        /// Why it did not come to that.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Somebody must do something about it.
    #[error("{0}")]
    Refused(String),
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum WrappedKeyError {
    /// The disk, a mode or an owner.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Not ours, or damaged.
    #[error(
        "{} is damaged or was written by a newer program; restore it from a copy, or remove this \
         node from the cluster and join anew with an empty data directory", .0.display()
    )]
    Damaged(PathBuf),
    /// An identity exists that was wrapped by it.
    #[error(
        "{} is gone, and this node's identity cannot be opened without it: put it back from a \
         copy, or remove this node from the cluster and join anew with an empty data directory",
        .0.display()
    )]
    Gone(PathBuf),
    /// Another provider was configured when this node began.
    #[error(
        "{} belongs to a key from the source `{was}`, but the configuration names `{now}`: name the \
         one before under [previous_key] if this one is to take its place", path.display()
    )]
    OtherSource {
        /// Which file.
        path: PathBuf,
        /// The kind of source it belongs to.
        was: String,
        /// The kind that is configured.
        now: &'static str,
    },
    /// The service, when the key was made.
    #[error("this node's key could not be made")]
    Wrap(#[source] WrapKeyError),
    /// The service, at a later start.
    #[error("{}, which was wrapped by {by}, could not be opened", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// Which key of the service wrapped it.
        by: String,
        /// Why not.
        source: WrapKeyError,
    },
}

/// A key that a service opened.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenedKey {
    kind: &'static str,
    key: Zeroizing<[u8; 32]>,
}

impl OpenedKey {
    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }

    pub(crate) fn key(&self) -> Zeroizing<[u8; 32]> {
        self.key.clone()
    }
}

impl fmt::Debug for OpenedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenedKey({})", self.kind)
    }
}

/// The file as written.
#[derive(Serialize, Deserialize)]
struct WrappedFile {
    format: String,
    /// Which kind of service.
    source: String,
    /// Which key of the service, for people.
    by: String,
    #[serde(with = "envelope::base64")]
    ciphertext: Bytes,
}

/// Opens this node's key; makes one at the first start, when there is no identity yet. Tries again
/// for `patience` while the service cannot be asked.
pub async fn open(
    data_directory: &Path,
    service: &dyn WrapKey,
    entropy: &dyn Entropy,
    patience: Duration,
) -> Result<KeySource, WrappedKeyError> {
    let directory = Directory::open(data_directory)?;
    let path = directory.file(WRAPPED_KEY);
    let key = match directory.read(WRAPPED_KEY)? {
        Some(bytes) => {
            let file = parse(&bytes).ok_or_else(|| WrappedKeyError::Damaged(path.clone()))?;
            if file.source != service.kind() {
                return Err(other_source(path, file.source, service));
            }
            let opened = patiently(patience, || service.open(&file.ciphertext)).await;
            opened.map_err(|source| WrappedKeyError::Open {
                path,
                by: file.by,
                source,
            })?
        }
        None => {
            match store::wrapped_by(&directory)? {
                Some((owned, None)) => return Err(WrappedKeyError::Damaged(owned)),
                Some((_, Some(was))) if was == service.kind() => {
                    return Err(WrappedKeyError::Gone(path));
                }
                Some((owned, Some(was))) => return Err(other_source(owned, was, service)),
                None => {}
            }
            make(&directory, service, entropy, patience).await?
        }
    };
    Ok(KeySource::Service(OpenedKey {
        kind: service.kind(),
        key,
    }))
}

/// The same where another key protected this node's files so far, and this one is to take its
/// place. What `before`, a service too, has wrapped is wrapped by `service` from now on. The key
/// itself stays then, so that a crash in between costs nothing.
pub async fn open_replacing(
    data_directory: &Path,
    service: &dyn WrapKey,
    before: Option<&dyn WrapKey>,
    entropy: &dyn Entropy,
    patience: Duration,
) -> Result<KeySource, WrappedKeyError> {
    let directory = Directory::open(data_directory)?;
    let path = directory.file(WRAPPED_KEY);
    let key = match (directory.read(WRAPPED_KEY)?, before) {
        (None, None) => make(&directory, service, entropy, patience).await?,
        (None, Some(_)) => return Err(WrappedKeyError::Gone(path)),
        (Some(_), None) => return open(data_directory, service, entropy, patience).await,
        (Some(bytes), Some(before)) => {
            let file = parse(&bytes).ok_or_else(|| WrappedKeyError::Damaged(path.clone()))?;
            let failed = |source| WrappedKeyError::Open {
                path: path.clone(),
                by: file.by.clone(),
                source,
            };
            // Which of the two has wrapped it cannot be told by the file.
            match patiently(patience, || service.open(&file.ciphertext)).await {
                Ok(key) => key,
                Err(WrapKeyError::Refused(_)) => {
                    let opened = patiently(patience, || before.open(&file.ciphertext)).await;
                    let key = opened.map_err(failed)?;
                    wrap(&directory, service, &key, patience).await?;
                    tracing::info!(by = file.by, "this node's key is wrapped by another now");
                    key
                }
                Err(error) => return Err(failed(error)),
            }
        }
    };
    Ok(KeySource::Service(OpenedKey {
        kind: service.kind(),
        key,
    }))
}

/// Removes the wrapped key, once nothing is under it any more.
pub fn forget(data_directory: &Path) -> Result<(), WrappedKeyError> {
    Ok(Directory::open(data_directory)?.remove(WRAPPED_KEY)?)
}

fn other_source(path: PathBuf, was: String, service: &dyn WrapKey) -> WrappedKeyError {
    WrappedKeyError::OtherSource {
        path,
        was,
        now: service.kind(),
    }
}

/// Draws a key and keeps it wrapped, before anything is wrapped by it.
async fn make(
    directory: &Directory,
    service: &dyn WrapKey,
    entropy: &dyn Entropy,
    patience: Duration,
) -> Result<Zeroizing<[u8; 32]>, WrappedKeyError> {
    let key = Zeroizing::new(random::<32>(entropy));
    wrap(directory, service, &key, patience).await?;
    Ok(key)
}

async fn wrap(
    directory: &Directory,
    service: &dyn WrapKey,
    key: &[u8; 32],
    patience: Duration,
) -> Result<(), WrappedKeyError> {
    let wrapped = patiently(patience, || service.wrap(key)).await;
    let wrapped = wrapped.map_err(WrappedKeyError::Wrap)?;
    let file = WrappedFile {
        format: FORMAT.to_owned(),
        source: service.kind().to_owned(),
        by: wrapped.by,
        ciphertext: wrapped.ciphertext,
    };
    let bytes = serde_json::to_vec_pretty(&file)
        .map_err(|_| WrappedKeyError::Damaged(directory.file(WRAPPED_KEY)))?;
    Ok(directory.write(WRAPPED_KEY, &bytes)?)
}

fn parse(bytes: &[u8]) -> Option<WrappedFile> {
    let file: WrappedFile = serde_json::from_slice(bytes).ok()?;
    (file.format == FORMAT).then_some(file)
}

/// Asks again, with longer and longer pauses, while that may help.
async fn patiently<T, F>(patience: Duration, ask: impl Fn() -> F) -> Result<T, WrapKeyError>
where
    F: Future<Output = Result<T, WrapKeyError>>,
{
    let give_up = Instant::now() + patience;
    let mut pause = PAUSE_FIRST;
    loop {
        match ask().await {
            Err(error @ WrapKeyError::Unavailable { .. }) if Instant::now() + pause < give_up => {
                let cause = error.source().map(ToString::to_string);
                tracing::warn!(%error, cause, "trying again");
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests;
