//! What an order costs, and whether that is there. Pure.

use std::{collections::HashMap, sync::Arc, time::Duration};

use state::{
    BucketKey, Budget, CaName, Certificate, Hostname, HostnameRecord, LimitKind, Source, State,
    Timestamp, order::set_of,
};

use super::lane::{Lane, is_known_set, widens};

/// Most of a window's edges that are not relied on: clocks differ, and a request travels.
const EDGE: Duration = Duration::from_secs(60);

/// What an order at `ca` costs at `now`. [`Budget::Exempt`] holds only if it names the
/// certificate that it replaces.
pub(super) fn budget(
    state: &State,
    record: &HostnameRecord,
    served: Option<&Certificate>,
    ca: &CaName,
    lane: Lane,
    now: Timestamp,
) -> Budget {
    if served.is_some_and(|served| is_within_window(record, served, ca, now)) {
        Budget::Exempt
    } else if !is_known_set(state, record, ca, now) {
        Budget::New
    } else if lane == Lane::Urgent {
        Budget::Urgent
    } else {
        Budget::Renewal
    }
}

/// What `budget` falls back to when the order cannot say what it replaces.
pub(crate) fn without_replaces(
    state: &State,
    name: &Hostname,
    ca: &CaName,
    now: Timestamp,
) -> Budget {
    let record = state.hostname(name.as_str());
    if record.is_some_and(|record| is_known_set(state, record, ca, now)) {
        Budget::Renewal
    } else {
        Budget::New
    }
}

/// The CA counts nothing for it (RFC 9773 section 5, as Boulder does it: from the start of
/// the window to before its end).
fn is_within_window(
    record: &HostnameRecord,
    served: &Certificate,
    ca: &CaName,
    now: Timestamp,
) -> bool {
    let Some(window) = served.window else {
        return false;
    };
    let edge = EDGE.min(window.end.since(window.start) / 10);
    served.source == Source::Ca(ca.clone())
        && !widens(record, served)
        && window.start.plus(edge) <= now
        && now < window.end.minus(edge)
}

/// The buckets that must have something left for an order, as `state` counts it.
pub(super) fn buckets(
    (name, record): (&Hostname, &HostnameRecord),
    ca: &CaName,
    domain: &str,
    budget: Budget,
) -> Vec<BucketKey> {
    if budget == Budget::Exempt {
        return Vec::new();
    }
    let kinds = budget.kinds().iter().copied();
    let key = |kind: LimitKind| {
        let key: Arc<str> = match kind {
            LimitKind::Orders => "".into(),
            LimitKind::Certificates => domain.into(),
            LimitKind::Sets => set_of(name, record.is_wildcard()),
            LimitKind::Failures => name.as_str().into(),
        };
        bucket(ca, kind, key)
    };
    kinds.chain([LimitKind::Failures]).map(key).collect()
}

/// The bucket of a CA's new orders.
pub(super) fn orders(ca: &CaName) -> BucketKey {
    bucket(ca, LimitKind::Orders, "".into())
}

fn bucket(ca: &CaName, kind: LimitKind, key: Arc<str>) -> BucketKey {
    BucketKey {
        ca: ca.clone(),
        kind,
        key,
    }
}

/// What was said to orders that are not admitted yet: they are about to be promised it.
#[derive(Debug, Default)]
pub(super) struct Pledges {
    of: HashMap<Hostname, Vec<BucketKey>>,
    on: HashMap<BucketKey, u32>,
}

impl Pledges {
    pub(super) fn give(&mut self, name: Hostname, keys: Vec<BucketKey>) {
        for key in &keys {
            *self.on.entry(key.clone()).or_default() += 1;
        }
        self.of.insert(name, keys);
    }

    /// It is admitted, or will not be.
    pub(super) fn take_back(&mut self, name: &Hostname) {
        for key in self.of.remove(name).unwrap_or_default() {
            if let Some(count) = self.on.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.on.remove(&key);
                }
            }
        }
    }

    /// From when on a bucket allows one more, those to whom it was said among the others.
    pub(super) fn free_at(
        &self,
        state: &State,
        key: &BucketKey,
        budget: Budget,
        now: Timestamp,
    ) -> Timestamp {
        let Some(count) = self.on.get(key) else {
            return state.free_at(key, budget.share(), now);
        };
        let mut bucket = state.bucket(key).copied().unwrap_or_default();
        bucket.promised = bucket.promised.saturating_add(*count);
        match state.limit(key) {
            // Failures are not planned: nothing is promised there.
            Some(limit) if key.kind != LimitKind::Failures => {
                bucket.free_at(limit, budget.share(), now)
            }
            _ => state.free_at(key, budget.share(), now),
        }
    }
}
