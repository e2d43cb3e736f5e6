//! What hostnames and clients' networks may use of a node: requests or connections in a
//! second, and connections at once.
//!
//! The only thing that cores share on a request's road, and only for hostnames with such
//! a limit: they meet in one of [`ALLOWANCE_SHARDS`] locks, for as long as two numbers
//! take.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use state::traffic::Rate;
use tokio::time::Instant;

use crate::limits::{ALLOWANCE_SHARDS, ALLOWANCES};

/// All use of this node by those that a `K` names.
pub(crate) struct Allowances<K> {
    begun: Instant,
    hasher: RandomState,
    shards: Vec<Mutex<HashMap<K, Used>>>,
}

/// One's use.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    /// Until when its requests so far would last at the rate that is allowed, in
    /// nanoseconds since the beginning: a token bucket as one number.
    spent_until: u64,
    connections: u32,
}

/// A connection that counts, until it is dropped.
pub(crate) struct Connected<K: Hash + Eq> {
    allowances: Arc<Allowances<K>>,
    key: K,
}

impl<K: Hash + Eq> Allowances<K> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            hasher: RandomState::new(),
            shards: (0..ALLOWANCE_SHARDS).map(|_| Mutex::default()).collect(),
        })
    }

    /// True if one more request is allowed now.
    pub(crate) fn request<Q>(&self, key: &Q, rate: Rate) -> bool
    where
        K: Borrow<Q> + for<'a> From<&'a Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.request_at(key, rate, Instant::now())
    }

    fn request_at<Q>(&self, key: &Q, rate: Rate, now: Instant) -> bool
    where
        K: Borrow<Q> + for<'a> From<&'a Q>,
        Q: Hash + Eq + ?Sized,
    {
        let now = self.nanos(now);
        let each = 1_000_000_000 / u64::from(rate.per_second.max(1));
        let most = each.saturating_mul(u64::from(rate.burst.max(1)));
        let mut shard = self.shard(key);
        let Some(used) = entry(&mut shard, key, now) else {
            return true;
        };
        // A burst that was larger before, or a slower rate, must not bar it for long.
        used.spent_until = used.spent_until.clamp(now, now.saturating_add(most));
        let after = used.spent_until.saturating_add(each);
        if after - now > most {
            return false;
        }
        used.spent_until = after;
        true
    }

    /// One more connection, unless `most` are there.
    pub(crate) fn connect<Q>(self: &Arc<Self>, key: &Q, most: u32) -> Option<Connected<K>>
    where
        K: Borrow<Q> + for<'a> From<&'a Q>,
        Q: Hash + Eq + ?Sized,
    {
        let now = self.nanos(Instant::now());
        let mut shard = self.shard(key);
        if let Some(used) = entry(&mut shard, key, now) {
            if used.connections >= most {
                return None;
            }
            used.connections += 1;
        }
        Some(Connected {
            allowances: Arc::clone(self),
            key: key.into(),
        })
    }

    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.duration_since(self.begun).as_nanos()).unwrap_or(u64::MAX)
    }

    fn shard<Q>(&self, key: &Q) -> MutexGuard<'_, HashMap<K, Used>>
    where
        K: Borrow<Q>,
        Q: Hash + ?Sized,
    {
        let place = self.hasher.hash_one(key) % ALLOWANCE_SHARDS as u64;
        // Below the number of shards.
        let shard = &self.shards[place as usize];
        // Every change is a single step.
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entry of `key`; none if there is no room for it.
fn entry<'a, K, Q>(shard: &'a mut HashMap<K, Used>, key: &Q, now: u64) -> Option<&'a mut Used>
where
    K: Hash + Eq + Borrow<Q> + for<'b> From<&'b Q>,
    Q: Hash + Eq + ?Sized,
{
    if !shard.contains_key(key) {
        if shard.len() >= ALLOWANCES / ALLOWANCE_SHARDS {
            shard.retain(|_, used| used.connections > 0 || used.spent_until > now);
        }
        if shard.len() >= ALLOWANCES / ALLOWANCE_SHARDS {
            return None;
        }
        shard.insert(key.into(), Used::default());
    }
    shard.get_mut(key)
}

impl<K: Hash + Eq> Drop for Connected<K> {
    fn drop(&mut self) {
        let mut shard = self.allowances.shard(&self.key);
        if let Some(used) = shard.get_mut(&self.key) {
            used.connections = used.connections.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const RATE: Rate = Rate {
        per_second: 10,
        burst: 3,
    };

    #[test]
    fn a_burst_is_allowed_and_then_the_rate() {
        let all = Allowances::<Box<str>>::new();
        let at = |millis| all.begun + Duration::from_millis(millis);
        let allowed = |millis| all.request_at("shop.example", RATE, at(millis));
        assert_eq!(
            [allowed(0), allowed(0), allowed(0), allowed(0)],
            [true, true, true, false]
        );
        assert_eq!(
            [allowed(99), allowed(100), allowed(101)],
            [false, true, false]
        );
        let after_a_rest: Vec<_> = (0..4).map(|_| allowed(60_000)).collect();
        assert_eq!(after_a_rest, [true, true, true, false]);
    }

    #[test]
    fn hostnames_do_not_share_what_they_may() {
        let all = Allowances::<Box<str>>::new();
        for name in ["a.example", "b.example"] {
            let now = all.begun;
            let allowed = (0..5).filter(|_| all.request_at(name, RATE, now)).count();
            assert_eq!(allowed, 3, "{name}");
        }
    }

    #[test]
    fn a_smaller_burst_holds_at_once() {
        let all = Allowances::<Box<str>>::new();
        let large = Rate {
            per_second: 1,
            burst: 100,
        };
        assert!((0..100).all(|_| all.request_at("shop.example", large, all.begun)));
        let at = |millis| all.begun + Duration::from_millis(millis);
        assert!(!all.request_at("shop.example", RATE, at(1)));
        assert!(all.request_at("shop.example", RATE, at(102)));
    }

    #[test]
    fn connections_count_until_they_end() {
        let all = Allowances::<Box<str>>::new();
        let first = all.connect("shop.example", 2).unwrap();
        let second = all.connect("shop.example", 2).unwrap();
        assert!(all.connect("shop.example", 2).is_none());
        drop(first);
        let third = all.connect("shop.example", 2).unwrap();
        assert!(all.connect("shop.example", 2).is_none());
        drop((second, third));
        assert!(all.connect("shop.example", 1).is_some());
    }

    #[test]
    fn memory_is_bounded_and_the_idle_give_way() {
        let all = Allowances::<Box<str>>::new();
        for number in 0..ALLOWANCES * 2 {
            let at = all.begun + Duration::from_millis(number as u64);
            all.request_at(&format!("h{number}.example"), RATE, at);
        }
        let held: usize = all.shards.iter().map(|it| it.lock().unwrap().len()).sum();
        assert!(held <= ALLOWANCES, "{held}");
    }
}
