//! What will be asked of the CAs, and what of it their limits hold up. Pure.
//!
//! Renewals are those of the certificates that are served and of their successors, at the
//! moments that are committed; they wait for no limit but that on sets of names. First
//! certificates go at what the CA's limits allow: a bucket that frees one at `f` and then
//! one each refill has allowed `1 + (t - f) / refill` by `t`. Of several limits the
//! tightest counts.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use state::{
    BucketKey, CaName, Certificate, Hostname, HostnameRecord, LimitKind, Share, Source, State,
    Timestamp,
};

const DAY: Duration = Duration::from_secs(86_400);

/// Between two orders: what three nodes on slow disks carry, with room for what else is
/// due. A starting value.
pub(crate) const PACE: Duration = Duration::from_millis(500);

/// Most limits that are told.
const HITS_MAX: usize = 100;

/// Successors of one certificate that are looked ahead to: with certificates of a minute
/// (in tests) a year would have half a million.
const SUCCESSORS_MAX: u64 = 1000;

/// What is to come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forecast {
    /// Names that wait for their first certificate.
    pub(crate) waiting: u64,
    /// When the last of them may have it; absent if none waits.
    pub(crate) waiting_until: Option<Timestamp>,
    /// One a day, from now on.
    pub(crate) days: Vec<Day>,
    /// Limits that hold something up, those that hold up the most first.
    pub(crate) hits: Vec<Hit>,
}

/// What is to come on a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Day {
    pub(crate) from: Timestamp,
    pub(crate) renewals: u64,
    pub(crate) firsts: u64,
}

/// A limit that would be hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) bucket: BucketKey,
    /// From when on it holds up.
    pub(crate) at: Timestamp,
    /// How many it holds up beyond that day.
    pub(crate) over: u64,
}

/// Looks `days` ahead.
pub(crate) fn forecast(state: &State, now: Timestamp, days: u32) -> Forecast {
    let mut forecast = Forecast {
        days: (0..days)
            .map(|day| Day {
                from: now.plus(DAY * day),
                ..Day::default()
            })
            .collect(),
        ..Forecast::default()
    };
    for certificate in state.certificates() {
        renewals(state, certificate, now, &mut forecast.days);
    }
    let mut lines: Vec<Line> = queues(state)
        .into_iter()
        .map(|(ca, domains)| Line::new(state, &ca, &domains, now))
        .collect();
    for line in &mut lines {
        forecast.waiting += line.waiting;
        forecast.waiting_until = forecast.waiting_until.max(Some(line.done(now)));
        for day in &mut forecast.days {
            day.firsts += line.on(day.from.plus(DAY), now);
        }
        forecast.hits.append(&mut line.hits);
    }
    forecast.hits.sort_by(|one, other| {
        let by_weight = other.over.cmp(&one.over);
        one.at
            .cmp(&other.at)
            .then(by_weight)
            .then_with(|| one.bucket.cmp(&other.bucket))
    });
    forecast.hits.truncate(HITS_MAX);
    forecast
}

/// Counts a certificate's renewal, and its successors', on their days.
fn renewals(state: &State, certificate: &Certificate, now: Timestamp, days: &mut [Day]) {
    let Some(first) = days.first().map(|day| day.from) else {
        return;
    };
    let automatic = || {
        let record = state.hostname(certificate.hostname.as_str());
        record.is_some_and(|record| record.wants().automatic && record.ownership.standing.holds())
    };
    if certificate.forget_at.is_some() || !automatic() {
        return;
    }
    let life = certificate.renew_at.since(certificate.not_before);
    // What was brought is replaced by one whose life is not known yet: counted once.
    let again = matches!(certificate.source, Source::Ca(_)) && !life.is_zero();
    let mut at = certificate.renew_at.max(now);
    for _ in 0..SUCCESSORS_MAX {
        let day = at.since(first).as_secs() / DAY.as_secs();
        let Some(day) = usize::try_from(day).ok().and_then(|day| days.get_mut(day)) else {
            return;
        };
        day.renewals += 1;
        if !again {
            return;
        }
        at = at.plus(life);
    }
}

/// How many names wait for their first certificate, by CA and registered domain.
fn queues(state: &State) -> BTreeMap<CaName, BTreeMap<Arc<str>, u64>> {
    let first = state.cas_by_rank().first().map(|ca| ca.name.clone());
    let mut queues: BTreeMap<CaName, BTreeMap<Arc<str>, u64>> = BTreeMap::new();
    for (name, record) in state.hostnames() {
        let wants = record.wants();
        if !waits(record) || !wants.automatic {
            continue;
        }
        let Some(ca) = wants.ca.or_else(|| first.clone()) else {
            continue;
        };
        let domain = registered_domain(name).into();
        let queue = queues.entry(ca).or_default();
        *queue.entry(domain).or_default() += 1;
    }
    queues
}

