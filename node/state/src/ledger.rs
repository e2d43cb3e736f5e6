//! What a CA allows, as token buckets that all leaders share.
//!
//! The CA counts by the generic cell rate algorithm (Boulder's `ratelimits`), and so do
//! we: a bucket is the moment up to which it is spent (its theoretical arrival time),
//! and what is promised to orders in flight. What an order will cost is promised when it
//! is admitted and spent at the CA's own moment: `newOrder` for orders, issuance for
//! certificates. So at no moment is our bucket fuller than the CA's, for limits that
//! only we spend.

use std::{fmt, sync::Arc, time::Duration};

use crate::{CaName, Timestamp};

/// Longest that a CA's refusal by a limit is believed: the longest period that a known one
/// counts over. A header must not end issuance for a year.
pub const BLOCK_LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitKind {
    /// New orders of the account.
    Orders,
    /// Certificates for a registered domain, of all accounts there are.
    Certificates,
    /// Certificates for exactly the same names.
    Sets,
    /// Failed validations of one name.
    Failures,
}

impl LimitKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Orders, Self::Certificates, Self::Sets, Self::Failures];

    /// Its name in the API and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Certificates => "certificates-per-domain",
            Self::Sets => "certificates-per-set",
            Self::Failures => "failed-validations",
        }
    }

    /// By its name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A limit of a CA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What it counts.
    pub kind: LimitKind,
    /// Most at once, from 1.
    pub burst: u32,
    /// How long one more takes to be allowed; at least a millisecond.
    pub refill: Duration,
}

/// An exception that the CA granted for one key of a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitOverride {
    /// For whom: the key of [`BucketKey`].
    pub key: Arc<str>,
    /// What holds instead.
    pub limit: Limit,
}

/// Which bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketKey {
    /// Whose limit.
    pub ca: CaName,
    /// Which limit.
    pub kind: LimitKind,
    /// Of what: empty for the account, the registered domain, the set of names
    /// (`shop.example` or `shop.example,*.shop.example`), or the name.
    pub key: Arc<str>,
}

/// How much of what is left an order may use, so that what matters more is not starved
/// and a clock or a count that is slightly off does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// For a name's first certificate.
    New,
    /// For the next one.
    Renewal,
    /// For one that must be replaced at once.
    Urgent,
}

impl Share {
    /// Of a burst, in percent: 15 are kept back for clocks that disagree, 10 more of
    /// them from new names for renewals. Starting values.
    const fn percent(self) -> u64 {
        match self {
            Self::New => 75,
            Self::Renewal => 85,
            Self::Urgent => 100,
        }
    }

    fn of(self, burst: u32) -> u64 {
        (u64::from(burst) * self.percent() / 100).max(1)
    }
}

/// One bucket. One that is full again is forgotten when orders are admitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Up to when it is spent, in our counting of the CA's.
    pub spent_until: Timestamp,
    /// Promised to orders in flight.
    pub promised: u32,
    /// The CA said so: nothing before.
    pub blocked_until: Option<Timestamp>,
}

impl Bucket {
    /// From when on one more is allowed.
    pub fn free_at(&self, limit: &Limit, share: Share, now: Timestamp) -> Timestamp {
        let refill = millis(limit.refill);
        let wanted = u64::from(self.promised).saturating_add(1);
        let spent = self.spent_until.max(now);
        let after = spent.0.saturating_add(wanted.saturating_mul(refill));
        let free = after.saturating_sub(share.of(limit.burst).saturating_mul(refill));
        let blocked = self.blocked_until.unwrap_or_default();
        Timestamp(free).max(blocked)
    }

    /// From when on one more is allowed, to the last, for an order that has its promise and was
    /// sent at `sent`, perhaps for nothing. Promises do not pass with time, and what was sent
    /// does: so it is free some time, however many are promised.
    pub(crate) fn free_again_at(&self, limit: &Limit, sent: Timestamp) -> Timestamp {
        let refill = millis(limit.refill);
        let wanted = u64::from(self.promised).saturating_add(1);
        let spent = self.spent_until.max(sent);
        let after = spent.0.saturating_add(wanted.saturating_mul(refill));
        let free = after.saturating_sub(u64::from(limit.burst).saturating_mul(refill));
        let blocked = self.blocked_until.unwrap_or_default();
        Timestamp(free).max(blocked)
    }

