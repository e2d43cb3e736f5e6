//! Promising and spending what CAs allow.

use std::sync::Arc;

use super::Apply;
use crate::{
    Bucket, BucketKey, Budget, CaName, Hostname, LimitKind, Order, Refusal, Timestamp,
    outcome::Done,
};

/// Most full buckets forgotten with an order that is admitted: twice as many as one can
/// make, so that they cannot pile up, and no command costs more than that.
const FORGOTTEN_AT_ONCE: usize = 8;

impl Apply<'_> {
    /// Whether all limits allow one order more.
    pub(super) fn check_limits(&self, order: &Order) -> Result<(), Refusal> {
        let now = self.command.at;
        let share = order.budget.share();
        for key in buckets_of(order).iter().chain(failures_of(order).as_ref()) {
            let until = self.state.free_at(key, share, now);
            if until > now {
                let limit = key.kind;
                return Err(Refusal::Limited { limit, until });
            }
        }
        Ok(())
    }

    /// Promises what an order will cost.
    pub(super) fn promise(&mut self, order: &Order) {
        for key in buckets_of(order) {
            self.edit_bucket(key, Bucket::promise);
        }
        self.forget_full();
    }

    /// A bucket that is full again is as good as none. Only where an order is admitted: a
    /// leader whose clock is off admits none, while by the time of any other command of its
    /// a bucket could be full that is not.
    fn forget_full(&mut self) {
        let now = self.command.at;
        let idle = self.state.idle.iter();
        let full: Vec<BucketKey> = idle
            .take_while(|(at, _)| *at <= now)
            .take(FORGOTTEN_AT_ONCE)
            .map(|(_, key)| key.clone())
            .collect();
        for key in full {
            self.delete_bucket(&key);
        }
    }

    /// The CA has counted a `newOrder`.
    pub(super) fn spend_order(&mut self, order: &Order) {
        self.settle(order, true, |kind| kind == LimitKind::Orders);
    }

    /// The CA may have counted a `newOrder` more than the one that was promised: refused
    /// unless it allows another, of what is left to the last.
    pub(super) fn spend_order_again(&mut self, order: &Order) -> Result<(), Refusal> {
        let now = self.command.at;
        let orders = |key: &BucketKey| key.kind == LimitKind::Orders;
        for key in buckets_of(order).into_iter().filter(orders) {
            let bucket = self.state.buckets.get(&key).copied().unwrap_or_default();
            let limit = self.state.limit(&key);
            let sent = order.stage_at.min(now);
            let blocked = bucket.blocked_until.unwrap_or_default();
            let until = limit.map_or(blocked, |limit| bucket.free_again_at(limit, sent));
            if until > now {
                let limit = key.kind;
                return Err(Refusal::Limited { limit, until });
            }
            self.spend_one(key, false);
        }
        Ok(())
    }

    /// The CA has, or may have, issued.
    pub(super) fn spend_certificate(&mut self, order: &Order) {
        self.settle(order, true, |kind| kind != LimitKind::Orders);
        if order.budget == Budget::Exempt {
            // Let in free, and counted all the same: Boulder spends the set's bucket for
            // every certificate (`ratelimits`, read in 2026).
            let set = bucket(&order.ca, LimitKind::Sets, order.names());
            self.spend_one(set, false);
        }
    }

    /// The CA has not issued and will not.
    pub(super) fn release_certificate(&mut self, order: &Order) {
        self.settle(order, false, |kind| kind != LimitKind::Orders);
    }

    /// A validation failed.
    pub(super) fn spend_failure(&mut self, order: &Order) {
        if let Some(key) = failures_of(order) {
            self.spend_one(key, false);
        }
    }

    fn settle(&mut self, order: &Order, spent: bool, which: impl Fn(LimitKind) -> bool) {
        for key in buckets_of(order) {
            if !which(key.kind) {
                continue;
            }
            if spent {
                self.spend_one(key, true);
            } else {
                self.edit_bucket(key, Bucket::release);
            }
        }
    }

    fn spend_one(&mut self, key: BucketKey, promised: bool) {
        let now = self.command.at;
        let limit = self.state.limit(&key).copied();
        self.edit_bucket(key, |bucket| {
            if promised {
                bucket.release();
            }
            if let Some(limit) = &limit {
                bucket.spend(limit, now);
            }
        });
    }

    pub(super) fn observe_limit(
        &mut self,
        key: &BucketKey,
        until: Timestamp,
    ) -> Result<Done, Refusal> {
        self.ca(&key.ca)?;
        let limit = self.state.limit(key).copied();
        self.edit_bucket(key.clone(), |bucket| bucket.block(limit.as_ref(), until));
        Ok(Done::Nothing)
    }

    pub(super) fn correct_limit(&mut self, key: &BucketKey) -> Result<Done, Refusal> {
        let now = self.command.at;
        let limit = self.state.limit(key).copied();
        if self.state.buckets.contains_key(key) {
            self.edit_bucket(key.clone(), |bucket| {
                *bucket = bucket.corrected(limit.as_ref(), now);
            });
        }
        Ok(Done::Nothing)
    }

    fn edit_bucket(&mut self, key: BucketKey, edit: impl FnOnce(&mut Bucket)) {
        let mut bucket = self.state.buckets.get(&key).copied().unwrap_or_default();
        edit(&mut bucket);
        if bucket == Bucket::default() {
            self.delete_bucket(&key);
        } else {
            self.put_bucket(key, bucket);
        }
    }
}

/// What is promised when the order is admitted. `newOrder` is counted at once, so that
/// an order whose URL is known has paid for it.
fn buckets_of(order: &Order) -> Vec<BucketKey> {
    let key = |kind: &LimitKind| {
        let key: Arc<str> = match kind {
            LimitKind::Orders => "".into(),
            LimitKind::Certificates => order.domain.clone(),
            LimitKind::Sets => order.names(),
            LimitKind::Failures => order.hostname.as_str().into(),
        };
        bucket(&order.ca, *kind, key)
    };
    order.budget.kinds().iter().map(key).collect()
}

/// Nothing is promised there: failures are not planned.
fn failures_of(order: &Order) -> Option<BucketKey> {
    let counted = order.budget != Budget::Exempt;
    counted.then(|| failures(&order.ca, &order.hostname))
}

fn failures(ca: &CaName, hostname: &Hostname) -> BucketKey {
    bucket(ca, LimitKind::Failures, hostname.as_str().into())
}

fn bucket(ca: &CaName, kind: LimitKind, key: Arc<str>) -> BucketKey {
    BucketKey {
        ca: ca.clone(),
        kind,
        key,
    }
}
