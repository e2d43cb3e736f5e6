//! The software of a node's machine, from power-on to power-off: the production replica,
//! leader and serving set, and a double of the edge over the production view.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cluster::identity::{NodeKeys, Public, SeedPeer};
use cluster::serving::challenge::Challenges;
use cluster::serving::{Health, Own};
use cluster::{Roster, Serving, ServingService};
use consensus::{IdentityError, Parts, Replica, StartError};
use leader::issuance::acme::AcmeAuthorities;
use leader::issuance::pace::Backoff;
use leader::verification::agreement::Agreement;
use leader::verification::ownership::Rules;
use leader::verification::probe::Prober;
use leader::verification::survey::Surveyor;
use leader::{Leader, Ports};
use state::ports::{Clock, Propose};
use state::testing::Known;
use state::{FeatureLevel, Index, NodeId};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use turmoil::net::TcpListener;

use crate::balancer::Balancer;
use crate::desk;
use crate::diary::Diary;
use crate::dns::Asking;
use crate::identities::{PaperIdentities, PaperSeal};
use crate::keys::Seeded;
use crate::network::{Dialer, host, listen, serve};
use crate::port80::{self, Port80};
use crate::road::{Road, Witness};
use crate::roll::Roll;
use crate::scenario::Allowance;
use crate::seat::{DESK, Report, Running, Seat};

/// What all machines are told alike.
pub(crate) struct World {
    pub(crate) roll: Arc<Roll>,
    /// Of what is said to the CA.
    pub(crate) witness: Witness,
    /// What clients of the CA must trust.
    pub(crate) root_pem: String,
    /// Whether hostnames must be proven.
    pub(crate) proof: bool,
    /// How many orders the CA is said to allow.
    pub(crate) orders: Option<Allowance>,
    /// How long a learner keeps up before it votes.
    pub(crate) stable_for: Duration,
}

/// Between two looks whether the node has caught up.
const PAUSE: Duration = Duration::from_millis(20);

/// See the module.
pub(crate) async fn run(seat: Arc<Seat>, world: Arc<World>) -> turmoil::Result {
    let roster = Arc::new(Roster::new(&identity(&seat)?));
    let (expelled, mut told) = watch::channel(false);
    let dialer = Arc::new(Dialer {
        roll: Arc::clone(&world.roll),
        roster: Arc::clone(&roster),
        expelled,
    });
    let clock: Arc<dyn Clock> = Arc::clone(&seat.clock) as _;
    let parts = Parts {
        identity: seat.identity,
        took_part: seat.took_part(),
        store: Arc::new(seat.disk.clone()),
        dial: Arc::clone(&dialer) as _,
        clock: Arc::clone(&clock),
        config: seat.config,
    };
    let replica = match Replica::start(parts).await {
        Err(StartError::Identity(error @ IdentityError::Amnesia { .. })) => {
            seat.report(Report::Refused(error.to_string()));
            return Ok(());
        }
        // What it cannot read it does not guess.
        Err(
            error @ (StartError::Store(_)
            | StartError::Identity(IdentityError::Store(_))
            | StartError::State(_)
            | StartError::Raft(_)),
        ) if seat.disk.is_rotten() => {
            seat.report(Report::Refused(error.to_string()));
            return Ok(());
        }
        started => Arc::new(started?),
    };
    seat.note_part();
    roster.follow(replica.state());
    let (published, own) = own();
    let chance = Arc::new(Seeded::new(seat.fork()));
    let serving = Serving::new(Arc::clone(&roster), own, clock, chance);
    let serving = Arc::new(serving);
    let challenges = Arc::new(Challenges::new(
        Arc::clone(&serving),
        Arc::clone(&dialer) as _,
        Arc::clone(&replica) as _,
        replica.leadership(),
    ));
    let edge = Arc::new(Port80::new(
        replica.state().borrow().clone(),
        challenges.clone(),
    ));
    let service = ServingService::new(Arc::clone(&serving), challenges);
    tokio::spawn(Arc::clone(&serving).tell_members(dialer.clone()));
    tokio::spawn(Arc::clone(&serving).keep_tickets(dialer));
    tokio::spawn(serve(
        listen().await?,
        Arc::clone(&replica),
        service,
        Arc::clone(&roster),
        seat.post.clone(),
    ));
    tokio::spawn(Arc::clone(&edge).publish(replica.state(), published));
    tokio::spawn(open_edge(Arc::clone(&replica), edge));
    let leader = Leader::start(
        settings(&seat, &world),
        ports(&seat, &world, &replica, serving),
    );

    let (desk, mut requests) = mpsc::channel(DESK);
    let (mut state, mut leadership) = (replica.state(), replica.leadership());
    // What it begins with is news.
    state.mark_changed();
    leadership.mark_changed();
    seat.open(Running {
        desk,
        state,
        leadership,
        halted: replica.halted(),
    });
    let mut states = replica.state();
    let me = seat.node();
    loop {
        tokio::select! {
            biased;
            _ = told.wait_for(|expelled| *expelled) => break,
            _ = states.wait_for(|state| state.is_removed(me)) => break,
            request = requests.recv() => match request {
                Some(request) => {
                    let (seat, world) = (Arc::clone(&seat), Arc::clone(&world));
                    tokio::spawn(desk::handle(seat, world, Arc::clone(&replica), request));
                }
                None => break,
            },
        }
    }
    leader.shutdown().await;
    seat.report(Report::Expelled);
    Ok(())
}

