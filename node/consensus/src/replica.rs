//! One node's replica: started, watched, asked, ended.

use std::sync::{Arc, Mutex, PoisonError};

use openraft::error::{InitializeError, RaftError};
use state::ports::{Clock, Leadership, ProposeError};
use state::{NodeId, State};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::elsewhere::Elsewhere;
use crate::fence::{Fence, Halt};
use crate::identity::{Identity, IdentityError};
use crate::leadership::NODES_PER_TERM;
use crate::life::{Life, Outward};
use crate::log::Promised;
use crate::reopening;
use crate::run::Run;
use crate::store::{Store, StoreError};
use crate::transport::Dial;
use crate::transport::links::Links;
use crate::transport::server::{PeerService, Receiver};
use crate::types::Peer;

/// What a replica is made of.
#[derive(Clone)]
pub struct Parts {
    /// Who it is.
    pub identity: Identity,
    /// Whether this node's replica has run before, as was noted elsewhere than in its
    /// store. An empty store has lost its data then, and the replica does not start: it
    /// has forgotten votes and entries that others count on. To be noted once it has
    /// started, before any peer can reach it.
    pub took_part: bool,
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
    /// What was made durable in this process is not there any more.
    #[error(
        "the log has {0}: its disk lost data. The replica stays down, because others rely on what \
         it had promised. Remove the node from the cluster, clear its data directory and join again"
    )]
    Forgotten(String),
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

impl StartError {
    /// Whether the disk holds less than it did, or another's: trying again is of no use,
    /// and might find enough to do harm.
    pub(crate) const fn is_loss(&self) -> bool {
        matches!(
            self,
            Self::Forgotten(_)
                | Self::Identity(IdentityError::Amnesia { .. } | IdentityError::Foreign { .. })
        )
    }
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

/// A replica. Implements the ports of `state`: [`state::ports::Propose`],
/// [`state::ports::Members`], [`state::ports::Lease`], [`state::ports::Bodies`],
/// [`state::ports::Reading`] and [`state::ports::Export`].
///
/// It stays the same when its store is opened anew after the disk had failed (see
/// [`Replica::halted`]): what was watched is watched on.
pub struct Replica {
    pub(crate) life: Arc<Life>,
    /// Where questions to other members are asked, for those who wait on threads.
    pub(crate) runtime: Handle,
    pub(crate) blocks: bool,
    keeper: Mutex<Option<JoinHandle<()>>>,
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
        let (replica, opening) = Self::begin(parts).await?;
        opening.done().await?;
        Ok(replica)
    }

    /// The same, but returns as soon as single hostnames can be looked up
    /// ([`state::ports::Reading`]); it takes part once the opening is done. Until then its
    /// state is empty, and it answers as one that stands still. A store that cannot be opened
    /// is told by the opening.
    ///
    /// # Errors
    ///
    /// When the node's id is out of bounds.
    pub async fn begin(parts: Parts) -> Result<(Self, Opening), StartError> {
        let node = parts.identity.node;
        if !(1..NODES_PER_TERM).contains(&node.0) {
            return Err(StartError::NodeId(node));
        }
        let blocks = parts.store.blocks();
        let outward = Arc::new(Outward::new());
        let over = Fence::new();
        let links = Links::new(parts.identity, Arc::clone(&parts.dial), over.clone());
        let life = Life::new(Arc::clone(&outward), over, Elsewhere::new(links));
        let life = Arc::new(life);
        let (told, opened) = oneshot::channel();
        let mut opening = Opening {
            opened,
            result: None,
        };
        let keeper = tokio::spawn(live(Arc::clone(&life), parts, told));
        let replica = Self {
            life,
            runtime: Handle::current(),
            blocks,
            keeper: Mutex::new(Some(keeper)),
        };
        tokio::select! {
            biased;
            () = outward.published.begun() => {}
            result = opening.ended() => opening.result = Some(result),
        }
        Ok((replica, opening))
    }

