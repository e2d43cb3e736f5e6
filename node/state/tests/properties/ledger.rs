//! What CAs allow is counted, order by order.

use std::collections::BTreeMap;

use proptest::prelude::*;
use state::{BucketKey, Change, Done, LimitKind, Order, Outcome, Stage, State};

use crate::{
    history::{live, plan},
    invariants::alone,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn promises_are_the_orders_in_flight(plan in plan()) {
        for entry in live(&plan) {
            let state = &entry.after;
            let mut expected: BTreeMap<BucketKey, u32> = BTreeMap::new();
            for order in state.orders() {
                for key in promised(order) {
                    *expected.entry(key).or_default() += 1;
                }
            }
            let found = state.buckets().filter(|(_, bucket)| bucket.promised > 0);
            let found: BTreeMap<_, _> =
                found.map(|(key, bucket)| (key.clone(), bucket.promised)).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_an_order_costs_is_spent_once(plan in plan()) {
        for entry in live(&plan) {
            alone(&entry, |before, command, outcome, after| {
                let (id, orders) = match (&command.change, outcome) {
                    (_, Outcome::Refused(_) | Outcome::Done(Done::Unchanged)) => return Ok(()),
                    (Change::PrepareOrder { order, .. }, _) => (*order, true),
                    (Change::InstallCertificate(install), _) => (install.order, false),
                    _ => return Ok(()),
                };
                let order = before.order(id).expect("it was in flight");
                for kind in order.budget.kinds().iter().copied() {
                    let key = key_of(order, kind);
                    let spent = |state: &State| {
                        state.bucket(&key).map(|bucket| bucket.spent_until).unwrap_or_default()
                    };
                    let limited = before.limit(&key).is_some();
                    let rises = limited && orders == (kind == LimitKind::Orders);
                    prop_assert_eq!(spent(after) > spent(before), rises, "{:?}", key);
                }
                Ok(())
            })?;
        }
    }

    #[test]
    fn no_order_begins_that_a_limit_forbids(plan in plan()) {
        for entry in live(&plan) {
            alone(&entry, |before, command, outcome, after| {
                let (Change::AdmitOrder(admit), Outcome::Done(Done::Order(id))) =
                    (&command.change, outcome)
                else {
                    return Ok(());
                };
                let order = after.order(*id).expect("it was admitted");
                for key in promised(order) {
                    let free = before.free_at(&key, admit.budget.share(), command.at);
                    prop_assert!(free <= command.at, "{key:?} is free at {free}");
                    let left = before.limit(&key).map(|limit| {
                        let bucket = before.bucket(&key).copied().unwrap_or_default();
                        bucket.left(limit, command.at)
                    });
                    prop_assert!(left != Some(0), "{key:?} has nothing left");
                }
                Ok(())
            })?;
        }
    }

    #[test]
    fn buckets_are_of_known_cas_and_none_is_kept_for_nothing(plan in plan()) {
        for entry in live(&plan) {
            for (key, bucket) in entry.after.buckets() {
                prop_assert!(entry.after.ca(key.ca.as_str()).is_some());
                prop_assert!(*bucket != state::Bucket::default());
            }
        }
    }
}

/// Under which buckets an order is promised: `newOrder` until the CA has it, the
/// others to its end.
fn promised(order: &Order) -> impl Iterator<Item = BucketKey> {
    let kinds = order.budget.kinds().iter().copied();
    let placed = order.stage != Stage::Admitted;
    kinds
        .filter(move |kind| !(placed && *kind == LimitKind::Orders))
        .map(|kind| key_of(order, kind))
}

fn key_of(order: &Order, kind: LimitKind) -> BucketKey {
    BucketKey {
        ca: order.ca.clone(),
        kind,
        key: match kind {
            LimitKind::Orders => "".into(),
            LimitKind::Certificates => order.domain.clone(),
            LimitKind::Sets => order.names(),
            LimitKind::Failures => order.hostname.as_str().into(),
        },
    }
}
