//! Machines that their cloud vouches for, as ports: whoever runs there implements them.

use std::net::IpAddr;

use async_trait::async_trait;
use proto::cluster::v1::MachineProof;

/// This machine, as it shows others which one it is.
#[async_trait]
pub trait ThisMachine: Send + Sync {
    /// host:port of the admin ports of other machines of the cluster, as the cloud knows them.
    async fn sponsors(&self) -> Result<Vec<String>, MachineError>;

    /// What lets another member have the cloud vouch for this machine, bound to `digest`.
    async fn prove(&self, digest: &[u8; 32]) -> Result<MachineProof, MachineError>;
}

/// Has the cloud vouch for machines that ask to be let in.
#[async_trait]
pub trait Vouch: Send + Sync {
    /// What the cloud calls the machine, in a name that no other machine ever has; only if it is
    /// the one that is to be the node.
    async fn vouch(&self, asking: Asking<'_>) -> Result<String, MachineError>;
}

/// A machine that asks.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// What it sent.
    pub proof: &'a MachineProof,
    /// Of the connection and of all that it asks for.
    pub digest: &'a [u8; 32],
    /// What the node is to be called.
    pub node: &'a str,
    /// Where it calls from.
    pub source: IpAddr,
}

/// Why the cloud did not vouch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MachineError {
    /// Trying again may help.
    #[error("{0}")]
    Unavailable(String),
    /// It is not the machine that it would have to be, or may not ask.
    #[error("{0}")]
    Refused(String),
}