    /// Forms a new cluster of this node alone, which its peers will find at
    /// `address`. Only ever by an operator's explicit wish: a node that forms one by
    /// itself may found a second cluster beside the first.
    ///
    /// # Errors
    ///
    /// When the node belongs to a cluster already, or its replica has ended.
    pub async fn form(&self, address: &str) -> Result<(), FormError> {
        let stopped = |error: ProposeError| FormError::Stopped(error.to_string());
        let shared = self.life.to_propose().map_err(stopped)?;
        let me = std::collections::BTreeMap::from([(
            shared.identity.node.0,
            Peer {
                address: address.to_owned(),
            },
        )]);
        let formed = tokio::select! {
            formed = shared.raft.initialize(me) => formed,
            halt = shared.fence.tripped() => return Err(FormError::Stopped(halt.to_string())),
        };
        formed.map_err(|error| match error {
            RaftError::APIError(InitializeError::NotAllowed(_)) => FormError::Formed,
            RaftError::APIError(InitializeError::NotInMembers(error)) => {
                FormError::Stopped(error.to_string())
            }
            RaftError::Fatal(error) => FormError::Stopped(error.to_string()),
        })
    }

    /// The state as last applied here. Stays when the replica stops, and never goes
    /// back.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<Arc<State>> {
        self.life.outward.published.subscribe()
    }

    /// Who leads.
    #[must_use]
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.life.outward.leadership.subscribe()
    }

    /// Why the replica stands still, while it does. After [`Halt::SlowDisk`] and
    /// [`Halt::Store`] it opens its store again by itself once the disk takes writes,
    /// and this turns to `None`; all others stay.
    #[must_use]
    pub fn halted(&self) -> watch::Receiver<Option<Halt>> {
        self.life.outward.standstill.subscribe()
    }

    /// What peers call. Every request must carry a [`crate::PeerIdentity`] in its
    /// extensions. While the replica stands still it refuses all calls but those for
    /// bodies; whoever owns the listener closes it after [`Halt::Shutdown`].
    #[must_use]
    pub fn peer_service(&self) -> PeerService {
        Receiver::service(&self.life)
    }

    /// The present figures; of the last run while the store is being reopened.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.life.figures()
    }

    /// Ends the replica in order: nothing is proposed or answered from now on.
    /// Returns when its tasks have ended, or after some seconds.
    pub async fn shutdown(&self) {
        self.life.shut_down();
        let keeper = self
            .keeper
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(keeper) = keeper {
            // A task that panicked has ended, too.
            let _ = keeper.await;
        }
    }
}

/// A store that is being read.
#[must_use = "the replica takes part only when it is done"]
pub struct Opening {
    opened: oneshot::Receiver<Result<(), StartError>>,
    /// If it was there already.
    result: Option<Result<(), StartError>>,
}

impl Opening {
    /// Returns when the replica takes part.
    ///
    /// # Errors
    ///
    /// As [`Replica::start`].
    pub async fn done(mut self) -> Result<(), StartError> {
        match self.result.take() {
            Some(result) => result,
            None => self.ended().await,
        }
    }

    async fn ended(&mut self) -> Result<(), StartError> {
        let told = (&mut self.opened).await;
        told.unwrap_or_else(|_| Err(StartError::Raft("it was shut down".to_owned())))
    }
}

/// All runs of a replica; `told` is of the first.
async fn live(life: Arc<Life>, parts: Parts, told: oneshot::Sender<Result<(), StartError>>) {
    let outward = Arc::clone(&life.outward);
    match Run::open(parts.clone(), outward, Promised::default()).await {
        Ok(run) => {
            life.begin(Arc::clone(&run.shared));
            // Whoever started it may have gone.
            let _ = told.send(Ok(()));
            reopening::keep(life, parts, run).await;
        }
        Err(error) => {
            let _ = told.send(Err(error));
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.life.shut_down();
    }
}

/// Positions in the log, and whether a leader has its quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
    /// How often the store was opened anew after the disk had failed.
    pub reopened: u64,
    /// Bodies that were read from other members, because the own store could not be.
    pub borrowed: u64,
}
