//! What the CAs allow, and what is coming.

use proto::admin::v1 as wire;
use serde::Serialize;

use super::{
    ca::{Limit, kind},
    id, moment,
};
use crate::output::{Shape, pairs, rows};

/// How much of one thing a CA still allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Bucket {
    pub(crate) ca: String,
    /// orders, certificates-per-domain, certificates-per-set or failed-validations.
    pub(crate) kind: &'static str,
    /// Empty for the account.
    pub(crate) key: String,
    /// Absent where nothing is known but what the CA refused.
    pub(crate) limit: Option<Limit>,
    /// Of the whole burst, now.
    pub(crate) left: Option<u32>,
    /// Of that, promised to orders in flight.
    pub(crate) promised: u32,
    /// When the burst is whole again; absent if it is.
    pub(crate) full_at: Option<String>,
    /// The CA said so: nothing before.
    pub(crate) blocked_until: Option<String>,
    /// When the next first certificate is allowed; absent: now.
    pub(crate) new_at: Option<String>,
    /// When the next renewal is allowed; absent: now.
    pub(crate) renewal_at: Option<String>,
    /// An exception of the CA holds.
    pub(crate) overridden: bool,
}

impl From<wire::LimitBucket> for Bucket {
    fn from(wire: wire::LimitBucket) -> Self {
        Self {
            kind: kind(wire.kind()),
            ca: id(&wire.ca).to_owned(),
            full_at: moment(wire.full_at.as_ref()),
            blocked_until: moment(wire.blocked_until.as_ref()),
            new_at: moment(wire.new_at.as_ref()),
            renewal_at: moment(wire.renewal_at.as_ref()),
            key: wire.key,
            limit: wire.limit.map(Limit::from),
            left: wire.left,
            promised: wire.promised,
            overridden: wire.overridden,
        }
    }
}

/// Many of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Buckets {
    pub(crate) buckets: Vec<Bucket>,
}

impl Shape for Buckets {
    fn table(&self) -> String {
        let header = [
            "ca",
            "limit",
            "key",
            "left",
            "promised",
            "allows",
            "new names",
            "blocked until",
        ];
        let row = |bucket: &Bucket| {
            let allows = bucket.limit.as_ref().map(Limit::text);
            let exception = if bucket.overridden {
                " (exception)"
            } else {
                ""
            };
            vec![
                bucket.ca.clone(),
                bucket.kind.to_owned(),
                bucket.key.clone(),
                bucket.left.map_or("?".to_owned(), |left| left.to_string()),
                bucket.promised.to_string(),
                format!("{}{exception}", allows.as_deref().unwrap_or("not known")),
                bucket.new_at.clone().unwrap_or("now".to_owned()),
                bucket.blocked_until.clone().unwrap_or_default(),
            ]
        };
        rows(&header, self.buckets.iter().map(row).collect())
    }
}

/// What will be asked of the CAs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Forecast {
    pub(crate) at: Option<String>,
    /// New hostnames that wait for an order.
    pub(crate) waiting: u64,
    /// The end of the day on which the last of them may be through; absent if none waits, or
    /// not within the days.
    pub(crate) waiting_until: Option<String>,
    pub(crate) days: Vec<Day>,
    /// Limits that hold something, those that hold most first.
    pub(crate) hits: Vec<Hit>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Day {
    pub(crate) from: Option<String>,
    pub(crate) renewals: u64,
    /// New hostnames whose orders the limits allow.
    pub(crate) firsts: u64,
    /// Those that wait still at its end.
    pub(crate) waiting: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Hit {
    pub(crate) ca: String,
    /// orders or certificates-per-domain.
    pub(crate) kind: &'static str,
    pub(crate) key: String,
    /// The first day on which it holds something.
    pub(crate) day: Option<String>,
    /// How many orders it holds at the end of that day.
    pub(crate) held: u64,
    /// When the last of them may begin.
    pub(crate) until: Option<String>,
}

impl From<wire::LedgerForecast> for Forecast {
    fn from(wire: wire::LedgerForecast) -> Self {
        let day = |day: wire::ForecastDay| Day {
            from: moment(day.day.as_ref()),
            renewals: day.renewals,
            firsts: day.firsts,
            waiting: day.waiting,
        };
        let hit = |hit: wire::ForecastHit| Hit {
            kind: kind(hit.kind()),
            ca: id(&hit.ca).to_owned(),
            day: moment(hit.day.as_ref()),
            until: moment(hit.until.as_ref()),
            key: hit.key,
            held: hit.held,
        };
        Self {
            at: moment(wire.at.as_ref()),
            waiting: wire.waiting,
            waiting_until: moment(wire.waiting_until.as_ref()),
            days: wire.days.into_iter().map(day).collect(),
            hits: wire.hits.into_iter().map(hit).collect(),
        }
    }
}

impl Shape for Forecast {
    fn table(&self) -> String {
        let until = match (self.waiting, &self.waiting_until) {
            (0, _) => "nothing waits".to_owned(),
            (_, Some(until)) => until.clone(),
            (_, None) => "later than looked ahead to".to_owned(),
        };
        let renewals: u64 = self.days.iter().map(|day| day.renewals).sum();
        let mut said = pairs(vec![
            (
                "waiting",
                format!("{} for their first certificate", self.waiting),
            ),
            ("all through by", until),
            (
                "renewals",
                format!("{renewals} within {} days", self.days.len()),
            ),
        ]);
        let busy = self.days.iter().filter(|day| day.renewals + day.firsts > 0);
        let busy: Vec<_> = busy
            .map(|day| {
                vec![
                    date(&day.from),
                    day.renewals.to_string(),
                    day.firsts.to_string(),
                    day.waiting.to_string(),
                ]
            })
            .collect();
        if !busy.is_empty() {
            said.push_str("\n\n");
            said.push_str(&rows(
                &[
                    "day from",
                    "renewals",
                    "first certificates",
                    "still waiting",
                ],
                busy,
            ));
        }
        if self.hits.is_empty() {
            said.push_str("\n\nno limit holds anything");
        } else {
            let row = |hit: &Hit| {
                vec![
                    hit.ca.clone(),
                    hit.kind.to_owned(),
                    hit.key.clone(),
                    date(&hit.day),
                    hit.held.to_string(),
                    hit.until.clone().unwrap_or_default(),
                ]
            };
            let header = [
                "ca",
                "limit",
                "key",
                "holds from",
                "orders",
                "the last until",
            ];
            said.push_str("\n\n");
            said.push_str(&rows(&header, self.hits.iter().map(row).collect()));
        }
        said
    }
}

/// The day of a moment.
fn date(moment: &Option<String>) -> String {
    let moment = moment.as_deref().unwrap_or_default();
    moment.split('T').next().unwrap_or_default().to_owned()
}