/// What the serving set and links need of it. Its keys are not used.
fn identity(seat: &Seat) -> turmoil::Result<cluster::Identity> {
    Ok(cluster::Identity {
        public: Public {
            cluster: seat.identity.cluster,
            node: seat.node(),
            name: String::new(),
            root: Bytes::new(),
            chain: Vec::new(),
            seeds: seat.seeds.iter().copied().map(seed).collect(),
            took_part: seat.took_part(),
        },
        keys: NodeKeys::generate()?,
        data_keys: Default::default(),
    })
}

fn seed(node: NodeId) -> SeedPeer {
    SeedPeer {
        node,
        peer_address: host(node),
        public_key: Bytes::new(),
    }
}

fn own() -> (watch::Sender<Index>, Own) {
    let (published, told) = watch::channel(Index(0));
    let (_, health) = watch::channel(Health::default());
    let own = Own {
        published: told,
        health,
        version: String::new(),
        level: FeatureLevel::NEWEST,
    };
    (published, own)
}

/// Production's, but for waits that are longer than a run.
fn settings(seat: &Seat, world: &World) -> leader::Config {
    let mut config = leader::Config::new(seat.node());
    config.membership.stable_for = world.stable_for;
    config.data_key_overlap = Duration::from_secs(2);
    config.verification.first = Duration::from_secs(1);
    let steps = [1, 2, 4, 8].map(Duration::from_secs);
    config.backoff = Backoff {
        steps: steps.to_vec(),
    };
    config
}

fn ports(seat: &Arc<Seat>, world: &World, replica: &Arc<Replica>, serving: Arc<Serving>) -> Ports {
    let clock: Arc<dyn Clock> = Arc::clone(&seat.clock) as _;
    let road = Arc::new(Road(world.witness.clone()));
    let authorities = AcmeAuthorities::new(road, replica.clone(), Arc::clone(&clock));
    let seeded = || Arc::new(Seeded::new(seat.fork()));
    Ports {
        states: replica.state(),
        leadership: replica.leadership(),
        propose: Arc::new(Diary {
            replica: Arc::clone(replica),
            seat: Arc::clone(seat),
        }),
        lease: replica.clone(),
        members: replica.clone(),
        serving,
        bodies: replica.clone(),
        seal: Arc::new(PaperSeal(replica.state())),
        identities: Arc::new(PaperIdentities),
        clock,
        authorities: Arc::new(authorities),
        surveyor: surveyor(world, seeded()),
        requests: seeded(),
        jitter: seeded(),
    }
}

fn surveyor(world: &World, jitter: Arc<Seeded>) -> Surveyor {
    let prober = Prober {
        resolver: Arc::new(Asking),
        fetch: Arc::new(Balancer(Arc::clone(&world.roll))),
        reach: Arc::new(Known),
        jitter,
        http_port: 80,
        tls_port: 443,
    };
    let rules = Rules {
        agreement: Agreement::majority(3),
        traffic: false,
    };
    Surveyor::new(prober, rules)
}

/// A node takes no requests before it has caught up once.
async fn open_edge(replica: Arc<Replica>, edge: Arc<Port80>) {
    while replica.barrier().await.is_err() {
        sleep(PAUSE).await;
    }
    drop(replica);
    if let Ok(listener) = TcpListener::bind(("0.0.0.0", port80::PORT)).await {
        edge.serve(listener).await;
    }
}
