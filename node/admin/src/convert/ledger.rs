//! The ledger: buckets of the CAs' limits.

use std::time::Duration;

use proto::admin::v1;
use state::{BucketKey, LimitKind, Share, State, Timestamp, forecast::Forecast};

use super::{
    ca::{limit_kind, shown_kind, shown_limit},
    moment, timestamp,
};
use crate::{names, problem::Problem};

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

/// What is coming, as seen at `at`.
pub(crate) fn forecast(forecast: &Forecast, at: Timestamp) -> v1::LedgerForecast {
    let days = forecast.days.iter().map(|day| v1::ForecastDay {
        day: Some(timestamp(day.begins)),
        renewals: day.renewals,
        firsts: day.issued,
        waiting: day.waiting,
    });
    let hits = forecast.hits.iter().map(|hit| v1::ForecastHit {
        ca: names::ca_name(&hit.bucket.ca),
        kind: shown_kind(hit.bucket.kind).into(),
        key: hit.bucket.key.to_string(),
        day: Some(timestamp(hit.day)),
        held: hit.held,
        until: moment(hit.until),
    });
    v1::LedgerForecast {
        at: Some(timestamp(at)),
        waiting: forecast.queued,
        waiting_until: through(forecast).map(timestamp),
        days: days.collect(),
        hits: hits.collect(),
    }
}

/// The end of the day on which the last of the queue is through, if that is in sight.
fn through(forecast: &Forecast) -> Option<Timestamp> {
    let day = forecast.days.iter().find(|day| day.waiting == 0)?;
    (forecast.queued > 0).then(|| day.begins.plus(Duration::from_secs(86_400)))
}
