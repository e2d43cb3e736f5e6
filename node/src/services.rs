//! What listens and what works on top of the rooms: peers, operators, the leader's
//! duties, and the keeping of this node's identity.

mod operators;

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use cluster::{
    Certifier, IdentityStore,
    door::incoming,
    join::Vouch,
    peer,
    serving::{self, Own, Serving, ServingService, challenge::Challenges},
    upkeep::Upkeep,
};
use edge::{Unreachable, view::View};
use leader::verification::survey::Surveyor;
use state::{
    Hostname, Index,
    ports::{Leadership, PeerIdentity, Propose as _},
};
use tokio::{net::TcpListener, runtime::Handle, sync::watch};
use tonic::{Request, Status, service::InterceptorLayer, transport::Server};

use crate::{
    abreast,
    config::Config,
    figures,
    health::{self, Readiness},
    inherited::Inherited,
    metrics::Metrics,
    socket::Local,
    stats::Counted,
    telemetry::chain,
    verification,
    wiring::{Listeners, OpenEdge, Rooms},
};

/// What serves customers. It needs nobody, not even a replica that takes part.
pub(crate) struct Front {
    pub(crate) edge: OpenEdge,
    serving: Arc<Serving>,
    challenges: Arc<Challenges>,
    health: watch::Sender<serving::Health>,
}

/// Everything that runs once the rooms are open.
pub(crate) struct Open {
    pub(crate) edge: OpenEdge,
    pub(crate) serving: Arc<Serving>,
    pub(crate) leader: Arc<leader::Running>,
    /// How many hostnames are told in the metrics.
    pub(crate) top: usize,
    health: watch::Sender<serving::Health>,
}

impl Front {
    /// Opens the edge; `inherited` are sockets that it need not bind.
    pub(crate) fn open(config: &Config, rooms: &Rooms, inherited: Inherited) -> Result<Self> {
        let (publish, published) = watch::channel(Index(0));
        let (health, told) = watch::channel(serving::Health::default());
        let own = Own {
            published,
            health: told,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            level: config.feature_level_at_most,
        };
        let roster = rooms.links.roster().clone();
        let serving = Arc::new(Serving::new(
            roster,
            own,
            rooms.clock.clone(),
            rooms.entropy.clone(),
        ));
        let challenges = Arc::new(Challenges::new(
            serving.clone(),
            rooms.links.clone(),
            rooms.replica.clone(),
            rooms.replica.leadership(),
        ));
        let asking = Arc::new(AskLeader(challenges.clone()));
        let edge = rooms.edge(
            config,
            inherited,
            asking,
            serving.ticket_secrets(),
            abreast::watch(rooms, serving.clone()),
        )?;
        tokio::spawn(forward(edge.published(), publish));
        Ok(Self {
            edge,
            serving,
            challenges,
            health,
        })
    }
}

/// Where callers other than customers' clients come in.
pub(crate) struct Doors {
    pub(crate) listeners: Listeners,
    pub(crate) local: Local,
    /// Has a cloud vouch for machines that ask to be let in.
    pub(crate) vouch: Option<Arc<dyn Vouch>>,
}

impl Open {
    /// Opens everything else.
    pub(crate) fn all(
        config: &Config,
        rooms: &Rooms,
        front: Front,
        doors: Doors,
        store: Arc<IdentityStore>,
        raft: &Handle,
    ) -> Result<Self> {
        let Front {
            edge,
            serving,
            challenges,
            health,
        } = front;
        let Doors {
            listeners,
            local,
            vouch,
        } = doors;
        tokio::spawn(confess(rooms.replica.halted(), health.clone()));
        let service = ServingService::new(serving.clone(), challenges);
        raft.spawn(peers(rooms, listeners.peer, service));
        tokio::spawn(serving.clone().tell_members(rooms.links.clone()));
        tokio::spawn(serving.clone().keep_tickets(rooms.links.clone()));
        let links = rooms.links.clone();
        tokio::spawn(async move { links.enforce_removals().await });
        let upkeep = Upkeep {
            identity: rooms.identity.clone(),
            store,
            credential: rooms.credential.clone(),
            keyring: rooms.keyring.clone(),
        };
        tokio::spawn(upkeep.run(rooms.replica.state()));
        let surveyor = verification::surveyor(config, rooms.keyring.clone());
        let leader = Arc::new(leader::Leader::start(
            leader_config(config, rooms),
            leader_ports(rooms, serving.clone(), surveyor.clone()),
        ));
        let heard = serving.clone();
        let stats = Counted::new(rooms, edge.hostnames().clone());
        operators::open(
            rooms,
            operators::Door {
                listener: listeners.admin,
                local,
                vouch,
            },
            heard,
            leader.clone(),
            surveyor,
            stats,
            config.backup_recipients.clone(),
        )?;
        Ok(Self {
            edge,
            serving,
            leader,
            top: usize::try_from(config.stats.top).unwrap_or_default(),
            health,
        })
    }

