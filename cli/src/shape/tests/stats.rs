//! What was served.

use proto::admin::v1 as wire;

use super::check;
use crate::shape::stats::Stats;

fn moment(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

fn counting() -> Option<wire::Counting> {
    Some(wire::Counting {
        node: 3,
        boot: "00112233445566778899aabbccddeeff".to_owned(),
        since: moment(1_700_000_000),
        until: moment(1_700_003_600),
    })
}

fn bucket(from_us: u64, below_us: u64, requests: u64) -> wire::LatencyBucket {
    wire::LatencyBucket {
        from_us,
        below_us,
        requests,
    }
}

#[test]
fn what_was_served_is_shown() {
    let shop = wire::HostnameStats {
        name: "hostnames/shop.example".to_owned(),
        requests: 103,
        requests_unanswered: 1,
        requests_1xx: 1,
        requests_2xx: 98,
        requests_3xx: 0,
        requests_4xx: 2,
        requests_5xx: 1,
        bytes_in: 4096,
        bytes_out: 1_234_567,
        latency: vec![
            bucket(0, 64, 1),
            bucket(1024, 1280, 99),
            bucket(134_217_728, 0, 2),
        ],
    };
    let others = wire::HostnameStats {
        name: "hostnames/-".to_owned(),
        requests: 1,
        requests_1xx: 1,
        ..wire::HostnameStats::default()
    };
    check("stats", &Stats::new(counting(), [shop, others]));
    check("stats-none", &Stats::new(counting(), []));
}
