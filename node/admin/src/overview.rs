//! The health of the answering node as plain words, filled by whoever joins the
//! rooms.

use state::{CaName, NodeId};

/// What the node knows of itself beyond the replicated state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overview {
    /// Who it is.
    pub node: NodeId,
    /// Its program's version.
    pub version: String,
    /// Why its replica stopped; absent while it runs.
    pub replica_fault: Option<String>,
    /// What it does about issuance now, a sentence each; empty unless it leads.
    pub acme_progress: Vec<String>,
    /// CAs that it leaves alone for a while; empty unless it leads.
    pub pauses: Vec<CaPause>,
}

/// A CA that the leader leaves alone for a while, because it fails or asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaPause {
    /// Which.
    pub ca: CaName,
    /// Why, in a few words.
    pub reason: String,
}
