//! The rooms, built in the order of their dependence, and their ends joined.

use std::{
    net::SocketAddr,
    num::NonZeroUsize,
    path::Path,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use cluster::{
    Entropy, Identity, IdentityStore, Keyring, NodeCredential, NodeFacts,
    peer::{Links, PeerStream},
    roster::Roster,
    wire::Tcp,
};
use consensus::{Dial, Opening, Replica};
use state::{
    TicketSecrets,
    ports::{Clock, Leadership, Propose, Reading as _},
};
use tokio::{
    net::TcpListener,
    runtime::Handle,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::{
    access_log::Writing,
    bounds,
    config::{self, Config, StoreKind},
    health::Readiness,
    inherited::Inherited,
    on_demand,
};

/// The node's rooms while they are open.
pub(crate) struct Rooms {
    pub(crate) identity: Identity,
    pub(crate) replica: Arc<Replica>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) credential: Arc<NodeCredential>,
    pub(crate) links: Arc<Links>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// The listeners, opened before anything is promised: an address that is taken
/// must be told at once.
pub(crate) struct Listeners {
    pub(crate) peer: TcpListener,
    pub(crate) admin: TcpListener,
}

impl Listeners {
    pub(crate) async fn bind(config: &Config) -> Result<Self> {
        let open = |address: SocketAddr, what: &'static str| async move {
            let bound = TcpListener::bind(address).await;
            bound.with_context(|| format!("the {what} port cannot be opened on {address}"))
        };
        Ok(Self {
            peer: open(config.peer.listen, "peer").await?,
            admin: open(config.admin.listen, "admin").await?,
        })
    }
}

/// As others are told.
pub(crate) fn facts(config: &Config) -> NodeFacts {
    NodeFacts {
        name: config.name.clone(),
        peer_address: config.peer.advertise.clone(),
        admin_address: config.admin.advertise.clone(),
    }
}

/// Where the replica's log and state are, within the data directory.
pub(crate) fn replica_dir(data_dir: &Path) -> std::path::PathBuf {
    data_dir.join("replica")
}

impl Rooms {
    /// Opens what needs no other room: links to peers and the replica, which runs
    /// on a runtime of its own, once its state is read: see [`Rooms::opened`].
    pub(crate) async fn open(
        config: &Config,
        identity: Identity,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        raft: &Handle,
    ) -> Result<(Self, Opening)> {
        let roster = Arc::new(Roster::new(&identity));
        let credential = Arc::new(NodeCredential::new(&identity)?);
        let links = Links::new(
            roster.clone(),
            credential.clone(),
            Box::new(Tcp),
            clock.clone(),
        );
        let links = Arc::new(links.context("the links to peers cannot be set up")?);
        let keyring = Arc::new(Keyring::new(&identity, entropy.clone()));
        let begun = begin_replica(config, &identity, links.clone(), clock.clone(), raft).await;
        let (replica, opening) = begun?;
        let replica = Arc::new(replica);
        roster.follow(replica.state());
        keyring.follow(replica.state());
        let rooms = Self {
            identity,
            replica,
            keyring,
            credential,
            links,
            clock,
            entropy,
        };
        Ok((rooms, opening))
    }

    /// Waits until the replica takes part.
    pub(crate) async fn opened(&mut self, opening: Opening, store: &IdentityStore) -> Result<()> {
        opening.done().await.context(UNSTARTED)?;
        if !self.identity.public.took_part {
            // Before a peer can reach it: what it promises from now on binds it, though
            // all of its store were lost.
            self.identity.public.took_part = true;
            store.save(&self.identity)?;
        }
        Ok(())
    }

    /// This node's edge, serving what the replica has published.
    pub(crate) fn edge(
        &self,
        config: &Config,
        inherited: Inherited,
        challenges: Arc<dyn edge::ChallengeSource>,
        tickets: watch::Receiver<Option<Arc<TicketSecrets>>>,
        behind: edge::dns::Behind,
    ) -> Result<OpenEdge> {
        let cores = match usize::try_from(config.edge.threads) {
            Ok(0) | Err(_) => std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            Ok(threads) => NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN),
        };
        let roots = match &config.edge.origin_roots {
            None => None,
            Some(path) => Some(
                std::fs::read(path)
                    .with_context(|| format!("{} cannot be read", path.display()))?,
            ),
        };
        let limits = bounds::limits(&config.edge);
        let (access_log, writing) = match &config.access_log {
            None => (None, None),
            Some(wanted) => {
                let (log, writing) = access_log(wanted, self.identity.public.node)?;
                (Some(log), Some(writing))
            }
        };
        let on_demand = match &config.on_demand {
            None => None,
            Some(wanted) => Some(on_demand::on_demand(wanted, self)?),
        };
        let running = edge::Edge::start(
            edge::Config {
                https: config.https,
                http: config.http,
                https_from: config.https_from.clone(),
                http_from: config.http_from.clone(),
                public_https_port: Some(config.https_public_port),
                cores,
                origin_roots: roots,
                limits,
                dns: (!config.dns.is_empty()).then(|| edge::dns::Config {
                    listen: config.dns.clone(),
                    limits: edge::dns::Limits::default(),
                }),
                hostnames_counted: usize::try_from(config.stats.hostnames).unwrap_or(usize::MAX),
                access_log,
                trace: edge::Trace {
                    request_id: config.trace.request_id,
                    context: config.trace.traceparent,
                    one_in: config.trace.one_in,
                },
            },
            edge::Inputs {
                states: self.replica.state(),
                reading: self.replica.clone(),
                bodies: self.replica.clone(),
                seal: self.keyring.clone(),
                tickets,
                clock: self.clock.clone(),
                challenges,
                on_demand,
                reach: self.keyring.clone(),
                https: inherited.https,
                http: inherited.http,
                memory: bounds::memory_used(),
                behind,
            },
        )?;
        let addresses = running.addresses();
        tracing::info!(https = %addresses.https, http = %addresses.http, dns = ?running.dns_addresses(), threads = cores, "serving");
        Ok(OpenEdge::new(running, writing))
    }
}