    /// Says to all members that this node is about to stop.
    pub(crate) fn draining(&self) {
        self.health.send_modify(|health| health.draining = true);
    }
}

/// The edge's published index, for those that were made before it.
async fn forward(mut from: watch::Receiver<Index>, to: watch::Sender<Index>) {
    loop {
        let index = *from.borrow_and_update();
        to.send_replace(index);
        if from.changed().await.is_err() {
            return;
        }
    }
}

/// Tells all members while this node's replica stands still: nobody waits for it then.
async fn confess(
    mut halted: watch::Receiver<Option<consensus::Halt>>,
    health: watch::Sender<serving::Health>,
) {
    loop {
        let halt = halted.borrow_and_update().clone();
        let fault = halt.map(|halt| format!("its replica has stopped: {halt}"));
        health.send_modify(|health| health.faults = fault.into_iter().collect());
        if halted.changed().await.is_err() {
            return;
        }
    }
}

/// Takes links from members until the replica is shut down. While it only stands still,
/// its service refuses by itself, so that the others elect at once.
fn peers(
    rooms: &Rooms,
    listener: TcpListener,
    serving: ServingService,
) -> impl Future<Output = ()> + use<> {
    let (links, replica) = (rooms.links.clone(), rooms.replica.clone());
    async move {
        let identify = InterceptorLayer::new(|mut request: Request<()>| {
            let peer = request.extensions().get::<PeerIdentity>().copied();
            let peer =
                peer.ok_or_else(|| Status::unauthenticated("no member is at the other end"))?;
            request
                .extensions_mut()
                .insert(consensus::PeerIdentity(peer.node));
            Ok(request)
        });
        let mut halted = replica.halted();
        let served = Server::builder()
            .layer(identify)
            .add_service(replica.peer_service())
            .add_service(serving.server())
            .serve_with_incoming_shutdown(
                incoming(Box::new(listener), links, peer::CONNECTIONS_MAX),
                async move {
                    let ended = |halt: &Option<_>| *halt == Some(consensus::Halt::Shutdown);
                    // Closed means that the replica is gone.
                    let _ = halted.wait_for(ended).await;
                },
            )
            .await;
        if let Err(error) = served {
            tracing::error!(error = chain(&error), "the peer port ended");
        }
    }
}

