//! Several origins: which of them a request goes to, and whether it may go to another.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

use state::traffic::Ejection;
use tokio::time::Instant;

use super::{health::Checked, pool::Pool};
use crate::limits::FAILOVERS;

/// Where a request may go.
pub(crate) struct Targets {
    pub(super) members: Box<[Target]>,
    pub(super) ejection: Option<Ejection>,
    pub(super) budget: Budget,
    chance: AtomicU64,
}

/// One of them.
pub(super) struct Target {
    pub(super) pool: Arc<Pool>,
    pub(super) weight: u16,
    /// Absent: it is not asked.
    pub(super) health: Option<Arc<Checked>>,
}

/// A request under way to an origin, until it is dropped.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Pool>);

impl InFlight {
    pub(super) fn new(pool: &Arc<Pool>) -> Self {
        pool.record().in_flight.fetch_add(1, Relaxed);
        Self(Arc::clone(pool))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.record().in_flight.fetch_sub(1, Relaxed);
    }
}

impl Targets {
    pub(super) fn new(members: Vec<Target>, ejection: Option<Ejection>, percent: u8) -> Self {
        Self {
            members: members.into(),
            ejection,
            budget: Budget::new(percent),
            chance: AtomicU64::new(0),
        }
    }

    /// The origin that is there, as it is shown.
    pub(crate) fn shown(&self, place: usize) -> Option<String> {
        Some(self.members.get(place)?.pool.origin().to_string())
    }

    /// The same if there is no other.
    pub(crate) fn shown_only(&self) -> Option<String> {
        self.shown(0).filter(|_| self.members.len() == 1)
    }

    /// Whom to ask. `avoid` has just failed.
    pub(super) fn pick(&self, avoid: Option<usize>, now: Instant) -> usize {
        let look = |target: &Target| Look {
            weight: target.weight,
            load: target.pool.record().in_flight.load(Relaxed),
            ill: target.health.as_ref().is_some_and(|health| health.is_ill()),
            ejected: target.pool.record().is_ejected(now),
        };
        let looks: Vec<Look> = self.members.iter().map(look).collect();
        choose(&looks, avoid, || mix(self.chance.fetch_add(1, Relaxed)))
    }

    /// An origin failed: true if it is left alone from now on. Never more than half are.
    pub(super) fn failed(&self, place: usize, now: Instant) -> bool {
        let Some(ejection) = self.ejection else {
            return false;
        };
        let record = |target: &Target| target.pool.record().is_ejected(now);
        let ejected = self.members.iter().filter(|target| record(target)).count();
        let may_eject = (ejected + 1) * 2 <= self.members.len();
        // `place` is one that `pick` gave.
        let pool = &self.members[place].pool;
        pool.record().bad(ejection, may_eject, now)
    }
}

/// How an origin looks to whoever has to choose.
#[derive(Clone, Copy, Debug)]
struct Look {
    weight: u16,
    load: usize,
    ill: bool,
    ejected: bool,
}

/// Power of two choices: of two that are drawn by weight the one with fewer requests for
/// its weight. If none is well, those that are ill are asked all the same.
fn choose(looks: &[Look], avoid: Option<usize>, mut chance: impl FnMut() -> u64) -> usize {
    let well = |place: &usize| !looks[*place].ill && !looks[*place].ejected;
    let others = || (0..looks.len()).filter(|place| Some(*place) != avoid);
    let mut places: Vec<usize> = others().filter(well).collect();
    if places.is_empty() {
        places = others().collect();
    }
    let first = draw(looks, &mut places, chance());
    if places.is_empty() {
        return first;
    }
    let second = draw(looks, &mut places, chance());
    let load = |place: usize, of: usize| looks[place].load as u64 * u64::from(looks[of].weight);
    // Where both are idle the draw decides, which is by weight.
    if load(second, first) < load(first, second) {
        second
    } else {
        first
    }
}

/// Takes one out, by weight.
fn draw(looks: &[Look], places: &mut Vec<usize>, chance: u64) -> usize {
    let sum: u64 = places
        .iter()
        .map(|place| u64::from(looks[*place].weight))
        .sum();
    let mut left = chance % sum.max(1);
    let at = places.iter().position(|place| {
        let weight = u64::from(looks[*place].weight);
        let here = left < weight;
        left = left.saturating_sub(weight);
        here
    });
    places.remove(at.unwrap_or(0))
}

