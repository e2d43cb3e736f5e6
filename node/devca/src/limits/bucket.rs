//! One bucket: a number that says when it will be full again.

use crate::moment::Moment;

use super::Limit;

const NANOS_PER_MILLI: u128 = 1_000_000;

/// When a bucket is full again, in nanoseconds since the epoch (the "theoretical arrival
/// time" of GCRA). A bucket that never was spent from has none.
pub(super) type FullAt = u128;

/// Whether one more token may be taken, and what the bucket is then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// It may; the bucket would be full again then.
    Allowed(FullAt),
    /// It may not, before so many nanoseconds have passed.
    Denied(u128),
}

impl Limit {
    /// A limit of `count` in a period, all of which may be spent at once.
    pub const fn per_millis(count: u64, period_millis: u64) -> Self {
        Self {
            burst: count,
            count,
            period_millis,
        }
    }

    /// How long one token takes to come back. A limit whose count or period is zero never
    /// gives one back.
    fn interval(self) -> u128 {
        match u128::from(self.count) {
            0 => u128::MAX >> 32,
            count => u128::from(self.period_millis) * NANOS_PER_MILLI / count,
        }
    }

    /// Takes one token at `now` from a bucket that is full at `full`.
    pub(super) fn take(self, full: Option<FullAt>, now: Moment) -> Decision {
        let now = u128::from(now.as_unix_millis()) * NANOS_PER_MILLI;
        let interval = self.interval();
        let then = full.unwrap_or(now).max(now) + interval;
        let latest = now + interval.saturating_mul(u128::from(self.burst));
        if then <= latest {
            Decision::Allowed(then)
        } else {
            Decision::Denied(then - latest)
        }
    }

    /// How many tokens are there at `now`.
    pub(super) fn left(self, full: Option<FullAt>, now: Moment) -> u64 {
        let now = u128::from(now.as_unix_millis()) * NANOS_PER_MILLI;
        let missing = full.unwrap_or(now).saturating_sub(now);
        let spent = missing.div_ceil(self.interval().max(1));
        self.burst
            .saturating_sub(u64::try_from(spent).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_unix_millis(seconds * 1_000)
    }

    /// 300 in 3 hours, as new orders: one comes back every 36 s.
    const ORDERS: Limit = Limit::per_millis(300, 3 * 3_600_000);

    fn spend(limit: Limit, full: &mut Option<FullAt>, now: Moment) -> Result<(), u128> {
        match limit.take(*full, now) {
            Decision::Allowed(then) => {
                *full = Some(then);
                Ok(())
            }
            Decision::Denied(wait) => Err(wait / 1_000_000_000),
        }
    }

    #[test]
    fn the_burst_may_be_spent_at_once_and_comes_back_evenly() {
        let mut full = None;
        for _ in 0..300 {
            assert_eq!(spend(ORDERS, &mut full, at(1_000)), Ok(()));
        }
        assert_eq!(ORDERS.left(full, at(1_000)), 0);
        assert_eq!(spend(ORDERS, &mut full, at(1_000)), Err(36));
        assert_eq!(spend(ORDERS, &mut full, at(1_030)), Err(6));
        assert_eq!(spend(ORDERS, &mut full, at(1_036)), Ok(()));
        assert_eq!(spend(ORDERS, &mut full, at(1_036)), Err(36));
        assert_eq!(ORDERS.left(full, at(1_036 + 360)), 10);
        assert_eq!(ORDERS.left(full, at(1_036 + 4 * 3_600)), 300);
    }

    #[test]
    fn a_limit_of_many_a_second_is_exact() {
        let limit = Limit {
            burst: 10,
            count: 20,
            period_millis: 1_000,
        };
        let mut full = None;
        let mut taken = 0;
        for millis in 0..10_000 {
            let now = Moment::from_unix_millis(5_000 + millis);
            taken += u32::from(spend(limit, &mut full, now).is_ok());
        }
        assert_eq!(taken, 10 + 199);
    }

    #[test]
    fn what_never_refills_is_spent_once() {
        let limit = Limit {
            burst: 1,
            count: 0,
            period_millis: 1,
        };
        let mut full = None;
        assert_eq!(spend(limit, &mut full, at(1)), Ok(()));
        assert!(spend(limit, &mut full, at(1 << 40)).is_err());
    }
}
