//! A handful of nodes that can be stopped, cut off and started again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use consensus::store::{DiskStore, Engine};
use consensus::{Config, Halt, Identity, Parts, Replica, StartError};
use state::ports::{Applied, Clock, Leadership, Members, Propose, ProposeError};
use state::testing::found;
use state::{Actor, Change, ClusterId, Index, NodeId, State, Term, Timestamp};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::network::{Accepted, Gates, TcpDial};
use crate::store::{Faults, FaultyStore};

/// Nothing here takes longer on a machine that works at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct RealClock(Instant);

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        Timestamp(since.as_millis() as u64)
    }

    fn boottime(&self) -> Duration {
        // A test machine does not sleep.
        self.0.elapsed() + Duration::from_secs(1000)
    }
}

struct Node {
    directory: tempfile::TempDir,
    address: String,
    faults: Arc<Faults>,
    /// As its owner notes it.
    took_part: bool,
    running: Option<(Arc<Replica>, JoinHandle<()>)>,
}

pub(crate) struct World {
    pub(crate) gates: Gates,
    config: Config,
    engine: Engine,
    nodes: BTreeMap<u64, Node>,
}

impl World {
    /// A cluster of `size` voters that was founded.
    pub(crate) async fn founded(size: u64, config: Config) -> Self {
        Self::founded_on(Engine::Sled, size, config).await
    }

