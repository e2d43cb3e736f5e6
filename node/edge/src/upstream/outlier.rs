//! Origins that have just failed are left alone for a while (passive health).

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use state::traffic::Ejection;
use tokio::time::Instant;

use crate::limits::EJECTION_TIMES;

/// How a core has fared with one origin.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// Requests that have not ended, where there is a choice of origins.
    pub(super) in_flight: AtomicUsize,
    /// There is something to look at below.
    marked: AtomicBool,
    failures: Mutex<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    in_a_row: u16,
    until: Option<Instant>,
    /// How many times it was left alone without a good answer in between.
    times: u32,
}

impl Record {
    /// True while it is left alone.
    pub(super) fn is_ejected(&self, now: Instant) -> bool {
        self.marked.load(Relaxed) && self.failures().until.is_some_and(|until| now < until)
    }

    /// It gave an answer.
    pub(super) fn good(&self) {
        if self.marked.load(Relaxed) {
            *self.failures() = Failures::default();
            self.marked.store(false, Relaxed);
        }
    }

    /// It failed; true if it is to be left alone from now on. `may_eject`: enough others
    /// are left.
    pub(super) fn bad(&self, ejection: Ejection, may_eject: bool, now: Instant) -> bool {
        let mut failures = self.failures();
        self.marked.store(true, Relaxed);
        if failures.until.is_some_and(|until| now < until) {
            return false; // of requests that were under way
        }
        failures.in_a_row = failures.in_a_row.saturating_add(1);
        if failures.in_a_row < ejection.failures || !may_eject {
            return false;
        }
        failures.in_a_row = 0;
        failures.times = (failures.times + 1).min(EJECTION_TIMES);
        failures.until = Some(now + ejection.period * failures.times);
        true
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        // Every change is a single step.
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// By default.
pub(super) const EJECTION: Ejection = Ejection {
    failures: 5,
    period: Duration::from_secs(10),
};

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: Ejection = Ejection {
        failures: 2,
        period: Duration::from_secs(1),
    };

    #[test]
    fn failures_in_a_row_eject_for_longer_each_time() {
        let record = Record::default();
        let begun = Instant::now();
        let at = |millis| begun + Duration::from_millis(millis);
        assert!(!record.bad(TWO, true, at(0)));
        record.good();
        assert!(!record.bad(TWO, true, at(0)), "they were not in a row");
        assert!(record.bad(TWO, true, at(0)));
        assert!(record.is_ejected(at(999)) && !record.is_ejected(at(1000)));
        assert!(!record.bad(TWO, true, at(1000)));
        assert!(record.bad(TWO, true, at(1000)));
        assert!(record.is_ejected(at(2999)) && !record.is_ejected(at(3000)));
        record.good();
        record.bad(TWO, true, at(3000));
        assert!(record.bad(TWO, true, at(3000)));
        assert!(
            !record.is_ejected(at(4000)),
            "a good answer had been between"
        );
    }

    #[test]
    fn nobody_is_ejected_where_too_few_would_be_left() {
        let record = Record::default();
        let now = Instant::now();
        assert!((0..10).all(|_| !record.bad(TWO, false, now)));
        assert!(!record.is_ejected(now));
        assert!(record.bad(TWO, true, now));
    }
}