/// Ends when this node is no member any more: another member says so, or its own
/// state does.
pub(crate) async fn removed(rooms: &Rooms) {
    let me = rooms.identity.public.node;
    let (mut expelled, mut states) = (rooms.links.expelled(), rooms.replica.state());
    let told = async {
        // A source that is gone tells nothing.
        if expelled.wait_for(Option::is_some).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let seen = async {
        if states.wait_for(|state| state.is_removed(me)).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = told => {}
        () = seen => {}
    }
}

fn leader_config(config: &Config, rooms: &Rooms) -> leader::Config {
    let retry = config.issuance.retry;
    let mut settings = leader::Config::new(rooms.identity.public.node);
    settings.orders_in_flight = usize::try_from(config.issuance.concurrency).unwrap_or(usize::MAX);
    settings.backoff.steps = vec![
        retry,
        retry * 10,
        retry * 100,
        Duration::from_secs(86_400).max(retry),
    ];
    settings.fallback_after = config.issuance.fallback;
    settings.membership.remove_silent_after = config.remove_silent_after;
    settings.verification = leader::verification::Config {
        first: config.verification.retry,
        fresh: config.verification.fresh,
    };
    #[cfg(feature = "failpoints")]
    {
        let file = std::env::vars_os()
            .find(|(name, _)| name == "HOSTQUORUM_FAILPOINT_FILE")
            .map(|(_, file)| file);
        settings.failpoint = file
            .map(|file| leader::failpoint::Failpoint::armed_by(file.into()))
            .unwrap_or_default();
    }
    settings
}

fn leader_ports(rooms: &Rooms, serving: Arc<Serving>, surveyor: Surveyor) -> leader::Ports {
    let replica = rooms.replica.clone();
    leader::Ports {
        states: replica.state(),
        leadership: replica.leadership(),
        propose: replica.clone(),
        lease: replica.clone(),
        members: replica.clone(),
        serving,
        bodies: replica.clone(),
        seal: rooms.keyring.clone(),
        identities: Arc::new(Certifier::new(rooms.keyring.clone(), rooms.entropy.clone())),
        clock: rooms.clock.clone(),
        authorities: Arc::new(leader::issuance::acme::AcmeAuthorities::new(
            Arc::new(leader::issuance::acme::Tcp),
            replica,
            rooms.clock.clone(),
        )),
        surveyor,
        requests: Arc::new(leader::issuance::request::FreshKeys),
        jitter: Arc::new(leader::issuance::pace::SystemJitter),
    }
}

/// The leader knows of a challenge a moment before everybody else.
struct AskLeader(Arc<Challenges>);

#[async_trait]
impl edge::ChallengeSource for AskLeader {
    async fn key_authorization(
        &self,
        hostname: &Hostname,
        token: Option<&str>,
    ) -> Result<Option<String>, Unreachable> {
        self.0
            .find(hostname.as_str(), token)
            .await
            .map_err(|_| Unreachable)
    }
}

/// The health port, open before anything else so that a node that waits can say
/// for what.
pub(crate) struct Health {
    told: Arc<OnceLock<Told>>,
}

/// What there is to tell once the rooms are open.
struct Told {
    replica: Arc<consensus::Replica>,
    metrics: Metrics,
}

impl Health {
    /// Opens and serves it.
    pub(crate) async fn open(
        config: &Config,
        readiness: watch::Receiver<Readiness>,
    ) -> Result<Self> {
        let address: SocketAddr = config.health;
        let listener = health::bind(address).await;
        let listener =
            listener.with_context(|| format!("the health port cannot be opened on {address}"))?;
        let told: Arc<OnceLock<Told>> = Arc::default();
        let (quorum, known, metrics) = (told.clone(), told.clone(), told.clone());
        let health = health::Health {
            readiness,
            quorum: Box::new(move || {
                let replica = quorum.get().map(|told| told.replica.clone());
                Box::pin(async move {
                    let replica = replica.ok_or("this node belongs to no cluster yet")?;
                    replica
                        .barrier()
                        .await
                        .map(|_| ())
                        .map_err(|error| error.to_string())
                })
            }),
            knows: Box::new(move |name| {
                let state = known.get()?.replica.state().borrow().clone();
                // What is no host name is not authorized.
                let name = Hostname::parse(name);
                Some(name.is_ok_and(|name| View::new(state).knows(name.as_str())))
            }),
            metrics: Box::new(move || {
                metrics
                    .get()
                    .map(|told| told.metrics.render())
                    .unwrap_or_default()
            }),
        };
        tokio::spawn(health::serve(listener, Arc::new(health)));
        Ok(Self { told })
    }

    /// From now on there is more to tell.
    pub(crate) fn tell(&self, rooms: &Rooms, open: &Open) {
        let metrics = figures::all(rooms, open);
        // Told once: `live` calls it once.
        let _ = self.told.set(Told {
            replica: rooms.replica.clone(),
            metrics,
        });
    }
}

/// Whether this node leads, for others in this crate.
pub(crate) fn leads(replica: &consensus::Replica) -> bool {
    matches!(*replica.leadership().borrow(), Leadership::Leading(_))
}

/// Tells systemd, if it started us, that this node has begun.
pub(crate) fn notify_ready() {
    notify(&[sd_notify::NotifyState::Ready]);
}

/// Tells systemd that this node is about to end.
pub(crate) fn notify_stopping() {
    notify(&[sd_notify::NotifyState::Stopping]);
}

fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be told");
    }
}
