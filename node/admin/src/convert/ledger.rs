//! The ledger: buckets of the CAs' limits.

use proto::admin::v1;
use state::{BucketKey, LimitKind, Share, State, Timestamp};

use super::{
    ca::{limit_kind, shown_kind, shown_limit},
    moment, timestamp,
};
use crate::{forecast::Forecast, names, problem::Problem};

/// How one bucket stands at `now`.
pub(crate) fn bucket(state: &State, key: &BucketKey, now: Timestamp) -> v1::LimitBucket {
    let bucket = state.bucket(key).copied().unwrap_or_default();
    let limit = state.limit(key);
    let overridden = state.ca(key.ca.as_str()).is_some_and(|ca| {
        let mut exceptions = ca.settings.overrides.iter();
        exceptions.any(|one| one.limit.kind == key.kind && one.key == key.key)
    });
    let coming = |at: Timestamp| (at > now).then(|| timestamp(at));
    let free = |share| coming(state.free_at(key, share, now));
    v1::LimitBucket {
        ca: names::ca_name(&key.ca),
        limit: limit.map(shown_limit),
        kind: shown_kind(key.kind).into(),
        key: key.key.to_string(),
        left: limit.map(|limit| bucket.left(limit, now)),
        promised: bucket.promised,
        full_at: moment(bucket.spent_until).filter(|_| bucket.spent_until > now),
        blocked_until: bucket.blocked_until.and_then(coming),
        new_at: free(Share::New),
        renewal_at: free(Share::Renewal),
        overridden,
    }
}

/// The kind asked for in a listing; none: all.
pub(crate) fn kind_filter(wire: i32) -> Result<Option<LimitKind>, Problem> {
    match wire {
        0 => Ok(None),
        wire => limit_kind("kind", wire).map(Some),
    }
}

/// What is to come, as seen at `at`.
pub(crate) fn forecast(forecast: &Forecast, at: Timestamp) -> v1::LedgerForecast {
    let end = forecast.days.last().map_or(at, |day| day.from);
    let days = forecast.days.iter().map(|day| v1::ForecastDay {
        day: Some(timestamp(day.from)),
        renewals: day.renewals,
        firsts: day.firsts,
    });
    let hits = forecast.hits.iter().map(|hit| v1::ForecastHit {
        ca: names::ca_name(&hit.bucket.ca),
        kind: shown_kind(hit.bucket.kind).into(),
        key: hit.bucket.key.to_string(),
        at: Some(timestamp(hit.at)),
        over: hit.over,
    });
    let until = forecast.waiting_until.filter(|until| *until <= end);
    v1::LedgerForecast {
        at: Some(timestamp(at)),
        waiting: forecast.waiting,
        waiting_until: until.map(timestamp),
        days: days.collect(),
        hits: hits.collect(),
    }
}
