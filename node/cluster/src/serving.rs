//! The serving set: what each member's edge has published, how far its clock is
//! off, how it does, and which secret it seals session tickets with. Each member tells all
//! others, often and at once when it publishes; nothing of it enters the log.

pub mod challenge;
mod report;
mod service;
mod table;
mod tickets;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use proto::peer::v1 as wire;
use state::{
    FeatureLevel, Index, NodeId,
    ports::{Clock, NodeReport, ServingSet},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

pub use self::service::ServingService;
use self::{
    report::difference,
    table::{Moment, Table},
    tickets::Tickets,
};
use crate::{
    entropy::{Entropy, random},
    roster::Roster,
};

/// A member that was silent for so long is not waited for: eight reports were lost.
pub const HEARD_WITHIN: Duration = Duration::from_secs(2);

/// What ails a newcomer.
const STATELESS: &str = "it has not received the cluster's state yet";

/// How this node does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// What ails it, in a few words each.
    pub faults: Vec<String>,
    /// It is about to stop.
    pub draining: bool,
}

/// What this node is and knows of itself, as watched values.
#[derive(Clone, Debug)]
pub struct Own {
    /// The log index that its edge serves.
    pub published: watch::Receiver<Index>,
    /// How it does.
    pub health: watch::Receiver<Health>,
    /// Its program's version.
    pub version: String,
    /// The highest level to which it lets the cluster rise.
    pub level: FeatureLevel,
}

/// The reports of all members, this node's own among them.
pub struct Serving {
    roster: Arc<Roster>,
    clock: Arc<dyn Clock>,
    own: Own,
    incarnation: u64,
    started: Instant,
    table: Mutex<Table>,
    heard: watch::Sender<u64>,
    tickets: Tickets,
}

impl Serving {
    /// Nothing is heard yet.
    pub fn new(
        roster: Arc<Roster>,
        own: Own,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            roster,
            clock,
            own,
            incarnation: u64::from_be_bytes(random(&*entropy)),
            started: Instant::now(),
            table: Mutex::default(),
            heard: watch::Sender::new(0),
            tickets: Tickets::new(entropy),
        }
    }

    /// What this node says of itself to `to`.
    fn report_to(&self, to: NodeId) -> wire::NodeReport {
        let health = self.health();
        wire::NodeReport {
            envelope: Some(self.envelope(to)),
            published: self.own.published.borrow().0,
            clock_ms: self.clock.now().as_millis(),
            version: self.own.version.clone(),
            feature_level: self.own.level.0,
            faults: health.faults,
            draining: health.draining,
            incarnation: self.incarnation,
            tickets: self.tickets.name().map(tickets::Name::message),
        }
    }

    /// How this node is. A newcomer says that it serves nothing yet, so that nobody waits
    /// until it publishes.
    fn health(&self) -> Health {
        let mut health = self.own.health.borrow().clone();
        if self.roster.state().cluster_id().is_none() {
            health.faults.push(STATELESS.to_owned());
        }
        health
    }

    fn envelope(&self, to: NodeId) -> wire::Envelope {
        wire::Envelope {
            cluster_id: self.roster.cluster().0.to_vec().into(),
            from: self.roster.me().0,
            to: to.0,
        }
    }

    /// True if a message is from `from` to us in our cluster.
    fn is_ours(&self, envelope: Option<&wire::Envelope>, from: NodeId) -> bool {
        envelope.is_some_and(|envelope| {
            envelope.cluster_id[..] == self.roster.cluster().0
                && envelope.from == from.0
                && envelope.to == self.roster.me().0
        })
    }

    fn heard(&self, from: NodeId, report: wire::NodeReport, offset_ms: table::Offset) {
        let now = self.moment();
        self.table().record(from, report, offset_ms, now);
        self.heard.send_modify(|count| *count += 1);
    }

    fn moment(&self) -> Moment {
        Moment {
            instant: Instant::now(),
            bearing_ms: bearing(&*self.clock),
        }
    }

    fn own_report(&self) -> NodeReport {
        let health = self.health();
        NodeReport {
            node: self.roster.me(),
            published: Some(*self.own.published.borrow()),
            clock_offset_ms: 0,
            version: self.own.version.clone(),
            level: Some(self.own.level),
            faults: health.faults,
            draining: health.draining,
            silent: Duration::ZERO,
        }
    }

    /// Those that are heard of, well, not draining and have not published `index`; and
    /// when the first of them will have been silent for too long.
    fn missing(&self, index: Index) -> (Vec<NodeId>, Option<Instant>) {
        let now = Instant::now();
        let mut missing = Vec::new();
        let mut first_silent: Option<Duration> = None;
        for report in self.reports() {
            let behind = report.published.is_none_or(|published| published < index);
            // A member with a fault may never publish anything again.
            let excused = report.draining || !report.faults.is_empty();
            if !behind || excused || report.silent >= HEARD_WITHIN {
                continue;
            }
            missing.push(report.node);
            if report.node != self.roster.me() {
                let left = HEARD_WITHIN.saturating_sub(report.silent);
                first_silent = Some(first_silent.map_or(left, |first| first.min(left)));
            }
        }
        (missing, first_silent.map(|left| now + left))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ServingSet for Serving {
    fn reports(&self) -> Vec<NodeReport> {
        let state = self.roster.state();
        let now = self.moment();
        let table = self.table();
        let report = |node: NodeId| {
            if node == self.roster.me() {
                return self.own_report();
            }
            // Whoever was never heard of had since our start to be.
            table.report(node, now).unwrap_or_else(|| {
                table::never_heard(node, now.instant.duration_since(self.started))
            })
        };
        let mut reports: Vec<_> = state.members().map(|member| report(member.id)).collect();
        if state.member(self.roster.me()).is_none() {
            reports.push(self.own_report());
        }
        reports
    }

    /// Those that are silent for longer than [`HEARD_WITHIN`], those that drain and
    /// those that say that something ails them are not waited for and not in the answer: an empty one means go.
    async fn published(&self, index: Index, within: Duration) -> Vec<NodeId> {
        let deadline = Instant::now() + within;
        let (mut heard, mut own) = (self.heard.subscribe(), self.own.published.clone());
        loop {
            heard.mark_unchanged();
            own.mark_unchanged();
            let (missing, silent_at) = self.missing(index);
            if missing.is_empty() || Instant::now() >= deadline {
                return missing;
            }
            let wake = silent_at.map_or(deadline, |silent| silent.min(deadline));
            tokio::select! {
                _ = heard.changed() => {}
                // A source that is gone says nothing more: time alone wakes then.
                Ok(()) = own.changed() => {}
                () = sleep_until(wake) => {}
            }
        }
    }
}

/// How far the clock of the day is from the one that only ever goes on.
fn bearing(clock: &dyn Clock) -> i64 {
    let since_boot = u64::try_from(clock.boottime().as_millis()).unwrap_or(u64::MAX);
    difference(clock.now().as_millis(), since_boot)
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Serving({:?})", self.roster)
    }
}
