//! Two clocks of who heard whom.
//!
//! - [`Heard`]: when this node last *received* an append from a leader. Kept by the
//!   receiving half of the transport, before Raft's core sees the append: the core
//!   waits for the disk, the election guard must not.
//! - [`Acks`]: when this node, as a leader, *sent* the last append that each follower
//!   acknowledged. Taken before the bytes leave, on a clock that counts sleep, so that
//!   a process that was stopped never believes itself younger than it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::types::Vote;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// See the module. Instants are time since the machine's start.
#[derive(Debug, Default)]
pub(crate) struct Heard(Mutex<Option<(Vote, Duration)>>);

impl Heard {
    /// An append of the leader elected by `vote` came in at `now`. One of an earlier
    /// leader than heard before does not count: it leads nobody.
    pub(crate) fn heard(&self, vote: Vote, now: Duration) {
        let mut last = lock(&self.0);
        if last.is_none_or(|(known, _)| known <= vote) {
            *last = Some((vote, now));
        }
    }

    /// How long ago at `now`; `None` if never.
    pub(crate) fn since(&self, now: Duration) -> Option<Duration> {
        lock(&self.0).map(|(_, at)| now.saturating_sub(at))
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Acks(Mutex<BTreeMap<u64, (Vote, Duration)>>);

impl Acks {
    /// `peer` acknowledged an append under `vote` that was sent at `sent`.
    pub(crate) fn acknowledged(&self, peer: u64, vote: Vote, sent: Duration) {
        let mut acks = lock(&self.0);
        let entry = acks.entry(peer).or_insert((vote, sent));
        if *entry < (vote, sent) {
            *entry = (vote, sent);
        }
    }

    /// Whether a majority of each of `configurations`, `me` counted, acknowledged
    /// `vote` by appends sent within `within` before `now`.
    pub(crate) fn quorum(
        &self,
        me: u64,
        vote: Vote,
        configurations: &[BTreeSet<u64>],
        now: Duration,
        within: Duration,
    ) -> bool {
        let acks = lock(&self.0);
        let fresh = |node: &u64| {
            *node == me
                || acks.get(node).is_some_and(|(acked, sent)| {
                    *acked == vote && now.saturating_sub(*sent) <= within
                })
        };
        is_quorum(configurations, fresh)
    }
}

/// Whether `yes` holds for a majority of each configuration; false if there is none.
pub(crate) fn is_quorum(configurations: &[BTreeSet<u64>], yes: impl Fn(&u64) -> bool) -> bool {
    !configurations.is_empty()
        && configurations
            .iter()
            .all(|voters| voters.iter().filter(|node| yes(node)).count() * 2 > voters.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_millis(200);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_lease_needs_fresh_acknowledgements_of_a_majority_in_the_same_term() {
        let acks = Acks::default();
        let (old, new) = (Vote::new_committed(1, 1), Vote::new_committed(2, 1));
        let voters = [BTreeSet::from([1, 2, 3])];
        let holds = |vote, now| acks.quorum(1, vote, &voters, now, WITHIN);
        assert!(!holds(new, ms(1000)), "nobody else");
        acks.acknowledged(2, old, ms(1000));
        assert!(!holds(new, ms(1000)), "another term");
        acks.acknowledged(2, new, ms(900));
        acks.acknowledged(2, new, ms(850));
        assert!(
            holds(new, ms(1100)),
            "an older answer that comes late changes nothing"
        );
        assert!(!holds(new, ms(1101)), "too old");
        let joint = [BTreeSet::from([1, 2, 3]), BTreeSet::from([3, 4, 5])];
        assert!(
            !acks.quorum(1, new, &joint, ms(1000), WITHIN),
            "both halves of a joint configuration"
        );
        assert!(
            acks.quorum(1, new, &[BTreeSet::from([1])], ms(9999), WITHIN),
            "alone"
        );
        assert!(!acks.quorum(1, new, &[], ms(0), WITHIN), "no configuration");
    }

    #[test]
    fn an_earlier_leader_is_not_heard() {
        let heard = Heard::default();
        assert_eq!(heard.since(ms(5)), None);
        heard.heard(Vote::new_committed(2, 1), ms(10));
        heard.heard(Vote::new_committed(1, 9), ms(20));
        assert_eq!(heard.since(ms(30)), Some(ms(20)));
    }
}
