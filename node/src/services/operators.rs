//! The operators' API, on the admin port and on the local socket, and what it stands on.

use std::{sync::Arc, time::Duration};

use admin::{CaPause, Drawn, Overview, RequestError, Requested, Tokens, TokensError};
use anyhow::{Context as _, Result};
use cluster::{
    door::incoming,
    join::{Sponsor, Vouch},
    operators::{self, AdminConnection, AdminPort},
    serving::Serving,
    token::{RootPin, Secret, Token},
};
use leader::verification::survey::Surveyor;
use proto::cluster::v1::enrollment_server::EnrollmentServer;
use state::{Hostname, InvitationId, State};
use tokio::{net::TcpListener, sync::watch};
use tonic::{Request, service::InterceptorLayer, transport::Server};

use crate::{
    backups::NodeBackups, checks::Looks, figures, socket::Local, stats::Counted, telemetry::chain,
    wiring::Rooms,
};

/// How often the admin API's picture of this node is drawn anew.
const OVERVIEW_EVERY: Duration = Duration::from_millis(500);

/// Calls at once over one admin connection; `admin` bounds them for each operator.
const STREAMS_MAX: u32 = 512;

/// Where operators and newcomers come in.
pub(super) struct Door {
    pub(super) listener: TcpListener,
    pub(super) local: Local,
    pub(super) vouch: Option<Arc<dyn Vouch>>,
}

/// Serves operators and newcomers on the admin port, and whoever holds the machine on the
/// local socket.
pub(super) fn open(
    rooms: &Rooms,
    door: Door,
    serving: Arc<Serving>,
    leader: Arc<leader::Running>,
    surveyor: Surveyor,
    stats: Counted,
    recipients: Vec<backup::Recipient>,
) -> Result<()> {
    let Door {
        listener,
        local,
        vouch,
    } = door;
    let replica = rooms.replica.clone();
    let port = AdminPort::new(
        rooms.links.roster().clone(),
        rooms.credential.clone(),
        rooms.clock.clone(),
    );
    let port = Arc::new(port.context("the admin port cannot be set up")?);
    let (draw, overview) = watch::channel(Overview {
        node: rooms.identity.public.node,
        ..Overview::default()
    });
    tokio::spawn(draw_overview(
        rooms.identity.public.node,
        replica.clone(),
        leader,
        draw,
    ));
    let services = admin::Services::new(admin::Inputs {
        states: replica.state(),
        leadership: replica.leadership(),
        overview,
        propose: replica.clone(),
        members: replica.clone(),
        serving,
        bodies: replica.clone(),
        clock: rooms.clock.clone(),
        backups: Arc::new(NodeBackups {
            export: replica.clone(),
            keyring: rooms.keyring.clone(),
            recipients,
            clock: rooms.clock.clone(),
        }),
        tokens: Arc::new(ClusterTokens {
            entropy: rooms.entropy.clone(),
        }),
        seal: rooms.keyring.clone(),
        checks: Arc::new(Looks::new(surveyor)),
        requests: Arc::new(RequestedKeys),
        stats: Arc::new(stats),
    })?;
    let sponsor = Sponsor::new(replica.clone(), replica.state(), rooms.clock.clone());
    let sponsor = sponsor.vouching(vouch);
    let identify = InterceptorLayer::new(|mut request: Request<()>| {
        let operator = request
            .extensions()
            .get::<AdminConnection>()
            .and_then(|caller| caller.operator.clone());
        if let Some(operator) = operator {
            request.extensions_mut().insert(operator);
        }
        Ok(request)
    });
    let services = services.into_routes();
    local.serve(rooms.identity.public.node, services.clone());
    let routes = services.add_service(EnrollmentServer::new(sponsor));
    tokio::spawn(async move {
        let connections = incoming(Box::new(listener), port, operators::CONNECTIONS_MAX);
        let served = Server::builder()
            .layer(identify)
            // As many as `admin` takes calls at once.
            .max_concurrent_streams(STREAMS_MAX)
            .add_routes(routes)
            .serve_with_incoming(connections)
            .await;
        if let Err(error) = served {
            tracing::error!(error = chain(&error), "the admin port ended");
        }
    });
    Ok(())
}

/// The node in plain words, for the admin API.
async fn draw_overview(
    node: state::NodeId,
    replica: Arc<consensus::Replica>,
    leader: Arc<leader::Running>,
    draw: watch::Sender<Overview>,
) {
    loop {
        let halted = replica.halted().borrow().as_ref().map(ToString::to_string);
        let status = leader.status();
        draw.send_replace(Overview {
            node,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            replica_fault: halted,
            acme_progress: figures::progress(&status),
            pauses: pauses(&status),
        });
        tokio::time::sleep(OVERVIEW_EVERY).await;
    }
}

/// The CAs that the leader leaves alone, or whose account is not as it should be.
fn pauses(status: &leader::status::Status) -> Vec<CaPause> {
    let ailing = status.cas.iter().filter_map(|(ca, at)| {
        let pause = at.pause.as_ref().map(|pause| pause.reason.clone());
        let account = || {
            at.error
                .as_ref()
                .map(|error| format!("the account: {error}"))
        };
        Some(CaPause {
            ca: ca.clone(),
            reason: pause.or_else(account)?,
        })
    });
    ailing.collect()
}

/// Keys for requests of operators, made as those of our own orders.
struct RequestedKeys;

impl admin::Requests for RequestedKeys {
    fn request(
        &self,
        hostname: &Hostname,
        wildcard: bool,
        algorithm: state::KeyAlgorithm,
    ) -> Result<Requested, RequestError> {
        use leader::issuance::request::{FreshKeys, Requests as _, Wanted};
        let wanted = Wanted {
            hostname,
            wildcard,
            algorithm,
        };
        let made = FreshKeys.request(&wanted);
        let made = made.map_err(|error| RequestError(chain(&error)))?;
        Ok(Requested {
            key: made.key,
            csr: made.csr,
        })
    }
}

/// Tokens that pin this cluster's root.
struct ClusterTokens {
    entropy: Arc<dyn cluster::Entropy>,
}

impl Tokens for ClusterTokens {
    fn ownership(&self) -> state::OwnershipToken {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes);
        state::OwnershipToken(bytes)
    }

    fn draw(&self, state: &State) -> Result<Drawn, TokensError> {
        let cluster = state.cluster_id().ok_or(TokensError::NotFounded)?;
        let root = state
            .authority()
            .ok_or(TokensError::NotFounded)?
            .root
            .clone();
        let root =
            enroll::Leaf::read(&root.to_vec().into()).map_err(|_| TokensError::NotFounded)?;
        let pin = RootPin::of_public_key(&root.public_key);
        let mut bytes = [0; 32];
        self.entropy.fill(&mut bytes);
        let secret = Secret::new(bytes);
        let verifier = secret.verifier();
        let text = move |InvitationId(invitation): InvitationId| {
            Token {
                cluster: cluster_prefix(cluster),
                root: pin,
                invitation,
                secret,
            }
            .to_string()
        };
        Ok(Drawn {
            verifier,
            text: Box::new(text),
        })
    }
}

fn cluster_prefix(cluster: state::ClusterId) -> [u8; 4] {
    let [a, b, c, d, ..] = cluster.0;
    [a, b, c, d]
}
