//! What the leader needs of its neighbours.

use std::sync::Arc;

use state::{
    State,
    ports::{Bodies, Clock, Identities, Leadership, Lease, Members, Propose, Seal, ServingSet},
};
use tokio::sync::watch;

use crate::{
    issuance::{authority::Authorities, pace::Jitter, request::Requests},
    verification::survey::Surveyor,
};

/// All that the leader is given.
#[derive(Clone)]
pub struct Ports {
    /// The state as this node has applied it.
    pub states: watch::Receiver<Arc<State>>,
    /// Who leads.
    pub leadership: watch::Receiver<Leadership>,
    /// The log.
    pub propose: Arc<dyn Propose>,
    /// Whether this node may still speak as leader.
    pub lease: Arc<dyn Lease>,
    /// Raft's membership.
    pub members: Arc<dyn Members>,
    /// What each member said of itself.
    pub serving: Arc<dyn ServingSet>,
    /// Certificates, from this node's own disk.
    pub bodies: Arc<dyn Bodies>,
    /// The cluster's data keys.
    pub seal: Arc<dyn Seal>,
    /// The cluster's CA.
    pub identities: Arc<dyn Identities>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The ACME CA.
    pub authorities: Arc<dyn Authorities>,
    /// Looks at hostnames.
    pub surveyor: Surveyor,
    /// New keys.
    pub requests: Arc<dyn Requests>,
    /// Chance.
    pub jitter: Arc<dyn Jitter>,
}
