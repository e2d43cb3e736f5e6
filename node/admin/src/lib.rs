//! The operators' API: gRPC services over the replicated state.
//!
//! A write becomes a [`state::Change`] for the [`state::ports::Propose`] port and
//! is answered within three seconds, whatever the cluster does: done, refused with
//! its reason, or "the outcome is unknown". A read is answered from this node's own
//! state and needs nobody. Who may call what stands in one table, held against the
//! descriptors by a test. Every change, and every denial, leaves an audit line
//! (tracing target `audit`).
//!
//! This crate never touches Raft or TLS: the listener establishes who calls (an
//! [`state::ports::OperatorIdentity`] in the request's extensions, or a [`LocalCaller`]),
//! and the makers of tokens and keys are handed in. Of cryptography it knows only how to look at what
//! operators bring (`upload`); whatever is secret in that is sealed by the
//! [`state::ports::Seal`] port before it is proposed. It opens no socket, reads no clock
//! of its own and never shows a private key, the key of an external account or, but once
//! to its maker, a token.

mod audit;
mod authorize;
pub mod backups;
mod budget;
pub mod checks;
mod convert;
mod explain;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gate;
pub mod limits;
mod mask;
mod names;
pub mod overview;
mod page;
mod pem;
mod problem;
mod removal;
pub mod requests;
mod selection;
mod service;
pub mod stats;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tokens;
mod upload;
mod warnings;
mod watch;

use std::sync::Arc;

use proto::admin::v1::{
    backups_server::BackupsServer, cas_server::CasServer, certificates_server::CertificatesServer,
    checks_server::ChecksServer, cluster_server::ClusterServer, hostnames_server::HostnamesServer,
    invitations_server::InvitationsServer, ledger_server::LedgerServer, stats_server::StatsServer,
    zones_server::ZonesServer,
};
use state::{
    NodeId, State,
    ports::{Bodies, Clock, Leadership, Members, Propose, Seal, ServingSet},
};
use tokio::sync::watch as watched;
use tonic::service::Routes;
use tonic_health::server::{HealthReporter, HealthService};

pub use backups::{BackupError, Backups, Heir};
pub use checks::{CheckError, Checks};
pub use overview::{CaPause, Overview};
pub use requests::{RequestError, Requested, Requests};
pub use stats::Stats;
pub use tokens::{Drawn, Tokens, TokensError};
pub use upload::{Unusable, brought};

use gate::{Gate, Gated};
use service::Desk;

/// The services, to be mounted on the admin listener.
///
/// The listener puts an [`state::ports::OperatorIdentity`] into the extensions of
/// each request whose caller presented a valid client certificate, or a [`LocalCaller`];
/// whoever comes without either is refused here.
#[derive(Clone, Debug)]
pub struct Services {
    routes: Routes,
}

/// In the extensions of a request that came over a socket which only the administrator of
/// this member's machine may open.
///
/// Whoever holds the machine holds its keys already, so it counts as an administrator of
/// the cluster, under a name that says where: the way in for whoever has lost all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalCaller(pub NodeId);

/// What the services stand on.
pub struct Inputs {
    /// The replicated state, as this node has applied it.
    pub states: watched::Receiver<Arc<State>>,
    /// Who leads.
    pub leadership: watched::Receiver<Leadership>,
    /// The health of this node in words.
    pub overview: watched::Receiver<Overview>,
    /// The door for changes.
    pub propose: Arc<dyn Propose>,
    /// Raft's membership.
    pub members: Arc<dyn Members>,
    /// Who serves what.
    pub serving: Arc<dyn ServingSet>,
    /// Timelines, from this node's disk.
    pub bodies: Arc<dyn Bodies>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Writes backups, and takes over what one has.
    pub backups: Arc<dyn Backups>,
    /// Makes invitations' tokens.
    pub tokens: Arc<dyn Tokens>,
    /// Seals what operators bring.
    pub seal: Arc<dyn Seal>,
    /// Looks at hostnames' records.
    pub checks: Arc<dyn Checks>,
    /// Makes keys for requests that somebody else's CA is to sign.
    pub requests: Arc<dyn Requests>,
    /// Knows what this node has served for hostnames.
    pub stats: Arc<dyn Stats>,
}

/// The descriptors that reflection would show are damaged: a fault of the build.
#[derive(Debug, thiserror::Error)]
#[error("the API's descriptors cannot be read, this program was built wrongly")]
pub struct DescriptorsError(#[from] tonic_reflection::server::Error);

impl Services {
    /// Builds all services: hostnames, zones, CAs, the ledger, certificates, cluster,
    /// backups, invitations, stats, health and reflection.
    pub fn new(inputs: Inputs) -> Result<Self, DescriptorsError> {
        let desk = Arc::new(Desk::new(inputs));
        let gate = Arc::new(Gate::new(desk.clone()));
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()?;
        let health = tonic_health::pb::health_server::HealthServer::new(
            HealthService::from_health_reporter(HealthReporter::new()),
        );
        macro_rules! limited {
            ($server:ident) => {
                $server::from_arc(desk.clone())
                    .max_decoding_message_size(limits::REQUEST_BYTES_MAX)
                    .max_encoding_message_size(limits::RESPONSE_BYTES_MAX)
            };
        }
        let routes = Routes::new(Gated::new(limited!(HostnamesServer), &gate))
            .add_service(Gated::new(limited!(ZonesServer), &gate))
            .add_service(Gated::new(limited!(CasServer), &gate))
            .add_service(Gated::new(limited!(LedgerServer), &gate))
            .add_service(Gated::new(limited!(CertificatesServer), &gate))
            .add_service(Gated::new(limited!(ChecksServer), &gate))
            .add_service(Gated::new(limited!(ClusterServer), &gate))
            .add_service(Gated::new(limited!(InvitationsServer), &gate))
            .add_service(Gated::new(
                limited!(BackupsServer).max_decoding_message_size(limits::FRAME_BYTES_MAX),
                &gate,
            ))
            .add_service(Gated::new(limited!(StatsServer), &gate))
            .add_service(Gated::new(
                reflection.max_decoding_message_size(limits::REQUEST_BYTES_MAX),
                &gate,
            ))
            .add_service(Gated::new(
                health.max_decoding_message_size(limits::REQUEST_BYTES_MAX),
                &gate,
            ));
        Ok(Self { routes })
    }

    /// The services as routes; others may be mounted next to them.
    pub fn into_routes(self) -> Routes {
        self.routes
    }
}
