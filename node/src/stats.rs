//! What this node has served for hostnames, in the words of the API.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use edge::{Hostnames, Totals};
use proto::admin::v1;
use state::{Timestamp, ports::Clock};

use crate::wiring::Rooms;

/// The edge's sums, and since when they are kept.
pub(crate) struct Counted {
    node: u64,
    boot: String,
    since: Timestamp,
    clock: Arc<dyn Clock>,
    hostnames: Arc<Hostnames>,
}

impl Counted {
    /// Of an edge that has just started.
    pub(crate) fn new(rooms: &Rooms, hostnames: Arc<Hostnames>) -> Self {
        let mut boot = [0; 16];
        rooms.entropy.fill(&mut boot);
        Self {
            node: rooms.identity.public.node.0,
            boot: HEXLOWER.encode(&boot),
            since: rooms.clock.now(),
            clock: rooms.clock.clone(),
            hostnames,
        }
    }
}

impl admin::Stats for Counted {
    fn counting(&self) -> v1::Counting {
        v1::Counting {
            node: self.node,
            boot: self.boot.clone(),
            since: Some(moment(self.since)),
            until: Some(moment(self.clock.now())),
        }
    }

    fn hostname(&self, hostname: &str) -> v1::HostnameStats {
        stats(hostname, &self.hostnames.get(hostname).unwrap_or_default())
    }

    fn others(&self) -> v1::HostnameStats {
        stats("-", &self.hostnames.others())
    }

    fn after(&self, last: &str, most: usize) -> Vec<v1::HostnameStats> {
        all(&self.hostnames.after(last, most))
    }

    fn top(&self, most: usize) -> Vec<v1::HostnameStats> {
        all(&self.hostnames.top(most, Totals::requests))
    }
}

fn all(told: &[(Arc<str>, Totals)]) -> Vec<v1::HostnameStats> {
    let one = |(hostname, totals): &(Arc<str>, Totals)| stats(hostname, totals);
    told.iter().map(one).collect()
}

fn stats(hostname: &str, totals: &Totals) -> v1::HostnameStats {
    let bucket = |bucket: edge::Bucket| v1::LatencyBucket {
        from_us: bucket.from,
        below_us: bucket.below.unwrap_or(0),
        requests: bucket.requests,
    };
    let [unanswered, r1xx, r2xx, r3xx, r4xx, r5xx] = totals.classes;
    v1::HostnameStats {
        name: format!("hostnames/{hostname}"),
        requests: totals.requests(),
        requests_unanswered: unanswered,
        requests_1xx: r1xx,
        requests_2xx: r2xx,
        requests_3xx: r3xx,
        requests_4xx: r4xx,
        requests_5xx: r5xx,
        bytes_in: totals.bytes_in,
        bytes_out: totals.bytes_out,
        latency: totals.latency.buckets().map(bucket).collect(),
    }
}

fn moment(at: Timestamp) -> prost_types::Timestamp {
    let millis = at.as_millis();
    prost_types::Timestamp {
        seconds: i64::try_from(millis / 1000).unwrap_or(i64::MAX),
        nanos: i32::try_from(millis % 1000 * 1_000_000).unwrap_or(0),
    }
}