/// The access log that the configuration wants, and its writing, which begins. SIGHUP opens
/// its output anew, as those who rotate files expect.
fn access_log(
    wanted: &config::AccessLog,
    node: state::NodeId,
) -> Result<(edge::AccessLog, Writing)> {
    let (log, chunks) = edge::AccessLog::new(edge::Rules {
        one_in: wanted.one_in,
        query: wanted.query,
        node,
    });
    let writing = Writing::start(wanted.output.clone(), chunks);
    let writing = writing.context("no thread to write the access log")?;
    let mut hangups = signal(SignalKind::hangup()).context("SIGHUP cannot be listened for")?;
    let reopen = writing.reopen();
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            reopen.store(true, Relaxed);
        }
    });
    Ok((log, writing))
}

const UNSTARTED: &str = "this node's replica does not start";

/// Where this node's replica keeps everything.
pub(crate) fn replica_store(config: &Config) -> Result<consensus::store::DiskStore> {
    let engine = match config.raft.store {
        StoreKind::Sled => consensus::store::Engine::Sled,
        StoreKind::Redb => consensus::store::Engine::Redb,
    };
    let directory = replica_dir(&config.data_dir);
    let store = consensus::store::DiskStore::new(&directory, engine);
    store.with_context(|| format!("{} cannot be used", directory.display()))
}

async fn begin_replica(
    config: &Config,
    identity: &Identity,
    links: Arc<Links>,
    clock: Arc<dyn Clock>,
    raft: &Handle,
) -> Result<(Replica, Opening)> {
    let store = replica_store(config)?;
    let parts = consensus::Parts {
        identity: consensus::Identity {
            cluster: identity.public.cluster,
            node: identity.public.node,
        },
        took_part: identity.public.took_part,
        store: Arc::new(store),
        dial: Arc::new(PeerDial(links)),
        clock,
        config: consensus::Config {
            heartbeat: config.raft.heartbeat,
            election_min: config.raft.election_min,
            election_max: config.raft.election_max,
            write_limit: config.raft.flush_limit,
            snapshot_entries: config.raft.snapshot_entries,
            keep_entries: config.raft.keep_entries,
            ..consensus::Config::default()
        },
    };
    let begun = raft.spawn(Replica::begin(parts)).await?;
    begun.context(UNSTARTED)
}

/// Cluster's links are consensus's way to dial.
struct PeerDial(Arc<Links>);

#[async_trait]
impl Dial for PeerDial {
    async fn dial(
        &self,
        node: state::NodeId,
        address: &str,
    ) -> std::io::Result<Box<dyn consensus::PeerStream>> {
        let stream: PeerStream = self.0.dial(node, address).await?;
        Ok(Box::new(stream))
    }
}

/// An edge that can be looked at while it runs, and drained once.
#[derive(Clone)]
pub(crate) struct OpenEdge {
    running: Arc<Mutex<Option<edge::Running>>>,
    published: watch::Receiver<state::Index>,
    hostnames: Arc<edge::Hostnames>,
    writing: Arc<Mutex<Option<Writing>>>,
}

impl OpenEdge {
    fn new(running: edge::Running, writing: Option<Writing>) -> Self {
        let published = running.published();
        Self {
            hostnames: running.hostnames(),
            writing: Arc::new(Mutex::new(writing)),
            running: Arc::new(Mutex::new(Some(running))),
            published,
        }
    }

    /// The index that new connections see.
    pub(crate) fn published(&self) -> watch::Receiver<state::Index> {
        self.published.clone()
    }

    /// How it is; absent once it drains.
    pub(crate) fn health(&self) -> Option<edge::Health> {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(edge::Running::health)
    }

