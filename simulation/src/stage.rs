//! Where a run takes place: lets time pass, does what it is told to the cluster, and
//! writes down all that can be seen, checking each event.

use std::sync::Arc;

use state::{Index, NodeId};

use crate::chance::Chance;
use crate::cluster::Cluster;
use crate::digest::Digest;
use crate::events::{Event, Journal, What};
use crate::invariants::{self, Invariant};
use crate::operation::{Answer, Op};
use crate::oracle::Oracle;
use crate::run::Violation;
use crate::scenario::{Settings, Task};
use crate::seat::{News, Report as Told, Request};
use crate::tally::Tally;
use crate::troubles::round;
use crate::views::Views;
use crate::workload::{Call, IN_FLIGHT_MAX, Workload};

/// All that a node has, or why it could not be read.
pub(crate) type Survey = Result<(Index, Digest), String>;

/// How often it is written down how many calls were carried, in milliseconds.
const COUNT_EVERY: u64 = 250;

/// See the module.
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) workload: Workload,
    pub(crate) oracle: Oracle,
    pub(crate) views: Views,
    pub(crate) tick: u64,
    /// Something is wrong at present.
    pub(crate) troubled: bool,
    /// What came of the founding.
    pub(crate) founded: Option<Result<(), String>>,
    /// What came of the last surveys.
    pub(crate) surveys: Vec<(NodeId, Survey)>,
    invariants: Vec<Box<dyn Invariant>>,
    journal: Journal,
    tally: Tally,
}

impl Stage {
    /// A cluster that is not founded yet.
    pub(crate) fn new(chance: &mut Chance, settings: &Settings) -> std::io::Result<Self> {
        consensus::seed_thread(chance.seed());
        Ok(Self {
            workload: Workload::new(settings.machines),
            cluster: Cluster::new(&mut chance.fork(), settings)?,
            oracle: Oracle::default(),
            views: Views::default(),
            tick: 0,
            troubled: false,
            founded: None,
            surveys: Vec::new(),
            invariants: invariants::all(settings),
            journal: Journal::new(),
            tally: Tally::default(),
        })
    }

    /// Ends it: what was seen.
    pub(crate) fn close(mut self) -> (Journal, Tally) {
        self.tally.snapshots = self.cluster.snapshots();
        (self.journal, self.tally)
    }

    /// Lets a tick pass and records what can be seen of it. In the order of nodes and
    /// calls: the order of things within a tick is nobody's promise.
    pub(crate) fn step(&mut self) -> Result<(), Violation> {
        self.tick += 1;
        let entered = self.cluster.step();
        let entered =
            entered.map_err(|why| self.violation("machines run while they have power", why))?;
        for node in entered {
            self.record(What::Entered { node })?;
        }
        let (mut answers, mut duties) = (Vec::new(), Vec::new());
        for (node, mut news) in self.cluster.news() {
            let mut expelled = false;
            for report in std::mem::take(&mut news.reports) {
                match report {
                    Told::Founded(founded) => self.founded = Some(founded),
                    Told::Surveyed(survey) => self.surveys.push((node, survey)),
                    Told::Answered(op, answer) => answers.push((op, node, answer)),
                    Told::Did(term, index) => duties.push((index, node, term)),
                    Told::Expelled => expelled = true,
                }
            }
            self.look(node, news)?;
            if expelled {
                self.expelled(node)?;
            }
        }
        answers.sort_by_key(|(op, ..)| *op);
        answers
            .into_iter()
            .try_for_each(|(op, node, answer)| self.answered(node, op, answer))?;
        duties.sort_unstable();
        for (index, node, term) in duties {
            self.record(What::Did { node, term, index })?;
        }
        for deed in self.cluster.deeds() {
            self.record(What::Ca(deed))?;
        }
        if self.tick.is_multiple_of(COUNT_EVERY) {
            let carried = self.cluster.carried();
            self.record(What::Carried(carried))?;
        }
        Ok(())
    }

