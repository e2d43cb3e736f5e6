//! How much there may be of something: at a rate, or within an hour.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

/// So many at once after a rest, and one more each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    burst: u32,
    each: Duration,
}

/// What was taken of a [`Pace`]: until when it would last at that pace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken(Instant);

/// What was authorized within the last hour, in all and below each registered domain. As
/// large as the bound in all.
#[derive(Debug, Default)]
pub(super) struct Hour {
    latest: VecDeque<(Instant, Box<str>)>,
    domains: HashMap<Box<str>, usize>,
}

const HOUR: Duration = Duration::from_secs(3600);

impl Pace {
    /// `rate` in a second, after a rest as many as in `seconds` of them.
    pub(super) fn new(rate: u32, seconds: u32) -> Self {
        let rate = rate.max(1);
        Self {
            burst: rate.saturating_mul(seconds).max(1),
            each: Duration::from_secs(1) / rate,
        }
    }
}

impl Taken {
    pub(super) const fn nothing(now: Instant) -> Self {
        Self(now)
    }

    /// True if all that was taken is allowed again.
    pub(super) fn is_over(self, now: Instant) -> bool {
        self.0 <= now
    }

    pub(super) fn has_room(self, pace: Pace, now: Instant) -> bool {
        self.0.max(now) + pace.each <= now + pace.each * pace.burst
    }

    pub(super) fn take(&mut self, pace: Pace, now: Instant) {
        self.0 = self.0.max(now) + pace.each;
    }
}

impl Hour {
    /// How many there were in the hour before `now`.
    pub(super) fn in_all(&mut self, now: Instant) -> usize {
        let is_old = |(at, _): &(Instant, _)| now.duration_since(*at) >= HOUR;
        while self.latest.front().is_some_and(is_old) {
            if let Some((_, domain)) = self.latest.pop_front() {
                self.forget(&domain);
            }
        }
        self.latest.len()
    }

    /// How many of them below `domain`, of those that [`Self::in_all`] left.
    pub(super) fn below(&self, domain: &str) -> usize {
        self.domains.get(domain).copied().unwrap_or_default()
    }

    pub(super) fn add(&mut self, domain: &str, now: Instant) {
        self.latest.push_back((now, domain.into()));
        *self.domains.entry(domain.into()).or_default() += 1;
    }

    fn forget(&mut self, domain: &str) {
        let Some(count) = self.domains.get_mut(domain) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            self.domains.remove(domain);
        }
    }
}
