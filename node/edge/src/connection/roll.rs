//! A core's connections, so that some can be asked to make room for others.
//!
//! Nothing is kept in order while there is room: who rests longest is looked for when
//! somebody must go, and then many go at once, so that a look through all costs little for
//! each.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

use super::Activity;
use crate::limits::{SHED_EVERY, SHED_PART};

/// The connections of one core, in the order of their arrival.
#[derive(Debug, Default)]
pub(crate) struct Roll(Mutex<Entered>);

#[derive(Debug, Default)]
struct Entered {
    next: u64,
    connections: BTreeMap<u64, Arc<Activity>>,
    /// When it was last looked for resting and for silent ones.
    looked: [Option<Instant>; 2],
}

/// Whom to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    /// Those between two requests, the longest first.
    Resting,
    /// Those that have not said what a handshake needs, the oldest first.
    Silent,
}

/// A connection's entry, until it is dropped.
#[derive(Debug)]
pub(crate) struct Entry {
    roll: Arc<Roll>,
    number: u64,
}

impl Roll {
    /// Enters a connection.
    pub(crate) fn enter(self: &Arc<Self>, activity: &Arc<Activity>) -> Entry {
        let mut entered = self.entered();
        let number = entered.next;
        entered.next += 1;
        entered.connections.insert(number, Arc::clone(activity));
        Entry {
            roll: Arc::clone(self),
            number,
        }
    }

    /// Asks a part of the idle to leave, at least one and as many as are `too_many`. How many
    /// were asked; none if it was looked for them a moment ago.
    pub(crate) fn shed(&self, idle: Idle, too_many: usize) -> usize {
        let now = Instant::now();
        let mut entered = self.entered();
        let looked = &mut entered.looked[idle as usize];
        if looked.is_some_and(|at| now.duration_since(at) < SHED_EVERY) {
            return 0;
        }
        *looked = Some(now);
        let mut found: Vec<(Instant, &Arc<Activity>)> = entered
            .connections
            .values()
            .filter_map(|activity| {
                let since = match idle {
                    Idle::Resting => activity.rests_since()?,
                    Idle::Silent => activity.is_silent().then_some(now)?,
                };
                Some((since, activity))
            })
            .collect();
        let part = found.len().div_ceil(SHED_PART).max(too_many);
        let part = part.min(found.len());
        if idle == Idle::Resting && part > 0 {
            found.select_nth_unstable_by_key(part - 1, |(since, _)| *since);
        }
        let oldest = found.into_iter().take(part);
        oldest.filter(|(_, activity)| activity.leave()).count()
    }

    /// All that are there, in the order of their arrival.
    pub(crate) fn present(&self) -> Vec<Arc<Activity>> {
        self.entered().connections.values().cloned().collect()
    }

    fn entered(&self) -> MutexGuard<'_, Entered> {
        // Every change is a single step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.roll.entered().connections.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    /// A connection that rests.
    fn resting(roll: &Arc<Roll>) -> (Entry, Arc<Activity>) {
        let activity = Activity::new();
        activity.serves(true);
        drop(activity.request(&Arc::default()));
        (roll.enter(&activity), activity)
    }

    /// Whether it was asked to leave.
    fn asked(activity: &Activity) -> bool {
        !activity.leave()
    }

    #[tokio::test(start_paused = true)]
    async fn who_rests_longest_leaves_first() {
        let roll = Arc::<Roll>::default();
        let mut all = Vec::new();
        for _ in 0..SHED_PART * 2 {
            all.push(resting(&roll));
            advance(Duration::from_secs(1)).await;
        }
        // The first to come has asked again since.
        drop(all[0].1.request(&Arc::default()));
        assert_eq!(roll.shed(Idle::Resting, 0), 2);
        let left: Vec<usize> = (0..all.len()).filter(|at| asked(&all[*at].1)).collect();
        assert_eq!(left, [1, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_busy_stays() {
        let roll = Arc::<Roll>::default();
        let (_entry, activity) = resting(&roll);
        let request = activity.request(&Arc::default());
        assert_eq!(roll.shed(Idle::Resting, 0), 0);
        drop(request);
        advance(SHED_EVERY).await;
        assert_eq!(roll.shed(Idle::Resting, 0), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn of_the_silent_the_oldest_leave() {
        let roll = Arc::<Roll>::default();
        let _serving = resting(&roll);
        let silent: Vec<_> = (0..SHED_PART + 1)
            .map(|_| {
                let activity = Activity::new();
                (roll.enter(&activity), activity)
            })
            .collect();
        silent[0].1.shakes_hands();
        assert_eq!(roll.shed(Idle::Silent, 0), 1);
        advance(SHED_EVERY).await;
        assert_eq!(roll.shed(Idle::Silent, 5), 5);
        let left: Vec<usize> = (0..silent.len())
            .filter(|at| asked(&silent[*at].1))
            .collect();
        assert_eq!(left, [1, 2, 3, 4, 5, 6]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_does_not_make_us_look_without_end() {
        let roll = Arc::<Roll>::default();
        let _all: Vec<_> = (0..SHED_PART * 4).map(|_| resting(&roll)).collect();
        assert_eq!(
            (roll.shed(Idle::Resting, 0), roll.shed(Idle::Resting, 0)),
            (4, 0)
        );
        advance(SHED_EVERY).await;
        assert!(roll.shed(Idle::Resting, 0) > 0);
    }

    #[tokio::test]
    async fn who_has_ended_is_forgotten() {
        let roll = Arc::<Roll>::default();
        drop(resting(&roll));
        assert!(roll.entered().connections.is_empty());
    }
}
