//! One node's replica: started, watched, asked, ended.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use openraft::error::{InitializeError, RaftError};
use openraft::{LogIdOptionExt, RaftNetworkFactory};
use state::ports::{Bodies, BodiesError, Clock, Leadership};
use state::{NodeId, State};
use tokio::sync::{Mutex as AsyncMutex, Semaphore, watch};
use tokio::task::JoinHandle;

use crate::acks::{Acks, Heard};
use crate::config::Config;
use crate::fence::{Fence, Halt, chain};
use crate::identity::{Identity, IdentityError};
use crate::leadership::{self, NODES_PER_TERM};
use crate::log::Log;
use crate::machine::{Machine, MachineParts, Published};
use crate::queue::{self, Queue};
use crate::snapshot::Snapshots;
use crate::startup::{open, open_snapshots};
use crate::store::{Store, StoreError, Tree};
use crate::transport::Dial;
use crate::transport::client::Network;
use crate::transport::links::Links;
use crate::transport::server::{PeerService, Receiver};
use crate::types::{Peer, Raft};
use crate::writer::Writer;
use crate::{blocking, compaction, guard};

/// How long Raft may take to stop; a core that waits for a hung disk never does.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// What a replica is made of.
pub struct Parts {
    /// Who it is.
    pub identity: Identity,
    /// Where it keeps everything.
    pub store: Arc<dyn Store>,
    /// How it reaches others.
    pub dial: Arc<dyn Dial>,
    /// Its clock.
    pub clock: Arc<dyn Clock>,
    /// Timers and bounds.
    pub config: Config,
}

/// Why a replica did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The disk is another's, or has lost data.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The store cannot be opened.
    #[error("the store cannot be opened")]
    Store(#[from] StoreError),
    /// What the store holds cannot be read.
    #[error("the state on disk cannot be read: {0}")]
    State(String),
    /// The timers contradict each other.
    #[error("the timers make no sense: {0}")]
    Config(String),
    /// The node's id is out of bounds.
    #[error("node ids must be between 1 and 999999, this one is {0}")]
    NodeId(NodeId),
    /// No thread for writing.
    #[error("a thread for writing cannot be started")]
    Thread(#[source] std::io::Error),
    /// Raft does not start.
    #[error("raft does not start: {0}")]
    Raft(String),
}

/// Why a cluster was not formed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormError {
    /// This node belongs to a cluster already.
    #[error("this node belongs to a cluster already")]
    Formed,
    /// Raft has ended.
    #[error("this node's replica has stopped: {0}")]
    Stopped(String),
}

/// What the parts of a replica share.
pub(crate) struct Shared {
    pub(crate) identity: Identity,
    pub(crate) config: Config,
    pub(crate) fence: Fence,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) links: Arc<Links>,
    pub(crate) acks: Arc<Acks>,
    pub(crate) heard: Heard,
    pub(crate) raft: Raft,
    pub(crate) log: Log,
    pub(crate) published: Arc<Published>,
    pub(crate) snapshots: Snapshots,
    pub(crate) blocks: bool,
    pub(crate) leadership: watch::Sender<Leadership>,
    pub(crate) queue: Queue,
    /// Proposals wait while leadership is handed over.
    pub(crate) paused: watch::Sender<bool>,
    /// One snapshot comes in at a time.
    pub(crate) receiving: Semaphore,
    /// One change of the membership at a time, a handover included.
    pub(crate) changing: AsyncMutex<()>,
    pub(crate) transferring: AtomicBool,
}

impl Shared {
    /// Where `node` listens, as far as this node knows.
    pub(crate) fn address(&self, node: NodeId) -> Option<String> {
        let address = |peer: &Peer| peer.address.clone();
        self.metrics(|metrics| {
            metrics
                .membership_config
                .membership()
                .get_node(&node.0)
                .map(address)
        })
    }

