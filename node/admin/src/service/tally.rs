//! How many hostnames are live and how many are failing: counted by looking at
//! each, so not each time in a large cluster.

use std::{sync::Arc, time::Duration};

use state::{State, Timestamp};
use tokio::sync::Mutex;

use crate::limits;

/// The last count.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Option<(Duration, Counted)>>);

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) live: u64,
    pub(super) failing: u64,
}

impl Tally {
    /// Counts, or answers with a count that is young enough. `boottime` is the
    /// monotonic clock, `now` the wall clock.
    pub(super) async fn count(
        &self,
        state: Arc<State>,
        now: Timestamp,
        boottime: Duration,
    ) -> Counted {
        if state.hostname_count() <= limits::TALLY_AT_ONCE_MAX {
            return count(&state, now);
        }
        let mut last = self.0.lock().await;
        if let Some((at, counted)) = *last
            && boottime.saturating_sub(at) <= limits::TALLY_AGE_MAX
        {
            return counted;
        }
        let counting = tokio::task::spawn_blocking(move || count(&state, now));
        let counted = counting.await.unwrap_or_default();
        *last = Some((boottime, counted));
        counted
    }
}

fn count(state: &State, now: Timestamp) -> Counted {
    let mut counted = Counted::default();
    for (_, record) in state.hostnames() {
        let certificate = record.certificate.and_then(|id| state.certificate(&id));
        let live = certificate.is_some_and(|certificate| now < certificate.not_after);
        counted.live += u64::from(live);
        counted.failing += u64::from(record.failure.is_some());
    }
    counted
}
