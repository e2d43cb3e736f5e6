//! Where a run takes place: lets time pass, does what it is told to the cluster, and
//! writes down all that can be seen, checking each event.

use state::{Index, NodeId};

use crate::chance::Chance;
use crate::cluster::Cluster;
use crate::digest::Digest;
use crate::events::{Event, Journal, What};
use crate::faults::{Fault, Step};
use crate::host::{News, Report as Told, Request};
use crate::invariants::{self, Invariant};
use crate::operation::{Answer, Op};
use crate::oracle::Oracle;
use crate::run::Violation;
use crate::tally::Tally;
use crate::views::Views;
use crate::workload::{Call, Workload};

/// All that a node has, or why it could not be read.
pub(crate) type Survey = Result<(Index, Digest), String>;

/// See the module.
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) workload: Workload,
    pub(crate) oracle: Oracle,
    pub(crate) views: Views,
    pub(crate) tick: u64,
    /// What came of the founding.
    pub(crate) founded: Option<Result<(), String>>,
    /// What came of the last surveys.
    pub(crate) surveys: Vec<(NodeId, Survey)>,
    invariants: Vec<Box<dyn Invariant>>,
    journal: Journal,
    tally: Tally,
}

impl Stage {
    /// A cluster of so many replicas, not founded yet.
    pub(crate) fn new(chance: &mut Chance, replicas: u64) -> std::io::Result<Self> {
        consensus::seed_thread(chance.seed());
        Ok(Self {
            workload: Workload::new(chance.fork()),
            cluster: Cluster::new(&mut chance.fork(), replicas)?,
            oracle: Oracle::default(),
            views: Views::default(),
            tick: 0,
            founded: None,
            surveys: Vec::new(),
            invariants: invariants::all(),
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
        self.cluster
            .step()
            .map_err(|why| self.violation("replicas start on their own disks", why))?;
        let mut answers = Vec::new();
        for (node, mut news) in self.cluster.news() {
            for report in std::mem::take(&mut news.reports) {
                match report {
                    Told::Founded(founded) => self.founded = Some(founded),
                    Told::Surveyed(survey) => self.surveys.push((node, survey)),
                    Told::Answered(op, answer) => answers.push((op, node, answer)),
                }
            }
            self.look(node, news)?;
        }
        answers.sort_by_key(|(op, ..)| *op);
        answers
            .into_iter()
            .try_for_each(|(op, node, answer)| self.answered(node, op, answer))
    }

    fn look(&mut self, node: NodeId, news: News) -> Result<(), Violation> {
        if let Some(leadership) = news.leadership {
            self.views.of(node).leadership = Some(leadership);
            self.record(What::Led { node, leadership })?;
        }
        if let Some(state) = news.state {
            let digest = Digest::of_records(&state);
            self.views.of(node).applied = Some((state.index(), digest));
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

    /// Does something to the cluster.
    pub(crate) fn inflict(&mut self, step: Step) -> Result<(), Violation> {
        match step {
            Step::Cut(pairs) => {
                self.cluster.cut(&pairs);
                self.record(What::Fault(Fault::Cut(pairs)))
            }
            Step::Heal => {
                self.cluster.heal();
                self.record(What::Fault(Fault::Healed))
            }
            Step::Crash(node) => self.crash(node),
            Step::Restart(node) if self.cluster.restart(node) => {
                self.record(What::Fault(Fault::Restarted { node }))
            }
            Step::FailDisk(node) if self.cluster.set_failing(node, true) => {
                self.record(What::Fault(Fault::DiskFails { node }))
            }
            Step::MendDisk(node) if self.cluster.set_failing(node, false) => {
                self.record(What::Fault(Fault::DiskMended { node }))
            }
            Step::Restart(_) | Step::FailDisk(_) | Step::MendDisk(_) => Ok(()),
        }
    }

    /// Whoever waits for an answer of the node that goes down will not get one.
    fn crash(&mut self, node: NodeId) -> Result<(), Violation> {
        let Some(lost) = self.cluster.crash(node) else {
            return Ok(());
        };
        self.views.of(node).leadership = None;
        self.record(What::Fault(Fault::Crashed { node, lost }))?;
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
