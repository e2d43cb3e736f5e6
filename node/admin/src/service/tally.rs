//! How many hostnames are live and how many are failing, and what an operator should look
//! at: found by looking at each, so not each time in a large cluster.

use std::{sync::Arc, time::Duration};

use state::{State, Timestamp};
use tokio::sync::Mutex;

use crate::{limits, warnings};

/// The last count.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Option<(Duration, Counted)>>);

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) live: u64,
    pub(super) failing: u64,
    pub(super) warnings: Vec<String>,
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
        if let Some((at, counted)) = &*last
            && boottime.saturating_sub(*at) <= limits::TALLY_AGE_MAX
        {
            return counted.clone();
        }
        let counting = tokio::task::spawn_blocking(move || count(&state, now));
        let counted = counting.await.unwrap_or_default();
        *last = Some((boottime, counted.clone()));
        counted
    }
}

fn count(state: &State, now: Timestamp) -> Counted {
    let mut counted = Counted {
        warnings: warnings::all(state, now),
        ..Counted::default()
    };
    for (_, record) in state.hostnames() {
        let mut served = record
            .certificates()
            .filter_map(|id| state.certificate(&id));
        let live = served.any(|certificate| now < certificate.not_after);
        counted.live += u64::from(live);
        counted.failing += u64::from(record.failure.is_some());
    }
    counted
}