    /// How many are left now, of the whole burst.
    pub fn left(&self, limit: &Limit, now: Timestamp) -> u32 {
        if self.blocked_until.is_some_and(|until| until > now) {
            return 0;
        }
        let refill = millis(limit.refill);
        let used = self.spent_until.0.saturating_sub(now.0).div_ceil(refill);
        let used = used.saturating_add(u64::from(self.promised));
        u32::try_from(u64::from(limit.burst).saturating_sub(used)).unwrap_or(u32::MAX)
    }

    /// Promises one.
    pub(crate) fn promise(&mut self) {
        self.promised = self.promised.saturating_add(1);
    }

    /// Takes a promise back.
    pub(crate) fn release(&mut self) {
        self.promised = self.promised.saturating_sub(1);
    }

    /// Spends one.
    pub(crate) fn spend(&mut self, limit: &Limit, now: Timestamp) {
        let spent = self.spent_until.max(now);
        self.spent_until = Timestamp(spent.0.saturating_add(millis(limit.refill)));
    }

    /// The CA refuses until then: the first is free at that moment, and no more.
    pub(crate) fn block(&mut self, limit: Option<&Limit>, until: Timestamp) {
        self.blocked_until = self.blocked_until.max(Some(until));
        if let Some(limit) = limit {
            let others = u64::from(limit.burst.saturating_sub(1));
            let spent = others.saturating_mul(millis(limit.refill));
            self.spent_until = self
                .spent_until
                .max(Timestamp(until.0.saturating_add(spent)));
        }
    }

    /// As one clock can have written it: nothing is spent for longer than the whole burst takes
    /// to come back, nor blocked for longer than [`BLOCK_LONGEST`]. What is further ahead
    /// was written by a clock that was, and would never come to an end. How much was spent in
    /// truth is not known then, and taken to be all.
    pub fn corrected(mut self, limit: Option<&Limit>, now: Timestamp) -> Self {
        let latest = now.plus(BLOCK_LONGEST);
        self.blocked_until = self.blocked_until.filter(|until| *until <= latest);
        if let Some(limit) = limit {
            let from = self.blocked_until.unwrap_or_default().max(now);
            let whole = u64::from(limit.burst).saturating_mul(millis(limit.refill));
            let most = Timestamp(from.0.saturating_add(whole));
            self.spent_until = self.spent_until.min(most);
        }
        self
    }

    /// From when on it says no more than if it were not there; absent while something
    /// is promised.
    pub(crate) fn idle_at(&self) -> Option<Timestamp> {
        let blocked = self.blocked_until.unwrap_or_default();
        (self.promised == 0).then(|| self.spent_until.max(blocked))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}

/// What an order costs, decided when it is admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// A first certificate: all limits.
    New,
    /// The same names had one lately: neither orders nor the domain's certificates.
    Renewal,
    /// As a renewal, and to the last token: the one that is served was revoked or is
    /// about to end.
    Urgent,
    /// Within the window that the CA suggested (RFC 9773): asked of no limit, but its
    /// certificate counts for its exact set like any other.
    Exempt,
}

