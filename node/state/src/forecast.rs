//! What is coming: renewals by day, how long new hostnames will wait for what CAs allow,
//! and which limit holds them. Pure, and an estimate: what fails, and what is authorized
//! meanwhile, is not in it.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    BucketKey, Budget, CaName, Certificate, Due, Hostname, HostnameRecord, LimitKind, Share,
    Source, State, Timestamp,
};

/// Most days that are looked ahead: a certificate's life, as public CAs allow it from 2026 on,
/// twice.
pub const DAYS_MAX: usize = 400;

/// Most limits that are told of, those that hold most first.
pub const HITS_MAX: usize = 100;

/// How long an order takes of what all share, where no limit holds it: with 32 at once, each
/// done in some six seconds. A starting value.
pub const PACE: Duration = Duration::from_millis(200);

const DAY: Duration = Duration::from_secs(86_400);

/// What is coming.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forecast {
    /// Day by day, of 24 hours each, the first from now.
    pub days: Vec<Day>,
    /// New hostnames that wait for an order, whatever they wait for.
    pub queued: u64,
    /// The limits that will be reached.
    pub hits: Vec<Hit>,
}

/// One day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// When it begins.
    pub begins: Timestamp,
    /// Certificates to be renewed; what is late already is due on the first day.
    pub renewals: u64,
    /// New hostnames whose orders the limits allow.
    pub issued: u64,
    /// Those that wait still at its end.
    pub waiting: u64,
}

/// A limit that is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Which.
    pub bucket: BucketKey,
    /// The beginning of the first day on which it holds something.
    pub day: Timestamp,
    /// How many orders it holds at the end of that day.
    pub held: u64,
    /// When the last of them may begin.
    pub until: Timestamp,
}

/// What is coming within so many days, at most [`DAYS_MAX`]. `domain_of` gives a name's
/// registered domain, as CAs count it.
///
/// Costs what there is, not what is due: some 2 s for a million hostnames.
pub fn forecast(
    state: &State,
    now: Timestamp,
    days: usize,
    domain_of: &dyn Fn(&Hostname) -> String,
) -> Forecast {
    let days = days.min(DAYS_MAX);
    let mut forecast = Forecast {
        days: (0..days)
            .map(|day| Day {
                begins: after(now, day),
                ..Day::default()
            })
            .collect(),
        ..Forecast::default()
    };
    for (_, record) in state.hostnames() {
        if record.wants.as_ref().is_some_and(|wants| !wants.automatic) {
            continue;
        }
        for id in record.certificates() {
            if let Some(certificate) = state.certificate(&id) {
                count_renewals(certificate, now, &mut forecast.days);
            }
        }
    }
    for (ca, by_domain) in queued(state, now, domain_of) {
        forecast.queued += by_domain.values().sum::<u64>();
        queue_at(state, &ca, &by_domain, now, &mut forecast);
    }
    forecast.hits.sort_by_key(|hit| std::cmp::Reverse(hit.held));
    forecast.hits.truncate(HITS_MAX);
    forecast
}

/// When the last of `count` orders at `ca` may be done, if they begin now and each costs
/// `budget`; limits of sets and domains are not looked at. `pace` is how long one takes of
/// what all share, such as [`PACE`].
pub fn eta(
    state: &State,
    ca: &CaName,
    count: u64,
    budget: Budget,
    pace: Duration,
    now: Timestamp,
) -> Timestamp {
    let worked = u32::try_from(count).map_or(Duration::MAX, |count| pace.saturating_mul(count));
    let worked = now.plus(worked);
    if count == 0 || !budget.kinds().contains(&LimitKind::Orders) {
        return worked;
    }
    let key = key(ca, LimitKind::Orders, "");
    worked.max(free_after(state, &key, budget.share(), count - 1, now))
}

fn after(now: Timestamp, days: usize) -> Timestamp {
    now.plus(DAY.saturating_mul(u32::try_from(days).unwrap_or(u32::MAX)))
}

/// Counts this one's renewal, that of the next, and so on: each lives as long as this.
fn count_renewals(certificate: &Certificate, now: Timestamp, days: &mut [Day]) {
    if !matches!(certificate.source, Source::Ca(_)) {
        return;
    }
    let period = certificate.renew_at.since(certificate.not_before);
    let period = period.max(Duration::from_secs(1)).as_millis();
    let first = certificate.renew_at.max(now);
    for day in days {
        let end = day.begins.plus(DAY);
        if end <= first {
            continue;
        }
        // How many moments `first + n * period` lie before a moment.
        let before = |at: Timestamp| (at.since(first).as_millis()).div_ceil(period);
        let count = before(end) - before(day.begins);
        day.renewals += u64::try_from(count).unwrap_or(u64::MAX);
    }
}

