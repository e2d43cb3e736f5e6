//! What runs on a simulated machine: the production replica, its listener, and a desk
//! at which the simulation asks for what a node's own rooms would ask.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};
use consensus::{Config, Halt, Identity, Parts, Replica};
use state::ports::{Bodies, Leadership, Propose};
use state::{NodeId, State};
use tokio::sync::{mpsc, watch};

use crate::clock::MachineClock;
use crate::digest::{Digest, feed};
use crate::disk::Disk;
use crate::network::{Dialer, listen, serve};
use crate::operation::{Answer, Op, Operation};
use crate::stage::Survey;
use crate::{founding, workload};

/// Requests at the desk; the workload never has as many in flight.
const DESK: usize = workload::IN_FLIGHT_MAX * 2;

/// What the simulation asks a node.
#[derive(Debug)]
pub(crate) enum Request {
    /// Found the cluster, and make these voters.
    Found(Vec<NodeId>),
    /// Make a client's call.
    Call(Op, Operation),
    /// Tell what all records and bodies amount to.
    Survey,
}

/// What a node tells.
#[derive(Debug)]
pub(crate) enum Report {
    Founded(Result<(), String>),
    Answered(Op, Answer),
    Surveyed(Survey),
}

/// A machine's place in the world: what it keeps while it is down, and what can be
/// seen of it from outside.
pub(crate) struct Seat {
    pub(crate) identity: Identity,
    pub(crate) disk: Disk,
    pub(crate) config: Config,
    window: Mutex<Window>,
}

#[derive(Default)]
struct Window {
    running: Option<Running>,
    reports: Vec<Report>,
}

struct Running {
    desk: mpsc::Sender<Request>,
    state: watch::Receiver<Arc<State>>,
    leadership: watch::Receiver<Leadership>,
    halted: watch::Receiver<Option<Halt>>,
}

/// What changed since it was last looked at.
#[derive(Default)]
pub(crate) struct News {
    pub(crate) state: Option<Arc<State>>,
    pub(crate) leadership: Option<Leadership>,
    /// Why it stands still, or that it runs again.
    pub(crate) halted: Option<Option<Halt>>,
    pub(crate) reports: Vec<Report>,
}

impl Seat {
    pub(crate) fn new(identity: Identity, disk: Disk, config: Config) -> Self {
        Self {
            identity,
            disk,
            config,
            window: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Window> {
        // One thread only; each holder leaves it whole.
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a request in; false if nobody is there, or the desk is full.
    pub(crate) fn ask(&self, request: Request) -> bool {
        self.lock()
            .running
            .as_ref()
            .is_some_and(|running| running.desk.try_send(request).is_ok())
    }

    /// Looks through the window.
    pub(crate) fn news(&self) -> News {
        let mut window = self.lock();
        let mut news = News {
            reports: std::mem::take(&mut window.reports),
            ..News::default()
        };
        if let Some(running) = &mut window.running {
            news.state = changed(&mut running.state);
            news.leadership = changed(&mut running.leadership);
            news.halted = changed(&mut running.halted);
        }
        news
    }

    /// The machine went down.
    pub(crate) fn close(&self) {
        *self.lock() = Window::default();
    }

    fn open(&self, running: Running) {
        self.lock().running = Some(running);
    }

    fn report(&self, report: Report) {
        self.lock().reports.push(report);
    }
}

fn changed<T: Clone>(watch: &mut watch::Receiver<T>) -> Option<T> {
    // A closed watch still has its last value, which was seen already.
    watch
        .has_changed()
        .unwrap_or(false)
        .then(|| watch.borrow_and_update().clone())
}

/// The software of a machine, from power-on to power-off.
pub(crate) async fn run(seat: Arc<Seat>) -> turmoil::Result {
    let parts = Parts {
        identity: seat.identity,
        store: Arc::new(seat.disk.clone()),
        dial: Arc::new(Dialer),
        clock: Arc::new(MachineClock),
        config: seat.config,
    };
    let replica = Arc::new(Replica::start(parts).await?);
    tokio::spawn(serve(listen().await?, Arc::clone(&replica)));
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
    while let Some(request) = requests.recv().await {
        tokio::spawn(handle(Arc::clone(&seat), Arc::clone(&replica), request));
    }
    Ok(())
}

async fn handle(seat: Arc<Seat>, replica: Arc<Replica>, request: Request) {
    let report = match request {
        Request::Found(nodes) => Report::Founded(founding::found(&replica, &nodes).await),
        Request::Call(op, operation) => Report::Answered(op, call(&replica, op, &operation).await),
        Request::Survey => Report::Surveyed(survey(&replica)),
    };
    seat.report(report);
}

async fn call(replica: &Replica, op: Op, operation: &Operation) -> Answer {
    match operation.change(op) {
        Some(change) => Answer::of_proposal(replica.propose(op.actor(), change).await),
        None => match replica.barrier().await {
            Ok(_) => Answer::Read(replica.state().borrow().index()),
            Err(error) => Answer::of_error(&error),
        },
    }
}

/// All records, and all bodies that they name, from the node's own disk.
fn survey(replica: &Replica) -> Survey {
    let state = replica.state().borrow().clone();
    let mut hash = Context::new(&SHA256);
    for (key, value) in state.records() {
        feed(&mut hash, &key);
        feed(&mut hash, &value);
    }
    let mut keys: Vec<_> = state.body_keys().collect();
    keys.sort_unstable();
    for key in keys {
        let body = replica.read(&key).map_err(|error| error.to_string())?;
        let body = body.ok_or_else(|| format!("the body {key:?} is missing"))?;
        feed(&mut hash, &key);
        feed(&mut hash, &body);
    }
    Ok((state.index(), Digest::of(hash)))
}

/// The timers of production, and a log so short that snapshots, purges and installs
/// happen.
pub(crate) fn config(chance: &mut crate::chance::Chance) -> Config {
    Config {
        snapshot_entries: chance.between(10, 100),
        keep_entries: chance.between(1, 20),
        ..Config::default()
    }
}
