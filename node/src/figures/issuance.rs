//! What waits for orders, and how the CAs are.

use leader::{scheduler::Lane, status::Status};
use state::{BucketKey, LimitKind, State, Timestamp};

use super::float;
use crate::metrics::Sample;

/// What only the leader knows; nothing while this node does not lead.
pub(super) fn issuance_figures(status: &Status, state: &State, now: Timestamp) -> Vec<Sample> {
    if status.term.is_none() {
        return Vec::new();
    }
    let count = |count: usize| float(count as u64);
    let waiting = Lane::ALL
        .iter()
        .zip(status.queue.lanes)
        .map(|(lane, waiting)| {
            let help = "Orders that wait to begin, by how urgent they are";
            Sample::gauge("orders_waiting", help, count(waiting)).labelled("lane", lane.as_str())
        });
    let mut samples: Vec<Sample> = waiting.collect();
    samples.push(Sample::gauge(
        "orders_resting",
        "Orders that a limit holds, or that rest for a moment",
        count(status.queue.resting),
    ));
    samples.push(Sample::gauge(
        "certificates_followed",
        "Certificates whose CAs are asked when to renew them",
        count(status.polled),
    ));
    for (ca, at) in &status.cas {
        let paused = f64::from(u8::from(at.pause.is_some()));
        samples.push(
            Sample::gauge(
                "ca_orders_in_flight",
                "Orders in flight at a CA",
                count(at.orders),
            )
            .labelled("ca", ca.as_str()),
        );
        samples.push(
            Sample::gauge("ca_paused", "1 while a CA that ails is left alone", paused)
                .labelled("ca", ca.as_str()),
        );
        let orders = BucketKey {
            ca: ca.clone(),
            kind: LimitKind::Orders,
            key: "".into(),
        };
        if let Some(limit) = state.limit(&orders) {
            let bucket = state.bucket(&orders).copied().unwrap_or_default();
            let left = f64::from(bucket.left(limit, now));
            samples.push(
                Sample::gauge(
                    "ca_orders_left",
                    "New orders that a CA's limit allows now",
                    left,
                )
                .labelled("ca", ca.as_str()),
            );
        }
    }
    samples
}