    /// What it counted; absent once it drains.
    pub(crate) fn metrics(&self) -> Option<edge::Snapshot> {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(edge::Running::metrics)
    }

    /// What its DNS server counted; absent if it has none, or once it drains.
    pub(crate) fn dns_metrics(&self) -> Option<edge::dns::Snapshot> {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .and_then(edge::Running::dns_metrics)
    }

    /// What was counted of asking about hostnames; absent if nobody is asked, or once it
    /// drains.
    pub(crate) fn on_demand_metrics(&self) -> Option<edge::on_demand::Snapshot> {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .and_then(edge::Running::on_demand_metrics)
    }

    /// Says that it is about to end, and serves on.
    pub(crate) fn lame_duck(&self) {
        let running = self.running.lock();
        if let Some(running) = &*running.unwrap_or_else(PoisonError::into_inner) {
            running.lame_duck();
        }
    }

    /// What was served for each hostname.
    pub(crate) fn hostnames(&self) -> &Arc<edge::Hostnames> {
        &self.hostnames
    }

    /// Lines of the access log that could not be written; absent if there is none.
    pub(crate) fn access_log_lost(&self) -> Option<u64> {
        self.writing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(Writing::lost)
    }

    /// Ends it.
    pub(crate) async fn drain(&self, grace: Duration) {
        let running = self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(running) = running {
            let drained = running.drain(grace).await;
            tracing::info!(cut_off = drained.cut_off, "the edge has drained");
        }
        let writing = self
            .writing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(writing) = writing {
            // It waits on a thread's end, which must not stop the others.
            let _ = tokio::task::spawn_blocking(|| writing.finish()).await;
        }
    }
}

/// Longest time a node serves what it knows without having heard a leader, before
/// it says that it is not ready, so that others are preferred.
const STALE_AFTER: Duration = Duration::from_secs(24 * 3600);
/// How often readiness is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Keeps `/readyz` true until the task ends. Needs no quorum: what makes a node
/// ready is that its edge serves a state that knows a cluster.
pub(crate) async fn watch_readiness(
    edge: OpenEdge,
    replica: Arc<Replica>,
    clock: Arc<dyn Clock>,
    readiness: watch::Sender<Readiness>,
) {
    let mut heard = clock.boottime();
    loop {
        let known = !matches!(
            *replica.leadership().borrow(),
            Leadership::Stopped | Leadership::Following { leader: None, .. }
        );
        if known {
            heard = clock.boottime();
        }
        let halted = replica.halted().borrow().as_ref().map(ToString::to_string);
        let now = if let Some(halt) = halted {
            // Its own fault, not the quorum's: it serves on, but learns of no new
            // hostname and no challenge, so that whoever can choose should choose others.
            // Over as soon as it runs again.
            not_ready(&format!(
                "this node's replica has stopped: {halt}; it serves what it knew"
            ))
        } else if replica.so_far().cluster_id().is_none() {
            not_ready("this node has not received the cluster's state yet")
        } else if clock.boottime().saturating_sub(heard) > STALE_AFTER {
            not_ready("no leader was heard for a day: what is served may be old")
        } else {
            match edge.health() {
                Some(health) if health.is_ready() => Readiness::Ready,
                Some(health) if health.draining => not_ready(DRAINING),
                Some(_) => {
                    not_ready("a thread that serves clients or DNS has ended: restart this node")
                }
                None => not_ready(DRAINING),
            }
        };
        readiness.send_if_modified(|was| {
            let changed = *was != now;
            if changed {
                tracing::info!(readiness = ?now, "readiness changed");
                *was = now;
            }
            changed
        });
        tokio::time::sleep(LOOK).await;
    }
}

/// What `/readyz` says of a node that is about to end.
pub(crate) const DRAINING: &str = "draining";

fn not_ready(why: &str) -> Readiness {
    Readiness::NotReady(why.to_owned())
}

/// How long the founder may take to lead its cluster of one and apply its first
/// command.
const FOUND_WITHIN: Duration = Duration::from_secs(30);

/// Puts the cluster's first command into the log, whether or not an earlier run
/// did already.
pub(crate) async fn found(
    replica: &Replica,
    peer_address: &str,
    change: state::Change,
) -> Result<()> {
    match replica.form(peer_address).await {
        Ok(()) | Err(consensus::FormError::Formed) => {}
        Err(error) => return Err(error.into()),
    }
    let deadline = tokio::time::Instant::now() + FOUND_WITHIN;
    loop {
        if replica.state().borrow().cluster_id().is_some() {
            return Ok(());
        }
        match replica
            .propose(state::Actor::socket(), change.clone())
            .await
        {
            Ok(_) => {}
            Err(error) => {
                ensure!(
                    tokio::time::Instant::now() < deadline,
                    "the cluster's first command was not agreed on: {error}"
                );
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}