impl Budget {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::New, Self::Renewal, Self::Urgent, Self::Exempt];

    /// Its name in the API and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Renewal => "renewal",
            Self::Urgent => "urgent",
            Self::Exempt => "exempt",
        }
    }

    /// By its name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|budget| budget.as_str() == text)
    }

    /// The limits it is counted under.
    pub fn kinds(self) -> &'static [LimitKind] {
        match self {
            Self::New => &[LimitKind::Orders, LimitKind::Certificates, LimitKind::Sets],
            Self::Renewal | Self::Urgent => &[LimitKind::Sets],
            Self::Exempt => &[],
        }
    }

    /// How much it may use.
    pub fn share(self) -> Share {
        match self {
            Self::New => Share::New,
            Self::Renewal | Self::Exempt => Share::Renewal,
            Self::Urgent => Share::Urgent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Timestamp = Timestamp::from_secs(3600);
    const LIMIT: Limit = Limit {
        kind: LimitKind::Orders,
        burst: 4,
        refill: Duration::from_secs(60),
    };

    fn spent(times: u32) -> Bucket {
        let mut bucket = Bucket::default();
        for _ in 0..times {
            bucket.spend(&LIMIT, HOUR);
        }
        bucket
    }

    #[test]
    fn a_burst_is_free_at_once_and_then_one_each_refill() {
        for (times, wait) in [(0, 0), (3, 0), (4, 60), (5, 120)] {
            let free = spent(times).free_at(&LIMIT, Share::Urgent, HOUR);
            let expected = HOUR.plus(Duration::from_secs(wait));
            assert_eq!(free.max(HOUR), expected, "{times} spent");
        }
        assert_eq!(spent(3).left(&LIMIT, HOUR), 1);
        assert_eq!(spent(4).left(&LIMIT, HOUR), 0);
    }

    #[test]
    fn new_names_leave_something_for_renewals_and_renewals_for_the_urgent() {
        let limit = Limit { burst: 20, ..LIMIT };
        let free = |times, share| {
            let mut bucket = Bucket::default();
            (0..times).for_each(|_| bucket.promise());
            bucket.free_at(&limit, share, HOUR) <= HOUR
        };
        assert!(free(14, Share::New) && !free(15, Share::New));
        assert!(free(16, Share::Renewal) && !free(17, Share::Renewal));
        assert!(free(19, Share::Urgent) && !free(20, Share::Urgent));
    }

    #[test]
    fn what_is_sent_again_is_free_some_time_however_much_is_promised() {
        let after = |refills: u32| HOUR.plus(refills * LIMIT.refill);
        for (times, promised, expected) in [
            // As for anybody else, as long as not all is promised.
            (0, 3, HOUR),
            (1, 3, after(1)),
            // All is promised, or more than all since the limit was lowered.
            (0, 4, after(1)),
            (0, 30, after(27)),
        ] {
            let mut bucket = spent(times);
            bucket.promised = promised;
            let free = bucket.free_again_at(&LIMIT, HOUR);
            assert_eq!(free, expected, "{times} spent, {promised} promised");
        }
    }

    #[test]
    fn a_promise_counts_as_spent_until_it_is_released() {
        let mut bucket = spent(2);
        bucket.promise();
        assert_eq!(bucket.left(&LIMIT, HOUR), 1);
        assert_eq!(bucket.idle_at(), None);
        bucket.release();
        assert_eq!(bucket.left(&LIMIT, HOUR), 2);
        let full = HOUR.plus(Duration::from_secs(120));
        assert_eq!(bucket.idle_at(), Some(full));
        assert_eq!(bucket.left(&LIMIT, full), 4);
    }

    #[test]
    fn what_the_ca_refused_is_free_once_when_it_said_so() {
        let until = HOUR.plus(Duration::from_secs(600));
        let mut bucket = Bucket::default();
        bucket.block(Some(&LIMIT), until);
        assert_eq!(bucket.left(&LIMIT, HOUR), 0);
        assert_eq!(bucket.free_at(&LIMIT, Share::Urgent, HOUR), until);
        bucket.spend(&LIMIT, until);
        let next = until.plus(LIMIT.refill);
        assert_eq!(bucket.free_at(&LIMIT, Share::Urgent, until), next);
    }

    #[test]
    fn what_a_clock_ahead_has_written_comes_back_to_the_whole_burst() {
        let whole = HOUR.plus(4 * LIMIT.refill);
        let far = HOUR.plus(400 * BLOCK_LONGEST);
        let ahead = Bucket {
            spent_until: far,
            promised: 2,
            blocked_until: Some(far),
        };
        let corrected = ahead.corrected(Some(&LIMIT), HOUR);
        let expected = Bucket {
            spent_until: whole,
            promised: 2,
            blocked_until: None,
        };
        assert_eq!(corrected, expected);
        assert_eq!(ahead.corrected(None, HOUR).blocked_until, None);
    }

    #[test]
    fn what_one_clock_has_written_is_never_corrected() {
        for times in 0..=4 {
            let bucket = spent(times);
            assert_eq!(
                bucket.corrected(Some(&LIMIT), HOUR),
                bucket,
                "{times} spent"
            );
        }
        let mut blocked = spent(4);
        blocked.block(Some(&LIMIT), HOUR.plus(BLOCK_LONGEST));
        blocked.spend(&LIMIT, HOUR);
        assert_eq!(blocked.corrected(Some(&LIMIT), HOUR), blocked);
    }

    #[test]
    fn a_small_burst_still_allows_one() {
        let limit = Limit { burst: 1, ..LIMIT };
        let free = Bucket::default().free_at(&limit, Share::New, HOUR);
        assert!(free <= HOUR);
    }
}