    fn look(&mut self, node: NodeId, news: News) -> Result<(), Violation> {
        if let Some(leadership) = news.leadership {
            self.views.of(node).leadership = Some(leadership);
            self.record(What::Led { node, leadership })?;
        }
        if let Some(state) = news.state {
            let digest = Digest::of_records(&state);
            let view = self.views.of(node);
            view.applied = Some((state.index(), digest));
            view.state = Some(Arc::clone(&state));
            self.record(What::Applied {
                node,
                state,
                digest,
            })?;
        }
        let why = match news.halted {
            None => return Ok(()),
            Some(None) => return self.record(What::Resumed { node }),
            Some(Some(halt)) => halt.to_string(),
        };
        self.record(What::Halted {
            node,
            why: why.clone(),
        })?;
        if self.cluster.has_failed(node) {
            return Ok(());
        }
        Err(self.violation(
            "no replica halts while its disk works",
            format!("node {node}: {why}"),
        ))
    }

    /// Does a task at the node of that place, if there is room and something to do.
    pub(crate) fn task(&mut self, task: &Task, place: u64) -> Result<(), Violation> {
        if self.oracle.in_flight() >= IN_FLIGHT_MAX {
            return Ok(());
        }
        let Some(node) = round(self.cluster.up(), place) else {
            return Ok(());
        };
        match self.workload.call(task, node, &self.views.latest()) {
            Some(call) => self.call(call),
            None => Ok(()),
        }
    }

    /// Makes a call; not if the node is just starting.
    pub(crate) fn call(&mut self, call: Call) -> Result<(), Violation> {
        let Call {
            op,
            node,
            operation,
        } = call;
        if !self.cluster.ask(node, Request::Call(op, operation.clone())) {
            return Ok(());
        }
        self.record(What::Asked {
            op,
            node,
            operation,
        })
    }

    fn answered(&mut self, node: NodeId, op: Op, answer: Answer) -> Result<(), Violation> {
        if let Some(promise) = self.oracle.promise(op) {
            self.workload.answered(&promise.operation, &answer);
        }
        self.record(What::Answered { op, node, answer })
    }

    /// Whoever waits for an answer of the node that goes down will not get one.
    pub(crate) fn crash(&mut self, node: NodeId, torn: bool) -> Result<(), Violation> {
        let Some(lost) = self.cluster.crash(node, torn) else {
            return Ok(());
        };
        self.views.of(node).leadership = None;
        self.record(What::Crashed { node, lost })?;
        self.give_up(node)
    }

    /// Switches it on again, if it is off.
    pub(crate) fn restart(&mut self, node: NodeId) -> Result<(), Violation> {
        if self.cluster.restart(node) {
            self.record(What::Restarted { node })?;
        }
        Ok(())
    }

    /// It was removed from the cluster.
    pub(crate) fn expelled(&mut self, node: NodeId) -> Result<(), Violation> {
        self.cluster.retire(node);
        self.views.0.remove(&node);
        self.record(What::Expelled { node })?;
        self.give_up(node)
    }

    fn give_up(&mut self, node: NodeId) -> Result<(), Violation> {
        let waiting = self.oracle.in_flight_at(node);
        waiting
            .into_iter()
            .try_for_each(|op| self.answered(node, op, Answer::Unknown))
    }

    /// Writes an event down and checks that all still holds.
    pub(crate) fn record(&mut self, what: What) -> Result<(), Violation> {
        let event = Event {
            tick: self.tick,
            what,
        };
        self.journal.push(&event);
        self.oracle.note(&event);
        self.tally.note(&event);
        for invariant in &mut self.invariants {
            let holds = invariant.check(&event, &self.oracle);
            holds.map_err(|what| Violation::new(invariant.name(), event.tick, what))?;
        }
        Ok(())
    }

    /// Something did not hold now.
    pub(crate) fn violation(&self, invariant: &str, what: impl Into<String>) -> Violation {
        Violation::new(invariant, self.tick, what)
    }
}
