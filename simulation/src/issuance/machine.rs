//! A node's machine in this scenario: the production replica and leader, and a double of
//! the edge.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use consensus::{Identity, Parts, Replica};
use leader::issuance::acme::{AcmeAuthorities, Dial, Stream};
use leader::issuance::request::FreshKeys;
use leader::verification::agreement::Agreement;
use leader::verification::egress::Egress;
use leader::verification::fetch::Web;
use leader::verification::ownership::Rules;
use leader::verification::probe::Prober;
use leader::verification::resolver::{self, Dns};
use leader::verification::survey::Surveyor;
use leader::{Leader, Ports};
use state::ports::{Clock, Leadership, Members, Propose};
use state::testing::{Known, MaskSeal, found as founding};
use state::{Change, Hostname, NodeId, Term};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use turmoil::net::{TcpListener, TcpStream};

use super::doubles::{PaperIdentities, SeededJitter, Serving};
use super::edge;
use crate::chance::Chance;
use crate::clock::MachineClock;
use crate::disk::Disk;
use crate::founding::{admit, done, machine as newcomer};
use crate::network::{Dialer, address, listen, serve};

/// How long the founding may take: the leader makes no voter of a member before it has
/// kept up for two seconds.
const FOUNDED_WITHIN: Duration = Duration::from_secs(30);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // One thread only; each holder leaves it whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A machine's place in the world: what it keeps while it is down.
pub(super) struct Seat {
    pub(super) node: NodeId,
    pub(super) disk: Disk,
    config: consensus::Config,
    serving: Serving,
    chance: Mutex<Chance>,
    /// As the node last knew it, while it is up.
    leadership: Mutex<Option<watch::Receiver<Leadership>>>,
}

impl Seat {
    pub(super) fn new(node: NodeId, disk: Disk, mut chance: Chance, serving: Serving) -> Self {
        Self {
            node,
            disk,
            config: crate::host::config(&mut chance),
            serving,
            chance: Mutex::new(chance),
            leadership: Mutex::default(),
        }
    }

    /// The term that it leads, if it does.
    pub(super) fn leads(&self) -> Option<Term> {
        match *lock(&self.leadership).as_ref()?.borrow() {
            Leadership::Leading(term) => Some(term),
            Leadership::Following { .. } | Leadership::Stopped => None,
        }
    }

    /// The machine went down at `elapsed`.
    pub(super) fn close(&self, elapsed: Duration) {
        self.serving.leave(self.node, elapsed);
        self.lead(None);
    }

    fn lead(&self, leadership: Option<watch::Receiver<Leadership>>) {
        *lock(&self.leadership) = leadership;
    }

    fn fork(&self) -> Chance {
        lock(&self.chance).fork()
    }
}

/// How the cluster is to be founded, and what came of it.
pub(super) struct Plan {
    pub(super) nodes: Vec<NodeId>,
    pub(super) hostnames: Vec<Hostname>,
    pub(super) root_pem: String,
    pub(super) outcome: Mutex<Option<Result<(), String>>>,
}

impl Plan {
    pub(super) fn outcome(&self) -> Option<Result<(), String>> {
        lock(&self.outcome).clone()
    }
}

/// The software of a machine, from power-on to power-off. The first of `plan`'s nodes
/// founds the cluster when it is switched on for the first time.
pub(super) async fn run(seat: Arc<Seat>, plan: Arc<Plan>) -> turmoil::Result {
    let parts = Parts {
        identity: Identity {
            cluster: founding().cluster_id,
            node: seat.node,
        },
        store: Arc::new(seat.disk.clone()),
        dial: Arc::new(Dialer),
        clock: Arc::new(MachineClock),
        config: seat.config,
    };
    let replica = Arc::new(Replica::start(parts).await?);
    tokio::spawn(serve(listen().await?, Arc::clone(&replica)));
    seat.lead(Some(replica.leadership()));
    seat.serving.enter(seat.node, replica.state());
    tokio::spawn(open_edge(Arc::clone(&replica)));
    let leader = Leader::start(leader::Config::new(seat.node), ports(&seat, &replica));
    if plan.nodes.first() == Some(&seat.node) && plan.outcome().is_none() {
        let founded = found(&replica, &plan).await;
        *lock(&plan.outcome) = Some(founded);
    }
    let halt = replica.halted().wait_for(Option::is_some).await?.clone();
    leader.shutdown().await;
    Err(format!("node {} halted: {halt:?}", seat.node).into())
}

