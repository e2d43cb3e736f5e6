//! A machine's place in the world: what it keeps while it is down, what can be seen of it
//! from outside, and a desk at which the simulation asks for what a node's own rooms would
//! ask.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use consensus::store::Store;
use consensus::{Config, Halt, Identity};
use state::ports::Leadership;
use state::{Hostname, Index, NodeId, State, Term};
use tokio::sync::{mpsc, watch};

use crate::chance::Chance;
use crate::clock::MachineClock;
use crate::disk::Disk;
use crate::events::Kept;
use crate::operation::{Answer, Op, Operation};
use crate::post::Post;
use crate::stage::Survey;
use crate::workload;

/// Requests at the desk; the workload never has as many in flight.
pub(crate) const DESK: usize = workload::IN_FLIGHT_MAX * 2;

/// What the simulation asks a node.
#[derive(Debug)]
pub(crate) enum Request {
    /// Found the cluster, and admit these machines.
    Found(Vec<u64>),
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
    /// A duty of that term was done, at that place in the log: for which hostname `newOrder`
    /// may be sent now, if it may.
    Did(Term, Index, Option<Hostname>),
    /// It was removed, knows it, and has ended.
    Expelled,
    /// Its replica refuses to start on what its disk holds, and says why.
    Refused(String),
}

/// A machine's place in the world: what it keeps while it is down, and what can be
/// seen of it from outside.
pub(crate) struct Seat {
    pub(crate) identity: Identity,
    pub(crate) disk: Disk,
    pub(crate) config: Config,
    pub(crate) clock: Arc<MachineClock>,
    pub(crate) post: Post,
    /// The members as it was told of them when it was let in.
    pub(crate) seeds: Vec<NodeId>,
    /// As its identity file says, which outlives its disk.
    took_part: AtomicBool,
    chance: Mutex<Chance>,
    window: Mutex<Window>,
}

#[derive(Default)]
struct Window {
    running: Option<Running>,
    reports: Vec<Report>,
}

/// What can be seen of a machine that is up.
pub(crate) struct Running {
    pub(crate) desk: mpsc::Sender<Request>,
    pub(crate) state: watch::Receiver<Arc<State>>,
    pub(crate) leadership: watch::Receiver<Leadership>,
    pub(crate) halted: watch::Receiver<Option<Halt>>,
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
    pub(crate) fn new(
        identity: Identity,
        seeds: Vec<NodeId>,
        disk: Disk,
        mut chance: Chance,
        drift_ppm: i64,
    ) -> Self {
        Self {
            identity,
            seeds,
            disk,
            config: config(&mut chance),
            clock: Arc::new(MachineClock::new(drift_ppm)),
            post: Post::new(chance.fork()),
            took_part: AtomicBool::new(false),
            chance: Mutex::new(chance),
            window: Mutex::default(),
        }
    }

    pub(crate) fn node(&self) -> NodeId {
        self.identity.node
    }

    /// Whether its replica has run before.
    pub(crate) fn took_part(&self) -> bool {
        self.took_part.load(Ordering::Relaxed)
    }

    /// Its replica runs.
    pub(crate) fn note_part(&self) {
        self.took_part.store(true, Ordering::Relaxed);
    }

    /// The generation of its state, and the entries of its log that it has applied from
    /// `after` to `upto`. None if that is another generation than the one before: then
    /// a snapshot brought it there, and what stands in its log may never have been
    /// applied, nor been removed yet.
    pub(crate) fn applied(
        &self,
        before: Option<u64>,
        after: Index,
        upto: Index,
    ) -> (Option<u64>, Vec<(Index, Vec<u8>)>) {
        let generation = self.disk.current_generation().ok().flatten();
        if generation != before {
            return (generation, Vec::new());
        }
        let entry = |index| Some((Index(index), self.disk.entry(index)?));
        let entries = (after.0 + 1..=upto.0).filter_map(entry).collect();
        (generation, entries)
    }

    /// What its disk holds.
    pub(crate) fn kept(&self) -> Option<Kept> {
        let (entries, first, snapshots) = self.disk.holds().ok()?;
        // As many again as it keeps gather before the log is cut.
        let kept = 2 * self.config.keep_entries;
        Some(Kept {
            entries,
            first,
            snapshots,
            wanted: self.config.snapshot_entries + kept,
        })
    }

    /// Chance for the software, another one at each start.
    pub(crate) fn fork(&self) -> Chance {
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        chance.fork()
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

    pub(crate) fn open(&self, running: Running) {
        self.lock().running = Some(running);
    }

    pub(crate) fn report(&self, report: Report) {
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

/// The timers of production, and a log so short that snapshots, purges and installs
/// happen.
fn config(chance: &mut Chance) -> Config {
    Config {
        snapshot_entries: chance.between(10, 100),
        keep_entries: chance.between(1, 20),
        ..Config::default()
    }
}