/// splitmix64: numbers that look drawn, from a counter. What is chosen needs to be even
/// and not secret.
fn mix(count: u64) -> u64 {
    let mut mixed = count.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// How many requests may go to another origin: a share of all, so that retries cannot
/// double the load of origins that fail under it, and a few for whoever has few.
pub(super) struct Budget {
    percent: u8,
    /// In hundredths.
    saved: AtomicU32,
    few: Mutex<(u32, Option<Instant>)>,
}

/// What can be saved: a hundred.
const SAVED_MAX: u32 = 100 * 100;

impl Budget {
    pub(super) fn new(percent: u8) -> Self {
        Self {
            percent,
            saved: AtomicU32::new(0),
            few: Mutex::new((FAILOVERS, None)),
        }
    }

    /// One more request came.
    pub(super) fn save(&self) {
        let saved = self.saved.load(Relaxed);
        if saved < SAVED_MAX {
            self.saved.fetch_add(self.percent.into(), Relaxed);
        }
    }

    /// True if one may go to another origin now.
    pub(super) fn spend(&self, now: Instant) -> bool {
        if self.percent == 0 {
            return false;
        }
        let spend = |saved: u32| saved.checked_sub(100);
        if self.saved.fetch_update(Relaxed, Relaxed, spend).is_ok() {
            return true;
        }
        // Every change is a single step.
        let mut few = self.few.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, since) = &mut *few;
        let rested = since.map(|since| now.duration_since(since).as_millis());
        let again = rested.map_or(0, |millis| millis * u128::from(FAILOVERS) / 1000);
        if again > 0 || since.is_none() {
            *left = left
                .saturating_add(u32::try_from(again).unwrap_or(FAILOVERS))
                .min(FAILOVERS);
            *since = Some(now);
        }
        match left.checked_sub(1) {
            Some(rest) => {
                *left = rest;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const WELL: Look = Look {
        weight: 1,
        load: 0,
        ill: false,
        ejected: false,
    };

    fn shares(looks: &[Look], avoid: Option<usize>) -> Vec<usize> {
        let mut count = 0;
        let mut shares = vec![0; looks.len()];
        for _ in 0..10_000 {
            let place = choose(looks, avoid, || {
                count += 1;
                mix(count)
            });
            shares[place] += 1;
        }
        shares
    }

    #[test]
    fn idle_origins_share_by_weight() {
        let heavy = Look { weight: 3, ..WELL };
        let by_weight = shares(&[WELL, heavy], None);
        assert!((7200..7800).contains(&by_weight[1]), "{by_weight:?}");
        let even = shares(&[WELL, WELL, WELL, WELL], None);
        assert!(
            even.iter().all(|share| (2200..2800).contains(share)),
            "{even:?}"
        );
    }

    #[test]
    fn the_less_loaded_of_two_is_asked() {
        let busy = Look { load: 10, ..WELL };
        assert_eq!(shares(&[busy, WELL], None), [0, 10_000]);
        let three = shares(&[busy, WELL, WELL], None);
        assert_eq!(three[0], 0);
        let strong = Look {
            weight: 100,
            load: 10,
            ..WELL
        };
        assert_eq!(
            shares(&[strong, Look { load: 1, ..WELL }], None),
            [10_000, 0]
        );
    }

    #[test]
    fn the_ill_and_the_ejected_are_asked_only_if_no_other_is_left() {
        let ill = Look { ill: true, ..WELL };
        let ejected = Look {
            ejected: true,
            ..WELL
        };
        assert_eq!(shares(&[ill, WELL, ejected], None), [0, 10_000, 0]);
        let none = shares(&[ill, ejected], None);
        assert!(none[0] > 1000 && none[1] > 1000, "{none:?}");
        assert_eq!(shares(&[ill, WELL], Some(1)), [10_000, 0]);
    }

    #[test]
    fn a_share_of_requests_may_be_repeated() {
        let budget = Budget::new(10);
        let now = Instant::now();
        let spent = |now| (0..1000).take_while(|_| budget.spend(now)).count();
        assert_eq!(spent(now), FAILOVERS as usize, "the few");
        (0..100).for_each(|_| budget.save());
        assert_eq!(spent(now), 10);
        (0..100_000).for_each(|_| budget.save());
        assert_eq!(spent(now), 100, "what can be saved has a bound");
        assert_eq!(spent(now + Duration::from_millis(999)), 2);
        assert_eq!(spent(now + Duration::from_secs(60)), FAILOVERS as usize);
    }

    #[test]
    fn none_is_repeated_where_that_is_off() {
        let budget = Budget::new(0);
        (0..1000).for_each(|_| budget.save());
        assert!(!budget.spend(Instant::now()));
    }
}
