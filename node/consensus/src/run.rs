//! One run of a replica: from the opening of its store until its fence falls.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use openraft::{LogIdOptionExt, RaftNetworkFactory};
use state::ports::Clock;
use state::{Index, NodeId};
use tokio::sync::{Mutex as AsyncMutex, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::acks::{Acks, Heard};
use crate::config::Config;
use crate::fence::{Fence, chain};
use crate::identity::Identity;
use crate::life::Outward;
use crate::log::{Log, Promised};
use crate::machine::{Handles, Machine, MachineParts, Stored};
use crate::queue::{self, Queue};
use crate::replica::{Figures, Parts, StartError};
use crate::snapshot::{SnapshotError, Snapshots};
use crate::startup::{open, open_snapshots};
use crate::transport::client::Network;
use crate::transport::links::Links;
use crate::types::{Peer, Raft};
use crate::writer::Writer;
use crate::{blocking, compaction, guard, leadership};

/// How long Raft may take to stop; a core that waits for a hung disk never does.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// What the parts of a run share.
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
    /// The last entry that its log had when the run began.
    pub(crate) found: Index,
    pub(crate) outward: Arc<Outward>,
    pub(crate) snapshots: Snapshots,
    pub(crate) blocks: bool,
    /// The databases that it has opened.
    pub(crate) handles: Handles,
    pub(crate) queue: Queue,
    /// Proposals wait while leadership is handed over.
    pub(crate) paused: watch::Sender<bool>,
    /// Places of proposals in flight.
    pub(crate) flights: Arc<Semaphore>,
    /// One snapshot comes in at a time.
    pub(crate) receiving: Arc<Semaphore>,
    /// One change of the membership at a time, a handover included.
    pub(crate) changing: AsyncMutex<()>,
    pub(crate) transferring: AtomicBool,
}

impl Shared {
    /// The present figures of this run.
    pub(crate) fn figures(&self) -> Figures {
        let quorum = self.has_quorum();
        self.metrics(|metrics| Figures {
            last_log: metrics.last_log_index.unwrap_or(0),
            applied: metrics.last_applied.index().unwrap_or(0),
            snapshot: metrics.snapshot.index().unwrap_or(0),
            purged: metrics.purged.index().unwrap_or(0),
            quorum,
            ..Figures::default()
        })
    }

    /// Whether no write is under way.
    pub(crate) fn is_idle(&self) -> bool {
        let generation = self.outward.published.generation();
        self.log.is_idle() && generation.is_none_or(|generation| generation.writer.is_idle())
    }

    /// Writes down where the others are, for when this run is over.
    pub(crate) fn remember_members(&self) {
        let me = self.identity.node;
        let members: BTreeMap<NodeId, String> = self.metrics(|metrics| {
            let nodes = metrics.membership_config.nodes();
            nodes
                .map(|(id, peer)| (NodeId(*id), peer.address.clone()))
                .filter(|(id, _)| *id != me)
                .collect()
        });
        self.outward.remember(members);
    }

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
        let state = self.outward.published.state();
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

/// A run, and its tasks.
pub(crate) struct Run {
    pub(crate) shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

impl Run {
    /// Opens the store and begins to take part. If it was open before in this process,
    /// `promised` must still be there.
    pub(crate) async fn open(
        parts: Parts,
        outward: Arc<Outward>,
        promised: Promised,
    ) -> Result<Self, StartError> {
        let Parts {
            identity,
            took_part,
            store,
            dial,
            clock,
            config,
        } = parts;
        let raft_config = config
            .raft(&identity.cluster.to_string())
            .map_err(StartError::Config)?;
        let blocks = store.blocks();
        let fence = Fence::of_run(Arc::clone(&outward.standstill));
        let handles = Handles::default();
        let since = Instant::now();
        let opening = Arc::clone(&store);
        let opened = blocking::run(blocks, move || open(&*opening, identity, took_part)).await?;
        handles.add(&opened.log);
        let writer = Writer::new(
            Arc::clone(&opened.log),
            "log",
            blocks,
            config.write_limit,
            fence.clone(),
        );
        let held = outward.published.held();
        let log = Log::open(
            opened.log,
            writer.map_err(StartError::Thread)?,
            blocks,
            held,
        )?;
        if let Some(missing) = promised.missing_in(&log.promised()) {
            return Err(StartError::Forgotten(missing));
        }
        let (database, few) = blocking::run(blocks, move || {
            let few = Stored::begin(&*opened.state);
            (opened.state, few)
        })
        .await;
        let unreadable = |error: SnapshotError| StartError::State(chain(&error));
        let few = few.map_err(unreadable)?;
        let snapshots = open_snapshots(store.snapshots(), &log, &few)?;
        let machine_parts = MachineParts {
            store,
            identity,
            snapshots: snapshots.clone(),
            fence: fence.clone(),
            write_limit: config.write_limit,
            handles: handles.clone(),
        };
        let generation = machine_parts.generation(opened.generation, Arc::clone(&database));
        let generation = Arc::new(generation.map_err(StartError::Thread)?);
        let published = Arc::clone(&outward.published);
        published.begin(Arc::clone(&generation), few.state());
        tracing::info!(took = ?since.elapsed(), "the store is open");
        let stored = blocking::run(blocks, move || few.complete(&*database)).await;
        let stored = stored.map_err(unreadable)?;
        let hostnames = stored.state().hostname_count();
        tracing::info!(hostnames, took = ?since.elapsed(), "the state is read");
        log.finish_purge();
        let (purged, last) = log.ends();
        let found = Index(last.max(purged).index().unwrap_or_default());
        let machine = Machine::new(machine_parts, generation, stored, published);

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
            found,
            outward,
            snapshots,
            blocks,
            handles,
            queue,
            paused: watch::Sender::new(false),
            flights: Arc::new(Semaphore::new(queue::MAX_IN_FLIGHT as usize)),
            receiving: Arc::new(Semaphore::new(1)),
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
        Ok(Self { shared, tasks })
    }

    /// Waits until all its tasks have ended, which they do once its fence has fallen.
    pub(crate) async fn ended(self) -> Arc<Shared> {
        for task in self.tasks {
            // A task that panicked has ended, too.
            let _ = task.await;
        }
        self.shared
    }
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

/// Stops Raft once the fence has fallen.
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