/// New hostnames that wait, by CA and registered domain.
fn queued(
    state: &State,
    now: Timestamp,
    domain_of: &dyn Fn(&Hostname) -> String,
) -> BTreeMap<CaName, BTreeMap<String, u64>> {
    let first = state.cas_by_rank().first().map(|ca| ca.name.clone());
    let mut queued: BTreeMap<CaName, BTreeMap<String, u64>> = BTreeMap::new();
    for (at, due) in state.dues() {
        let Due::Order(name, _) = due else { continue };
        let Some(record) = state.hostname(name.as_str()) else {
            continue;
        };
        let failed = record.failure.is_some();
        if (*at > now && !failed) || has_any(state, record) {
            continue;
        }
        let wish = record.wants.as_ref().and_then(|wants| wants.ca.clone());
        if let Some(ca) = wish.or_else(|| first.clone()) {
            let domains = queued.entry(ca).or_default();
            *domains.entry(domain_of(name)).or_default() += 1;
        }
    }
    queued
}

fn has_any(state: &State, record: &HostnameRecord) -> bool {
    let mut served = record
        .certificates()
        .filter_map(|id| state.certificate(&id));
    served.any(|certificate| matches!(certificate.source, Source::Ca(_)))
}

/// Lets what is queued at one CA through its limits, day by day.
fn queue_at(
    state: &State,
    ca: &CaName,
    by_domain: &BTreeMap<String, u64>,
    now: Timestamp,
    forecast: &mut Forecast,
) {
    let total: u64 = by_domain.values().sum();
    let account = key(ca, LimitKind::Orders, "");
    let domains: Vec<(BucketKey, u64)> = by_domain
        .iter()
        .map(|(domain, count)| (key(ca, LimitKind::Certificates, domain), *count))
        .collect();
    let (mut done, mut account_hit) = (0, None);
    for day in &mut forecast.days {
        let end = day.begins.plus(DAY);
        let by_domains: u64 = domains
            .iter()
            .map(|(key, count)| allowed(state, key, *count, now, end))
            .sum();
        let by_account = allowed(state, &account, total, now, end);
        let so_far = by_domains.min(by_account).max(done);
        day.issued += so_far - done;
        day.waiting += total - so_far;
        done = so_far;
        if by_account < by_domains && account_hit.is_none() {
            account_hit = Some((day.begins, by_domains - by_account));
        }
    }
    let until = |key: &BucketKey, count: u64| free_after(state, key, Share::New, count - 1, now);
    if let Some((day, held)) = account_hit {
        let until = until(&account, total);
        let bucket = account;
        forecast.hits.push(Hit {
            bucket,
            day,
            held,
            until,
        });
    }
    for (bucket, count) in domains {
        let held = count - allowed(state, &bucket, count, now, now.plus(DAY));
        if held > 0 {
            let until = until(&bucket, count);
            forecast.hits.push(Hit {
                bucket,
                day: now,
                held,
                until,
            });
        }
    }
}

/// How many of `count` new orders a limit lets begin before `end`.
fn allowed(state: &State, key: &BucketKey, count: u64, now: Timestamp, end: Timestamp) -> u64 {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if free_after(state, key, Share::New, middle, now) < end {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// When one more is allowed after `others` that go before it.
fn free_after(
    state: &State,
    key: &BucketKey,
    share: Share,
    others: u64,
    now: Timestamp,
) -> Timestamp {
    let mut bucket = state.bucket(key).copied().unwrap_or_default();
    let Some(limit) = state.limit(key) else {
        return bucket.blocked_until.unwrap_or_default();
    };
    let others = u32::try_from(others).unwrap_or(u32::MAX);
    bucket.promised = bucket.promised.saturating_add(others);
    bucket.free_at(limit, share, now)
}

fn key(ca: &CaName, kind: LimitKind, key: &str) -> BucketKey {
    BucketKey {
        ca: ca.clone(),
        kind,
        key: key.into(),
    }
}

#[cfg(test)]
mod tests;
