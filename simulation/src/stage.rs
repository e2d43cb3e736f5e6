//! Where a run takes place: lets time pass, does what it is told to the cluster, and
//! writes down all that can be seen, checking each event.

use std::collections::BTreeSet;
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

/// How often it is measured what disks hold, in milliseconds.
const MEASURE_EVERY: u64 = 500;

/// How often operators ask for the removal of a machine that does not start, in
/// milliseconds.
const REPLACE_EVERY: u64 = 1000;

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
    /// A disk is lost in this run: nobody else takes members out, so that a quorum of the
    /// voters keeps theirs.
    pub(crate) spare_members: bool,
    /// Whose disk was lost, or cannot be read to the end.
    bereft: Option<NodeId>,
    /// Those that do not start, and are not removed yet.
    refused: BTreeSet<NodeId>,
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
            spare_members: false,
            bereft: None,
            refused: BTreeSet::new(),
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
        self.heed()?;
        let (mut answers, mut duties) = (Vec::new(), Vec::new());
        for (node, mut news) in self.cluster.news() {
            let (mut expelled, mut refused) = (false, None);
            for report in std::mem::take(&mut news.reports) {
                match report {
                    Told::Founded(founded) => self.founded = Some(founded),
                    Told::Surveyed(survey) => self.surveys.push((node, survey)),
                    Told::Answered(op, answer) => answers.push((op, node, answer)),
                    Told::Did(term, index, orders) => {
                        duties.push((index, node, term, orders));
                    }
                    Told::Expelled => expelled = true,
                    Told::Refused(why) => refused = Some(why),
                }
            }
            self.look(node, news)?;
            if expelled {
                self.expelled(node)?;
            }
            if let Some(why) = refused {
                self.refused(node, why)?;
            }
        }
        answers.sort_by_key(|(op, ..)| *op);
        answers
            .into_iter()
            .try_for_each(|(op, node, answer)| self.answered(node, op, answer))?;
        duties.sort_unstable();
        for (index, node, term, orders) in duties {
            self.record(What::Did {
                node,
                term,
                index,
                orders,
            })?;
        }
        for deed in self.cluster.deeds() {
            self.record(What::Ca(deed))?;
        }
        if self.tick.is_multiple_of(COUNT_EVERY) {
            let carried = self.cluster.carried();
            self.record(What::Carried(carried))?;
        }
        if self.tick.is_multiple_of(MEASURE_EVERY) {
            self.record(What::Kept(self.cluster.kept()))?;
        }
        if self.tick.is_multiple_of(REPLACE_EVERY) {
            self.replace_the_refused()?;
        }
        Ok(())
    }

    /// By what each node had published before this tick.
    fn heed(&mut self) -> Result<(), Violation> {
        for (node, callers) in self.cluster.heeded() {
            let view = self.views.0.get(&node);
            let Some(state) = view.and_then(|view| view.state.clone()) else {
                continue;
            };
            for (caller, began) in callers {
                if state.is_removed(caller) {
                    self.record(What::Heeded {
                        node,
                        caller,
                        began,
                    })?;
                }
            }
        }
        Ok(())
    }

    fn look(&mut self, node: NodeId, news: News) -> Result<(), Violation> {
        if let Some(leadership) = news.leadership {
            self.views.of(node).leadership = Some(leadership);
            self.record(What::Led { node, leadership })?;
        }
        if let Some(state) = news.state {
            let digest = Digest::of_state(&state);
            let view = self.views.of(node);
            let after = view.applied.map_or(Index(0), |(index, _)| index);
            let (generation, entries) = self.cluster.seat(node).map_or_else(
                || (None, Vec::new()),
                |seat| seat.applied(view.generation, after, state.index()),
            );
            view.applied = Some((state.index(), digest));
            view.state = Some(Arc::clone(&state));
            view.generation = generation;
            self.record(What::Applied {
                node,
                state,
                digest,
                entries,
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
        if self.oracle.in_flight() >= IN_FLIGHT_MAX
            || (self.spare_members && matches!(task, Task::Expel(_)))
        {
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

    /// Whether `node` may lose its disk: it has taken part, and a quorum of the voters
    /// keeps theirs.
    fn may_lose(&self, node: NodeId) -> bool {
        let seat = self.cluster.seat(node);
        let took_part = seat.is_some_and(|seat| seat.took_part());
        let others_keep = self.bereft.is_none() && self.views.latest().voters().len() >= 3;
        took_part && others_keep
    }

    /// A bit flips on its disk, if it may lose that.
    pub(crate) fn rot(&mut self, node: NodeId) -> Result<(), Violation> {
        let Some(seat) = self.cluster.seat(node).filter(|_| self.may_lose(node)) else {
            return Ok(());
        };
        let rotten = seat.disk.rot();
        let rotten = rotten.map_err(|why| self.violation("a disk can rot", why.to_string()))?;
        if rotten {
            self.bereft = Some(node);
            self.record(What::Rotted { node })?;
        }
        Ok(())
    }

    /// Whoever cannot read all of its disk gets another: its operator saw the errors.
    pub(crate) fn replace_rotten(&mut self) -> Result<(), Violation> {
        let rotten = self.bereft.filter(|node| {
            let seat = self.cluster.seat(*node);
            seat.is_some_and(|seat| seat.disk.is_rotten())
        });
        rotten.map_or(Ok(()), |node| self.lose(node))
    }

    /// It goes down and loses its disk, if it may.
    pub(crate) fn wipe(&mut self, node: NodeId) -> Result<(), Violation> {
        if !self.may_lose(node) {
            return Ok(());
        }
        self.bereft = Some(node);
        self.lose(node)
    }

    fn lose(&mut self, node: NodeId) -> Result<(), Violation> {
        self.crash(node, false)?;
        let wiped = self.cluster.wipe(node);
        wiped.map_err(|why| self.violation("a disk can be replaced", why.to_string()))?;
        self.record(What::Wiped { node })
    }

    /// It does not start, and will not.
    fn refused(&mut self, node: NodeId, why: String) -> Result<(), Violation> {
        if self.bereft != Some(node) {
            let what = format!("node {node}: {why}");
            return Err(self.violation("a machine starts while its disk has its data", what));
        }
        self.cluster.retire(node);
        self.views.0.remove(&node);
        self.refused.insert(node);
        self.record(What::Refused { node, why })
    }

    /// Operators take out whoever does not start, and let another machine in.
    fn replace_the_refused(&mut self) -> Result<(), Violation> {
        let state = self.views.latest();
        let place = self.tick / REPLACE_EVERY;
        for node in self.refused.clone() {
            if state.is_removed(node) {
                self.refused.remove(&node);
                self.task(&Task::Join, place)?;
            } else if let Some(at) = round(self.cluster.up(), place)
                && state.member(node).is_some_and(|member| !member.leaving)
                && self.oracle.in_flight() < IN_FLIGHT_MAX
            {
                let removal = self.workload.removal(at, node);
                self.call(removal)?;
            }
        }
        Ok(())
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