/// Proven, not failed too often, and without a certificate or an order.
fn waits(record: &HostnameRecord) -> bool {
    let parked = record
        .failure
        .as_ref()
        .is_some_and(|failure| failure.parked);
    record.ownership.standing.holds()
        && record.order.is_none()
        && record.certificates().next().is_none()
        && !parked
}

/// Under which domain a CA counts a name (the public suffix list); a name that is a suffix
/// itself is counted alone.
pub(crate) fn registered_domain(hostname: &Hostname) -> &str {
    psl::domain_str(hostname.as_str()).unwrap_or(hostname.as_str())
}

/// The names that wait at one CA, and what lets them pass.
struct Line {
    waiting: u64,
    /// Of the whole account.
    orders: Gate,
    /// Of each registered domain, with how many of its names wait.
    domains: Vec<(Gate, u64)>,
    /// How many have passed by the end of the day looked at last.
    passed: u64,
    hits: Vec<Hit>,
}

impl Line {
    fn new(state: &State, ca: &CaName, queue: &BTreeMap<Arc<str>, u64>, now: Timestamp) -> Self {
        let bucket = |kind, key: &Arc<str>| BucketKey {
            ca: ca.clone(),
            kind,
            key: key.clone(),
        };
        let mut hits = Vec::new();
        let mut gate = |bucket: BucketKey, wanted: u64| {
            let gate = Gate::of(state, &bucket, now);
            let over = wanted.saturating_sub(gate.allowed(now.plus(DAY)));
            if over > 0 {
                let at = gate.moment(wanted - over + 1).max(now);
                hits.push(Hit { bucket, at, over });
            }
            gate
        };
        let waiting = queue.values().sum();
        let orders = gate(bucket(LimitKind::Orders, &"".into()), waiting);
        let domains = queue
            .iter()
            .map(|(domain, wanted)| {
                let bucket = bucket(LimitKind::Certificates, domain);
                (gate(bucket, *wanted), *wanted)
            })
            .collect();
        Self {
            waiting,
            orders,
            domains,
            passed: 0,
            hits,
        }
    }

    /// How many more have passed by `until`.
    fn on(&mut self, until: Timestamp, now: Timestamp) -> u64 {
        if self.passed == self.waiting {
            return 0;
        }
        let domains = self.domains.iter();
        let by_domain: u64 = domains
            .map(|(gate, wanted)| gate.allowed(until).min(*wanted))
            .sum();
        let by_pace = until.since(now).as_millis() / PACE.as_millis().max(1);
        let by_pace = u64::try_from(by_pace).unwrap_or(u64::MAX);
        let passed = by_domain.min(self.orders.allowed(until)).min(by_pace);
        let more = passed.saturating_sub(self.passed);
        self.passed += more;
        more
    }

    /// When the last may pass.
    fn done(&self, now: Timestamp) -> Timestamp {
        let domains = self.domains.iter();
        let last = domains.map(|(gate, wanted)| gate.moment(*wanted)).max();
        let waiting = u32::try_from(self.waiting).unwrap_or(u32::MAX);
        self.orders
            .moment(self.waiting)
            .max(last.unwrap_or_default())
            .max(now.plus(PACE.saturating_mul(waiting)))
    }
}

/// What one bucket lets pass, and when.
struct Gate {
    /// The first one.
    free: Timestamp,
    /// Each further one, in milliseconds; none: all at once.
    refill: Option<u64>,
}

impl Gate {
    fn of(state: &State, bucket: &BucketKey, now: Timestamp) -> Self {
        let refill = state.limit(bucket).map(|limit| limit.refill.as_millis());
        Self {
            free: state.free_at(bucket, Share::New, now),
            refill: refill.map(|refill| u64::try_from(refill).unwrap_or(u64::MAX).max(1)),
        }
    }

    /// How many by then.
    fn allowed(&self, until: Timestamp) -> u64 {
        if until < self.free {
            return 0;
        }
        let passed = until.0 - self.free.0;
        self.refill.map_or(u64::MAX, |refill| passed / refill + 1)
    }

    /// When the `number`th, counted from 1.
    fn moment(&self, number: u64) -> Timestamp {
        let after = self
            .refill
            .unwrap_or(0)
            .saturating_mul(number.saturating_sub(1));
        Timestamp(self.free.0.saturating_add(after))
    }
}

#[cfg(test)]
mod tests;
