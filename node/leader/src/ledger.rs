//! Putting right what a clock that was far ahead has written of CAs' limits.
//!
//! A bucket that is spent until next year stops its hostnames until then, and nothing that
//! happens later brings it back: no order is begun that would be counted there. So whoever
//! leads looks for such buckets, once its clock is trusted.

use std::time::Duration;

use state::{Change, State, Timestamp};

use crate::reign::{CommitError, Reign};

/// How often to look. A leader whose clock was in doubt in between looks at once.
const EVERY: Duration = Duration::from_secs(60);

/// Most buckets put right in one round: orders' commits come between.
const ROUND: usize = 64;

/// When to look again, by [`state::ports::Clock::boottime`]; at once, at first.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    next: Duration,
}

impl Watch {
    /// The clock is in doubt: what is written meanwhile is looked at as soon as it is trusted.
    pub(crate) fn doubt(&mut self) {
        self.next = Duration::ZERO;
    }

    /// What is to be put right, if it is time to look at `boottime`; `tolerance` is how far
    /// ahead a clock may be that is trusted.
    pub(crate) fn plan(
        &mut self,
        state: &State,
        (now, boottime): (Timestamp, Duration),
        tolerance: Duration,
    ) -> Vec<Change> {
        if boottime < self.next {
            return Vec::new();
        }
        let latest = now.plus(tolerance);
        let ahead = state.buckets_after(None).filter(|(key, bucket)| {
            let limit = state.limit(key);
            bucket.corrected(limit, latest) != **bucket
        });
        let changes: Vec<Change> = ahead
            .take(ROUND)
            .map(|(bucket, _)| Change::CorrectLimit {
                bucket: bucket.clone(),
            })
            .collect();
        if changes.len() < ROUND {
            self.next = boottime.saturating_add(EVERY);
        }
        changes
    }
}

/// Commits it.
pub(crate) async fn act(reign: &Reign, changes: Vec<Change>) -> Result<(), CommitError> {
    for change in changes {
        tracing::warn!(
            ?change,
            "a limit of a CA was counted by a clock that was far ahead; it is taken to be used up"
        );
        reign.commit(change).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::{
        BucketKey, LimitKind, Term,
        testing::{Alone, ManualClock, START, ca_name},
    };
    use std::sync::Arc;

    const TERM: Term = Term(1);
    const TOLERANCE: Duration = Duration::from_secs(5);

    /// A bucket that is blocked for so long.
    fn alone(blocked: Duration) -> (Alone, BucketKey) {
        let alone = Alone::founded(Arc::new(ManualClock::default()), |_| {});
        let bucket = BucketKey {
            ca: ca_name(),
            kind: LimitKind::Orders,
            key: "".into(),
        };
        let change = Change::ObserveLimit {
            bucket: bucket.clone(),
            until: START.plus(blocked),
        };
        alone.register(TERM, "thumbprint");
        alone.duty(TERM, change);
        (alone, bucket)
    }

    #[test]
    fn a_bucket_far_ahead_is_put_right_and_nothing_is_left_to_do() {
        let (alone, bucket) = alone(Duration::from_secs(400 * 86_400));
        let mut watch = Watch::default();
        let moment = (START, Duration::from_secs(1));
        let change = Change::CorrectLimit { bucket };
        let planned = watch.plan(&alone.state(), moment, TOLERANCE);
        assert_eq!(planned, std::slice::from_ref(&change));
        alone.duty(TERM, change);
        watch.doubt();
        assert_eq!(watch.plan(&alone.state(), moment, TOLERANCE), []);
    }

    #[test]
    fn what_a_ca_has_said_stays_and_is_looked_at_once_a_minute() {
        let (alone, _) = alone(Duration::from_secs(6 * 86_400));
        let mut watch = Watch::default();
        let at = |secs| (START, Duration::from_secs(secs));
        assert_eq!(watch.plan(&alone.state(), at(1), TOLERANCE), []);
        // As if the clock had been set back by a year in between.
        let back = START.minus(Duration::from_secs(365 * 86_400));
        let mut look =
            |secs| watch.plan(&alone.state(), (back, Duration::from_secs(secs)), TOLERANCE);
        assert_eq!((look(2).len(), look(60).len(), look(61).len()), (0, 0, 1));
    }
}