fn ports(seat: &Seat, replica: &Arc<Replica>) -> Ports {
    let clock: Arc<dyn Clock> = Arc::new(MachineClock);
    let authorities = AcmeAuthorities::new(Arc::new(Road), replica.clone(), Arc::clone(&clock));
    Ports {
        states: replica.state(),
        leadership: replica.leadership(),
        propose: replica.clone(),
        lease: replica.clone(),
        members: replica.clone(),
        serving: Arc::new(seat.serving.clone()),
        bodies: replica.clone(),
        seal: Arc::new(MaskSeal),
        identities: Arc::new(PaperIdentities),
        clock,
        authorities: Arc::new(authorities),
        surveyor: surveyor(Arc::new(SeededJitter::new(seat.fork()))),
        requests: Arc::new(FreshKeys),
        jitter: Arc::new(SeededJitter::new(seat.fork())),
    }
}

/// An operator's word is enough here, so nobody is ever asked.
fn surveyor(jitter: Arc<SeededJitter>) -> Surveyor {
    let dns = resolver::Config {
        authoritative: false,
        ..resolver::Config::new(Vec::new())
    };
    let prober = Prober {
        resolver: Arc::new(Dns::new(dns, jitter.clone())),
        fetch: Arc::new(Web::new(Egress::default())),
        reach: Arc::new(Known),
        jitter,
        http_port: 80,
        tls_port: 443,
    };
    let rules = Rules {
        agreement: Agreement::majority(0),
        traffic: false,
    };
    Surveyor::new(prober, rules)
}

/// The road to the CA, over the simulated network.
struct Road;

#[async_trait]
impl Dial for Road {
    async fn dial(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>> {
        Ok(Box::new(TcpStream::connect((host, port)).await?))
    }
}

/// A node takes no requests before it has caught up once.
async fn open_edge(replica: Arc<Replica>) {
    while replica.barrier().await.is_err() {
        sleep(PAUSE).await;
    }
    let states = replica.state();
    drop(replica);
    if let Ok(listener) = TcpListener::bind(("0.0.0.0", edge::PORT)).await {
        edge::serve(listener, states).await;
    }
}

/// Founds the cluster and admits its members, leaves it to the leader to make them
/// voters, and then authorizes the hostnames.
async fn found(replica: &Replica, plan: &Plan) -> Result<(), String> {
    let Some((first, others)) = plan.nodes.split_first() else {
        return Err("there are no nodes".into());
    };
    let formed = replica.form(&address(*first)).await;
    formed.map_err(|error| error.to_string())?;
    let mut command = founding();
    command.founder = newcomer(*first);
    command
        .ca
        .settings
        .trust_roots_pem
        .clone_from(&plan.root_pem);
    done(replica, Change::Found(Box::new(command))).await?;
    for node in others {
        admit(replica, *node).await?;
    }
    let deadline = Instant::now() + FOUNDED_WITHIN;
    loop {
        let configuration = replica.configuration();
        if configuration.voters.len() == plan.nodes.len() && !configuration.joint {
            break;
        }
        if Instant::now() >= deadline {
            return Err(format!("the members are {configuration:?}"));
        }
        sleep(PAUSE).await;
    }
    for hostname in &plan.hostnames {
        let hostname = hostname.clone();
        done(replica, state::testing::authorize(hostname.as_str())).await?;
    }
    Ok(())
}
