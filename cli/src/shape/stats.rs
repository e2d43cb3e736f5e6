//! What a node has served for hostnames.

use proto::admin::v1 as wire;
use serde::Serialize;

use crate::output::{Shape, clean, rows};

/// What one node has served for hostnames, since it began.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Stats {
    /// The node's id.
    pub(crate) node: u64,
    /// Another after each start of the node: then all numbers began at zero.
    pub(crate) boot: String,
    /// When the numbers began.
    pub(crate) since: Option<String>,
    /// When they were read.
    pub(crate) until: Option<String>,
    pub(crate) hostnames: Vec<HostnameStats>,
}

/// What was served for one hostname.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct HostnameStats {
    /// `-`: all that the node had no room to count apart.
    pub(crate) hostname: String,
    pub(crate) requests: u64,
    /// Whose clients left before there was an answer.
    pub(crate) requests_unanswered: u64,
    pub(crate) requests_1xx: u64,
    pub(crate) requests_2xx: u64,
    pub(crate) requests_3xx: u64,
    pub(crate) requests_4xx: u64,
    pub(crate) requests_5xx: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// Half of the requests took no longer; off by a ninth at most.
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    /// All that is known of how long they took.
    pub(crate) latency: Vec<Bucket>,
}

/// Requests that took about as long.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Bucket {
    pub(crate) from_us: u64,
    /// Absent: there is no bound.
    pub(crate) below_us: Option<u64>,
    pub(crate) requests: u64,
}

impl Stats {
    pub(crate) fn new(
        counting: Option<wire::Counting>,
        stats: impl IntoIterator<Item = wire::HostnameStats>,
    ) -> Self {
        let counting = counting.unwrap_or_default();
        Self {
            node: counting.node,
            boot: counting.boot,
            since: super::moment(counting.since.as_ref()),
            until: super::moment(counting.until.as_ref()),
            hostnames: stats.into_iter().map(HostnameStats::from).collect(),
        }
    }
}

impl From<wire::HostnameStats> for HostnameStats {
    fn from(wire: wire::HostnameStats) -> Self {
        Self {
            hostname: super::id(&wire.name).to_owned(),
            requests: wire.requests,
            requests_unanswered: wire.requests_unanswered,
            requests_1xx: wire.requests_1xx,
            requests_2xx: wire.requests_2xx,
            requests_3xx: wire.requests_3xx,
            requests_4xx: wire.requests_4xx,
            requests_5xx: wire.requests_5xx,
            bytes_in: wire.bytes_in,
            bytes_out: wire.bytes_out,
            p50_ms: quantile(&wire.latency, 50),
            p99_ms: quantile(&wire.latency, 99),
            latency: wire.latency.iter().map(Bucket::from).collect(),
        }
    }
}

impl From<&wire::LatencyBucket> for Bucket {
    fn from(wire: &wire::LatencyBucket) -> Self {
        Self {
            from_us: wire.from_us,
            below_us: Some(wire.below_us).filter(|below| *below != 0),
            requests: wire.requests,
        }
    }
}

/// What so many of a hundred requests were as fast as, or faster, in milliseconds.
fn quantile(buckets: &[wire::LatencyBucket], percent: u64) -> Option<f64> {
    let count: u64 = buckets.iter().map(|bucket| bucket.requests).sum();
    let rank = (u128::from(count) * u128::from(percent)).div_ceil(100);
    let mut seen = 0;
    let bucket = buckets.iter().find(|bucket| {
        seen += u128::from(bucket.requests);
        seen >= rank && bucket.requests > 0
    })?;
    let micros = match (bucket.from_us, bucket.below_us) {
        (0, below) => below,
        (from, 0) => from,
        // Off least from all of the bucket, in proportion.
        (from, below) => {
            let product = u128::from(from) * u128::from(below) * 2;
            u64::try_from(product / (u128::from(from) + u128::from(below))).unwrap_or(u64::MAX)
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "exact for centuries")]
    Some(micros as f64 / 1e3)
}

impl Shape for Stats {
    fn table(&self) -> String {
        let header = [
            "hostname", "requests", "5xx", "4xx", "in", "out", "p50", "p99",
        ];
        let told = self.hostnames.iter().map(|it| {
            let millis = |ms: Option<f64>| ms.map(|ms| format!("{ms} ms")).unwrap_or_default();
            let mut cells = vec![it.hostname.clone()];
            let numbers = [
                it.requests,
                it.requests_5xx,
                it.requests_4xx,
                it.bytes_in,
                it.bytes_out,
            ];
            cells.extend(numbers.map(|number| number.to_string()));
            cells.extend([millis(it.p50_ms), millis(it.p99_ms)]);
            cells
        });
        let since = self.since.as_deref().unwrap_or("its start");
        format!(
            "{}\n\nserved by node {} since {}",
            rows(&header, told.collect()),
            self.node,
            clean(since)
        )
    }
}