    /// Whether `node` may speak to this one. A node that lags may not know a newer
    /// member yet, so only those are refused that it knows to be none: removed, or in
    /// its past and not in the present membership.
    pub(crate) fn may_be_member(&self, node: NodeId) -> bool {
        let state = self.published.state.borrow().clone();
        if state.is_removed(node) {
            return false;
        }
        let known_to_raft = self.metrics(|metrics| {
            let membership = metrics.membership_config.membership();
            membership.get_node(&node.0).is_some() || membership.nodes().next().is_none()
        });
        // Ids are drawn in order: one above all that are known here is newer.
        let newest = state
            .members()
            .map(|member| member.id)
            .max()
            .unwrap_or_default();
        known_to_raft || state.member(node).is_some() || node > newest
    }
}

/// A running replica. Implements the ports of `state`: [`state::ports::Propose`],
/// [`state::ports::Members`], [`state::ports::Lease`] and [`Bodies`].
pub struct Replica {
    pub(crate) shared: Arc<Shared>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Replica {
    /// Starts the replica over what is on its disk. It takes part in the cluster
    /// from now on, if there is one: on a first start it waits to be added, or to be
    /// told to [`Replica::form`] one.
    ///
    /// # Errors
    ///
    /// When the store cannot be opened, belongs to another or has lost data; nothing
    /// runs then.
    pub async fn start(parts: Parts) -> Result<Self, StartError> {
        let Parts {
            identity,
            store,
            dial,
            clock,
            config,
        } = parts;
        if !(1..NODES_PER_TERM).contains(&identity.node.0) {
            return Err(StartError::NodeId(identity.node));
        }
        let raft_config = config
            .raft(&identity.cluster.to_string())
            .map_err(StartError::Config)?;
        let blocks = store.blocks();
        let fence = Fence::new();
        let opening = Arc::clone(&store);
        let opened = blocking::run(blocks, move || open(&*opening, identity)).await?;
        let writer = Writer::new(
            Arc::clone(&opened.log),
            "log",
            blocks,
            config.write_limit,
            fence.clone(),
        );
        let writer = writer.map_err(StartError::Thread)?;
        let log = Log::open(opened.log, writer, blocks)?;
        let snapshots = open_snapshots(store.snapshots(), &log, &opened.stored)?;
        let machine_parts = MachineParts {
            store,
            identity,
            snapshots: snapshots.clone(),
            fence: fence.clone(),
            write_limit: config.write_limit,
        };
        let generation = machine_parts
            .generation(opened.generation, opened.state)
            .map_err(StartError::Thread)?;
        let machine = Machine::new(machine_parts, generation, opened.stored);
        let published = machine.published();

        let links = Arc::new(Links::new(identity, dial, fence.clone()));
        let acks = Arc::new(Acks::default());
        let network = Network {
            links: Arc::clone(&links),
            acks: Arc::clone(&acks),
            clock: Arc::clone(&clock),
            snapshots: snapshots.clone(),
            blocks,
            pause: config.heartbeat,
        };
        let raft = start_raft(identity, raft_config, network, log.clone(), machine).await?;
        let (queue, waiting) = Queue::new();
        let shared = Arc::new(Shared {
            identity,
            config,
            fence,
            clock,
            links,
            acks,
            heard: Heard::default(),
            raft,
            log,
            published,
            snapshots,
            blocks,
            leadership: watch::Sender::new(Leadership::Following {
                term: Default::default(),
                leader: None,
            }),
            queue,
            paused: watch::Sender::new(false),
            receiving: Semaphore::new(1),
            changing: AsyncMutex::new(()),
            transferring: AtomicBool::new(false),
        });
        let tasks = vec![
            tokio::spawn(leadership::follow(Arc::clone(&shared))),
            tokio::spawn(guard::watch(Arc::clone(&shared))),
            tokio::spawn(compaction::run(Arc::clone(&shared))),
            tokio::spawn(queue::run(Arc::clone(&shared), waiting)),
            tokio::spawn(end(Arc::clone(&shared))),
        ];
        Ok(Self {
            shared,
            tasks: Mutex::new(tasks),
        })
    }

    /// Forms a new cluster of this node alone, which its peers will find at
    /// `address`. Only ever by an operator's explicit wish: a node that forms one by
    /// itself may found a second cluster beside the first.
    ///
    /// # Errors
    ///
    /// When the node belongs to a cluster already, or its replica has ended.
    pub async fn form(&self, address: &str) -> Result<(), FormError> {
        let me = std::collections::BTreeMap::from([(
            self.shared.identity.node.0,
            Peer {
                address: address.to_owned(),
            },
        )]);
        let formed = tokio::select! {
            formed = self.shared.raft.initialize(me) => formed,
            halt = self.shared.fence.tripped() => return Err(FormError::Stopped(halt.to_string())),
        };
        formed.map_err(|error| match error {
            RaftError::APIError(InitializeError::NotAllowed(_)) => FormError::Formed,
            RaftError::APIError(InitializeError::NotInMembers(error)) => {
                FormError::Stopped(error.to_string())
            }
            RaftError::Fatal(error) => FormError::Stopped(error.to_string()),
        })
    }

    /// The state as last applied here. Stays when the replica ends.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<Arc<State>> {
        self.shared.published.state.subscribe()
    }