    /// The same on another engine.
    pub(crate) async fn founded_on(engine: Engine, size: u64, config: Config) -> Self {
        // `RUST_LOG=consensus=debug` shows what happens.
        let filter = tracing_subscriber::EnvFilter::try_from_default_env();
        let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("off"));
        let _ = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_test_writer()
            .try_init();
        let mut world = Self {
            gates: Gates::new(),
            config,
            engine,
            nodes: BTreeMap::new(),
        };
        world.add_node(1).await;
        let address = world.nodes[&1].address.clone();
        world.replica(1).form(&address).await.unwrap();
        world.leader().await;
        world.propose(1, Change::Found(Box::new(found()))).await;
        for id in 2..=size {
            world.join(id).await;
        }
        world
    }

    /// Starts a node that nobody knows yet.
    pub(crate) async fn add_node(&mut self, id: u64) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let node = Node {
            directory: tempfile::tempdir().unwrap(),
            address: listener.local_addr().unwrap().to_string(),
            faults: Arc::default(),
            took_part: false,
            running: None,
        };
        self.nodes.insert(id, node);
        self.start_with(id, listener).await.unwrap();
    }

    /// Adds node `id` as a learner, waits until it caught up, makes it a voter.
    pub(crate) async fn join(&mut self, id: u64) {
        self.add_node(id).await;
        self.add_learner(id).await;
        self.promote(id).await;
    }

    pub(crate) async fn add_learner(&self, id: u64) {
        let (_, leader) = self.leader().await;
        leader
            .add_learner(NodeId(id), &self.nodes[&id].address)
            .await
            .unwrap();
    }

    pub(crate) async fn promote(&self, id: u64) {
        let (_, leader) = self.leader().await;
        until("the learner has caught up", || {
            leader.lag(NodeId(id)) == Some(0)
        })
        .await;
        let mut voters = leader.configuration().voters;
        voters.push(NodeId(id));
        leader.set_voters(voters).await.unwrap();
    }

    pub(crate) fn replica(&self, id: u64) -> Arc<Replica> {
        Arc::clone(&self.nodes[&id].running.as_ref().expect("the node runs").0)
    }

    pub(crate) fn state(&self, id: u64) -> Arc<State> {
        self.replica(id).state().borrow().clone()
    }

    pub(crate) fn faults(&self, id: u64) -> &Faults {
        &self.nodes[&id].faults
    }

    pub(crate) fn directory(&self, id: u64) -> &std::path::Path {
        self.nodes[&id].directory.path()
    }

    pub(crate) fn running(&self) -> Vec<u64> {
        self.nodes
            .iter()
            .filter(|(_, node)| node.running.is_some())
            .map(|(id, _)| *id)
            .collect()
    }

    /// Ends a node's replica and its listener.
    pub(crate) async fn stop(&mut self, id: u64) {
        if let Some((replica, server)) = self.nodes.get_mut(&id).unwrap().running.take() {
            replica.shutdown().await;
            server.abort();
            let _ = server.await;
        }
    }

    pub(crate) async fn start(&mut self, id: u64) -> Result<(), StartError> {
        let listener = TcpListener::bind(&self.nodes[&id].address).await.unwrap();
        self.start_with(id, listener).await
    }

    async fn start_with(&mut self, id: u64, listener: TcpListener) -> Result<(), StartError> {
        let replica = Replica::start(self.parts(id)?).await?;
        let node = self.nodes.get_mut(&id).unwrap();
        node.took_part = true;
        let replica = Arc::new(replica);
        let server = tokio::spawn(serve(Arc::clone(&replica), listener));
        node.running = Some((replica, server));
        Ok(())
    }

    /// What the replica of a node is made of.
    pub(crate) fn parts(&self, id: u64) -> Result<Parts, StartError> {
        let node = &self.nodes[&id];
        let store = FaultyStore {
            inner: DiskStore::new(node.directory.path(), self.engine)?,
            faults: Arc::clone(&node.faults),
        };
        Ok(Parts {
            identity: Identity {
                cluster: ClusterId([7; 16]),
                node: NodeId(id),
            },
            took_part: node.took_part,
            store: Arc::new(store),
            dial: Arc::new(TcpDial {
                me: id,
                gates: self.gates.clone(),
            }),
            clock: Arc::new(RealClock(Instant::now())),
            config: self.config,
        })
    }

    /// The one that leads, once all running nodes that are not cut off agree; waits.
    pub(crate) async fn leader(&self) -> (u64, Arc<Replica>) {
        let mut found = None;
        until("there is a leader", || {
            found = self.leading();
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    fn leading(&self) -> Option<(u64, Arc<Replica>)> {
        self.running()
            .into_iter()
            .map(|id| (id, self.replica(id)))
            .find(|(_, replica)| matches!(*replica.leadership().borrow(), Leadership::Leading(_)))
    }

    pub(crate) fn term(&self, id: u64) -> Term {
        self.replica(id).leadership().borrow().term().unwrap()
    }

    pub(crate) async fn propose(&self, id: u64, change: Change) -> Applied {
        self.replica(id)
            .propose(Actor::operator("test"), change)
            .await
            .unwrap()
    }

    /// Writes one hostname through node `id`.
    pub(crate) async fn write(&self, id: u64, number: u64) -> Result<Applied, ProposeError> {
        self.replica(id)
            .propose(Actor::operator("test"), authorize(number))
            .await
    }

    /// Waits until `nodes` have applied `index`, then checks that they agree byte for
    /// byte if they stand at the same index.
    pub(crate) async fn converge(&self, nodes: &[u64], index: Index) {
        until("all have applied", || {
            nodes.iter().all(|id| self.state(*id).index() >= index)
        })
        .await;
        let mut alike: BTreeMap<Index, (u64, Vec<_>)> = BTreeMap::new();
        for id in nodes {
            let state = self.state(*id);
            let records: Vec<_> = state.records().collect();
            let (other, expected) = alike
                .entry(state.index())
                .or_insert_with(|| (*id, records.clone()));
            assert_eq!(
                records,
                *expected,
                "nodes {id} and {other} differ at {}",
                state.index()
            );
        }
    }

    pub(crate) fn slow_flushes(&self, ms: u64) {
        for node in self.nodes.values() {
            node.faults.flush_ms.store(ms, Ordering::SeqCst);
        }
    }
}

pub(crate) fn authorize(number: u64) -> Change {
    state::testing::authorize(&name(number))
}

pub(crate) fn name(number: u64) -> String {
    format!("shop{number}.customer.example")
}

/// Serves a replica's peers until it is shut down, as a node does.
async fn serve(replica: Arc<Replica>, listener: TcpListener) {
    let (accepted, incoming) = tokio::sync::mpsc::channel::<std::io::Result<Accepted>>(16);
    let accepting = async move {
        while let Ok((stream, _)) = listener.accept().await {
            let accepted = accepted.clone();
            tokio::spawn(async move {
                if let Ok(stream) = Accepted::greet(stream).await {
                    let _ = accepted.send(Ok(stream)).await;
                }
            });
        }
    };
    let mut halted = replica.halted();
    let service = replica.peer_service();
    drop(replica);
    let serving = tonic::transport::Server::builder()
        .add_service(service)
        .serve_with_incoming(tokio_stream::wrappers::ReceiverStream::new(incoming));
    tokio::select! {
        () = accepting => {}
        _ = serving => {}
        _ = halted.wait_for(|halt| *halt == Some(Halt::Shutdown)) => {}
    }
}

/// Polls until `ready`, with a deadline.
pub(crate) async fn until(what: &str, mut ready: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !ready() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Short logs, so that snapshots and purges happen.
pub(crate) fn short_logs() -> Config {
    Config {
        snapshot_entries: 30,
        keep_entries: 5,
        ..Config::default()
    }
}
