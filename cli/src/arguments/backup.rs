//! Backups.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Founder;

#[derive(Debug, Subcommand)]
pub(crate) enum Backup {
    /// Make the key that opens backups; what it prints goes into the nodes' configuration
    Keygen {
        /// A new file for the key, of mode 0600. Keep it where no node is
        file: PathBuf,
    },
    /// Take one of all that the cluster has agreed on, keys and certificates with it, encrypted
    /// for whom the answering node's configuration names
    Save {
        /// A new file for it
        file: PathBuf,
        /// Replace what is there
        #[arg(long, env = "HOSTQUORUM_OVERWRITE")]
        overwrite: bool,
    },
    /// What one is of, and whether it is whole
    Inspect(Opened),
    /// Form a new cluster out of one, with the node of this machine as its first member.
    /// Nothing is issued before `hostquorum issuance resume --cluster-id`
    Restore(Restore),
}

#[derive(Debug, Args)]
pub(crate) struct Opened {
    /// The backup
    pub(crate) file: PathBuf,
    /// The key that opens it, as `hostquorum backup keygen` or age-keygen wrote it
    #[arg(long, env = "HOSTQUORUM_IDENTITY", value_name = "FILE")]
    pub(crate) identity: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    #[command(flatten)]
    pub(crate) opened: Opened,
    #[command(flatten)]
    pub(crate) founder: Founder,
}
