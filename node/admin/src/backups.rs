//! Writing backups, and taking over what one has; handed in.

use std::io::Write;

use proto::backup::v1::Keys;
use state::{
    ClusterId, Index, Sealed,
    ports::{BodiesError, SealError},
    sealed::SealContext,
};

/// What is done with backups beside the API.
pub trait Backups: Send + Sync {
    /// Writes a backup of what this node has applied, encrypted for whom its configuration
    /// names, and says up to where. Blocks for as long as `output` does.
    ///
    /// # Errors
    ///
    /// When there is nobody to encrypt it for, this node lacks a key, its store cannot be
    /// read, or `output` fails.
    fn save(&self, output: Box<dyn Write + Send>) -> Result<Index, BackupError>;

    /// What seals the secrets anew that `cluster` left, whose keys these are.
    ///
    /// # Errors
    ///
    /// When one of them is no key.
    fn heir(&self, cluster: ClusterId, keys: &Keys) -> Result<Box<dyn Heir>, BackupError>;
}

/// See [`Backups::heir`].
pub trait Heir: Send + Sync {
    /// What was sealed for `context` by the cluster that left it, sealed for this one.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, or not be sealed here.
    fn reseal(&self, context: &SealContext, sealed: &Sealed) -> Result<Sealed, SealError>;
}

/// Why there is no backup, or why it is not taken over.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Whoever holds the machine says who can read its cluster's keys.
    #[error(
        "this node's configuration names nobody to encrypt backups for: make a key by `hostquorum \
         backup keygen`, and name what it prints as `[backup] recipients`"
    )]
    NoRecipient,
    /// Only voters have all keys.
    #[error("this node was not given all keys, so it cannot write a backup: ask a voter")]
    NoKey(#[source] SealError),
    /// There is nothing to be backed up.
    #[error("this node belongs to no cluster yet")]
    NotFounded,
    /// The disk.
    #[error("what is to be backed up cannot be read: {0}")]
    Store(#[from] BodiesError),
    /// Whoever takes it.
    #[error("the backup was not taken: {0}")]
    Output(String),
    /// Of the backup.
    #[error("{0}")]
    Keys(String),
}
