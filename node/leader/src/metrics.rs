//! What the leader counted since this node started.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use state::{FailureClass, Stage};

/// The names of an order's stages, in their order.
pub const STAGES: [&str; 4] = ["admitted", "prepared", "ready-intent", "finalize-intent"];

/// All classes of failure.
pub const CLASSES: [FailureClass; 5] = [
    FailureClass::Challenge,
    FailureClass::Rejected,
    FailureClass::RateLimited,
    FailureClass::Unavailable,
    FailureClass::Unusable,
];

/// The counters themselves.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    takeovers: AtomicU64,
    admitted: AtomicU64,
    resumed: AtomicU64,
    installed: AtomicU64,
    failed: [AtomicU64; CLASSES.len()],
    possible_duplicates: AtomicU64,
    silent_at_barrier: AtomicU64,
    outages: AtomicU64,
    fenced: AtomicU64,
    polled: AtomicU64,
    unanswered: AtomicU64,
    rescheduled: AtomicU64,
    revoked: AtomicU64,
    looks: AtomicU64,
    deferred: AtomicU64,
    lapsed: AtomicU64,
    stages: [StageCounter; STAGES.len()],
}

#[derive(Debug, Default)]
struct StageCounter {
    left: AtomicU64,
    millis: AtomicU64,
}

/// A reading of the counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Terms in which this node took over.
    pub takeovers: u64,
    /// Orders begun.
    pub admitted: u64,
    /// Orders of earlier leaders taken up.
    pub resumed: u64,
    /// Certificates installed.
    pub installed: u64,
    /// Orders that came to nothing, in the order of [`CLASSES`].
    pub failed: [u64; CLASSES.len()],
    /// Orders lost after their finalization was intended: a certificate may exist.
    pub possible_duplicates: u64,
    /// Members that had not published a challenge in time, each time.
    pub silent_at_barrier: u64,
    /// Faults of the CA or of the road to it.
    pub outages: u64,
    /// Requests that were held back because this node might lead no more.
    pub fenced: u64,
    /// Questions when to renew a certificate that the CA answered.
    pub polled: u64,
    /// Those that it did not.
    pub unanswered: u64,
    /// Renewals that were set to another moment.
    pub rescheduled: u64,
    /// Certificates revoked.
    pub revoked: u64,
    /// Looks at hostnames: at claims, and before orders.
    pub looks: u64,
    /// Orders that did not begin because they would have failed.
    pub deferred: u64,
    /// Proofs that held no more before a renewal.
    pub lapsed: u64,
    /// How often each of [`STAGES`] was left, and how long orders were in it altogether.
    pub stages: [(u64, Duration); STAGES.len()],
}

impl Counters {
    pub(crate) fn took_over(&self) {
        self.takeovers.fetch_add(1, Relaxed);
    }

    pub(crate) fn admitted(&self) {
        self.admitted.fetch_add(1, Relaxed);
    }

    pub(crate) fn resumed(&self) {
        self.resumed.fetch_add(1, Relaxed);
    }

    pub(crate) fn installed(&self) {
        self.installed.fetch_add(1, Relaxed);
    }

    pub(crate) fn failed(&self, class: FailureClass) {
        let place = CLASSES.iter().position(|known| *known == class);
        if let Some(counter) = place.and_then(|place| self.failed.get(place)) {
            counter.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn possible_duplicate(&self) {
        self.possible_duplicates.fetch_add(1, Relaxed);
    }

    pub(crate) fn silent_at_barrier(&self, members: usize) {
        let members = u64::try_from(members).unwrap_or(u64::MAX);
        self.silent_at_barrier.fetch_add(members, Relaxed);
    }

    pub(crate) fn outage(&self) {
        self.outages.fetch_add(1, Relaxed);
    }

    pub(crate) fn fenced(&self) {
        self.fenced.fetch_add(1, Relaxed);
    }

    pub(crate) fn polled(&self, answered: bool) {
        let counter = if answered {
            &self.polled
        } else {
            &self.unanswered
        };
        counter.fetch_add(1, Relaxed);
    }

    pub(crate) fn rescheduled(&self) {
        self.rescheduled.fetch_add(1, Relaxed);
    }

    pub(crate) fn revoked(&self) {
        self.revoked.fetch_add(1, Relaxed);
    }

    pub(crate) fn looked(&self) {
        self.looks.fetch_add(1, Relaxed);
    }

    pub(crate) fn deferred(&self) {
        self.deferred.fetch_add(1, Relaxed);
    }

    pub(crate) fn lapsed(&self) {
        self.lapsed.fetch_add(1, Relaxed);
    }

    pub(crate) fn left_stage(&self, stage: &Stage, after: Duration) {
        let place = STAGES.iter().position(|name| *name == stage.as_str());
        if let Some(counter) = place.and_then(|place| self.stages.get(place)) {
            counter.left.fetch_add(1, Relaxed);
            let millis = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            counter.millis.fetch_add(millis, Relaxed);
        }
    }

    pub(crate) fn read(&self) -> Snapshot {
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        Snapshot {
            takeovers: get(&self.takeovers),
            admitted: get(&self.admitted),
            resumed: get(&self.resumed),
            installed: get(&self.installed),
            failed: self.failed.each_ref().map(get),
            possible_duplicates: get(&self.possible_duplicates),
            silent_at_barrier: get(&self.silent_at_barrier),
            outages: get(&self.outages),
            fenced: get(&self.fenced),
            polled: get(&self.polled),
            unanswered: get(&self.unanswered),
            rescheduled: get(&self.rescheduled),
            revoked: get(&self.revoked),
            looks: get(&self.looks),
            deferred: get(&self.deferred),
            lapsed: get(&self.lapsed),
            stages: self.stages.each_ref().map(|stage| {
                let millis = Duration::from_millis(get(&stage.millis));
                (get(&stage.left), millis)
            }),
        }
    }
}