    /// Who leads.
    #[must_use]
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.shared.leadership.subscribe()
    }

    /// Why the replica has ended, once it has. Whoever owns the listener of
    /// [`Replica::peer_service`] closes it and its connections then.
    #[must_use]
    pub fn halted(&self) -> watch::Receiver<Option<Halt>> {
        self.shared.fence.watch()
    }

    /// What peers call. Every request must carry a [`crate::PeerIdentity`] in its
    /// extensions.
    #[must_use]
    pub fn peer_service(&self) -> PeerService {
        Receiver::service(&self.shared)
    }

    /// The present figures.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let quorum = self.shared.has_quorum();
        self.shared.metrics(|metrics| Figures {
            last_log: metrics.last_log_index.unwrap_or(0),
            applied: metrics.last_applied.index().unwrap_or(0),
            snapshot: metrics.snapshot.index().unwrap_or(0),
            purged: metrics.purged.index().unwrap_or(0),
            quorum,
        })
    }

    /// Ends the replica in order: nothing is proposed or answered from now on.
    /// Returns when its tasks have ended, or after some seconds.
    pub async fn shutdown(&self) {
        self.shared.fence.trip(Halt::Shutdown);
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            // A task that panicked has ended, too.
            let _ = task.await;
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.shared.fence.trip(Halt::Shutdown);
    }
}

/// Positions in the log, and whether a leader has its quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// The last entry of the log.
    pub last_log: u64,
    /// The last entry applied.
    pub applied: u64,
    /// The last entry in the snapshot.
    pub snapshot: u64,
    /// The last entry purged from the log.
    pub purged: u64,
    /// Whether this node leads and a majority answered within 2 s.
    pub quorum: bool,
}

async fn start_raft(
    identity: Identity,
    config: openraft::Config,
    network: impl RaftNetworkFactory<crate::types::TypeConfig>,
    log: Log,
    machine: Machine,
) -> Result<Raft, StartError> {
    let raft = Raft::new(identity.node.0, Arc::new(config), network, log, machine).await;
    raft.map_err(|error| StartError::Raft(error.to_string()))
}

/// Stops Raft once the replica has ended.
async fn end(shared: Arc<Shared>) {
    shared.fence.tripped().await;
    shared.links.retain(|_| false);
    // Its core may hang in a write for ever; nobody hears it any more.
    if tokio::time::timeout(STOP_WITHIN, shared.raft.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("raft does not stop; its disk hangs");
    }
}

impl Bodies for Replica {
    fn read(&self, key: &[u8]) -> Result<Option<Bytes>, BodiesError> {
        let generation = self.shared.published.generation.load_full();
        let body = generation.database.get(Tree::Bodies, key);
        body.map(|body| body.map(Bytes::from))
            .map_err(|error| BodiesError::Store(chain(&error)))
    }
}
