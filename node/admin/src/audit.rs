//! Who did what, what became of it and where in the log: one line for each change
//! that was asked for, refused ones and unknown ones among them, and for each
//! denial, those bounded in their rate.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use state::ports::Clock;

use crate::{limits, problem::Problem};

/// Writes the audit's lines.
pub(crate) struct Audit {
    clock: Arc<dyn Clock>,
    denials: Mutex<Bucket>,
}

/// What was asked, for the audit and for error texts.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Who, as the log shows the actor.
    pub(crate) who: String,
    /// Which method.
    pub(crate) method: &'static str,
    /// A resource's name.
    pub(crate) what: String,
}

impl Audit {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let denials = Mutex::new(Bucket::full(clock.boottime()));
        Self { clock, denials }
    }

    /// A change was asked for; `result` is the log index or why there is none.
    pub(crate) fn change(&self, asked: &Asked, result: &Result<u64, Problem>) {
        let Asked { who, method, what } = asked;
        match result {
            Ok(index) => {
                tracing::info!(target: "audit", %who, %method, %what, result = "done", index, "change");
            }
            Err(problem) => {
                tracing::info!(
                    target: "audit",
                    %who, %method, %what, result = problem.reason, error = %problem, "change"
                );
            }
        }
    }

    /// Somebody was kept from a method.
    pub(crate) fn denial(&self, who: &str, method: &str, problem: &Problem) {
        let now = self.clock.boottime();
        let mut bucket = self.denials.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(unwritten) = bucket.take(now) else {
            return;
        };
        drop(bucket);
        tracing::warn!(
            target: "audit",
            who, method, result = problem.reason, unwritten, "denied"
        );
    }
}

/// A bucket of lines that may still be written.
#[derive(Debug)]
struct Bucket {
    left: u32,
    filled: Duration,
    unwritten: u64,
}

impl Bucket {
    fn full(now: Duration) -> Self {
        Self {
            left: limits::DENIALS_BURST,
            filled: now,
            unwritten: 0,
        }
    }

    /// Some if a line may be written now: how many were not since the last.
    fn take(&mut self, now: Duration) -> Option<u64> {
        let passed = now.saturating_sub(self.filled);
        let every = limits::DENIALS_EVERY.as_millis().max(1);
        let more = u32::try_from(passed.as_millis() / every).unwrap_or(u32::MAX);
        if more > 0 {
            self.left = self.left.saturating_add(more).min(limits::DENIALS_BURST);
            self.filled = now;
        }
        if self.left == 0 {
            self.unwritten += 1;
            return None;
        }
        self.left -= 1;
        Some(std::mem::take(&mut self.unwritten))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_denials_is_counted_and_not_written() {
        let mut bucket = Bucket::full(Duration::ZERO);
        let burst = usize::try_from(limits::DENIALS_BURST).unwrap();
        let written = (0..1000)
            .filter(|_| bucket.take(Duration::ZERO).is_some())
            .count();
        assert_eq!(written, burst);
        let missed = u64::try_from(1000 - burst).unwrap();
        assert_eq!(bucket.take(limits::DENIALS_EVERY), Some(missed));
        assert_eq!(bucket.take(limits::DENIALS_EVERY), None);
        let later = limits::DENIALS_EVERY * 1000;
        assert_eq!(bucket.take(later), Some(1));
        assert_eq!(bucket.left, limits::DENIALS_BURST - 1);
    }
}
