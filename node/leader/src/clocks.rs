//! Whether this leader's clock can be trusted with what is driven by time.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use state::{Timestamp, ports::NodeReport};

/// Reports older than this say nothing about a clock.
const HEARD_WITHIN: Duration = Duration::from_secs(30);

/// For how long a clock that was set is not trusted: until then every member that can be
/// asked has been asked anew (reports go out every 250 ms and take a second at most). What
/// they said before was of the clock as it was.
const SET_LATELY: Duration = Duration::from_secs(2);

/// Notices that the wall clock is set, by the one that cannot be.
#[derive(Debug, Default)]
pub(crate) struct Steadiness(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    last: Option<(Timestamp, Duration)>,
    /// When it was found set, by the other clock.
    set: Option<Duration>,
}

impl Steadiness {
    /// Looks at both clocks: why this one is not to be trusted, if it was set by more than
    /// `tolerance` a moment ago.
    pub(crate) fn look(
        &self,
        (now, boottime): (Timestamp, Duration),
        tolerance: Duration,
    ) -> Option<String> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((before, then)) = seen.last.replace((now, boottime)) {
            let expected = before.plus(boottime.saturating_sub(then));
            let off = now.since(expected).max(expected.since(now));
            if off > tolerance {
                seen.set = Some(boottime);
            }
        }
        let ago = boottime.saturating_sub(seen.set?);
        (ago < SET_LATELY).then(|| {
            "this leader's clock was set a moment ago: renewals and sweeps rest until the members \
             have been asked again"
                .to_owned()
        })
    }
}

/// Why this node's clock is not to be trusted: fewer than a majority of the members that
/// are heard of agree with it within `tolerance`. `None`: it is.
pub(crate) fn disagreement(reports: &[NodeReport], tolerance: Duration) -> Option<String> {
    let tolerance = u64::try_from(tolerance.as_millis()).unwrap_or(u64::MAX);
    let heard = || reports.iter().filter(|report| report.silent < HEARD_WITHIN);
    let total = heard().count();
    let agreeing = heard()
        .filter(|report| report.clock_offset_ms.unsigned_abs() <= tolerance)
        .count();
    (total > 0 && agreeing * 2 <= total).then(|| {
        format!(
            "this leader's clock agrees with {agreeing} of {total} members only: renewals and sweeps rest"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::NodeId;

    #[track_caller]
    fn check(offsets_and_silence: &[(i64, u64)], trusted: bool) {
        let reports: Vec<NodeReport> = offsets_and_silence
            .iter()
            .map(|(offset, silent)| NodeReport {
                node: NodeId(1),
                published: None,
                clock_offset_ms: *offset,
                version: String::new(),
                faults: Vec::new(),
                draining: false,
                silent: Duration::from_secs(*silent),
            })
            .collect();
        let why = disagreement(&reports, Duration::from_secs(5));
        assert_eq!(why.is_none(), trusted, "{offsets_and_silence:?}: {why:?}");
    }

    #[test]
    fn a_clock_that_is_set_is_not_trusted_for_a_moment() {
        let steadiness = Steadiness::default();
        let look = |wall: u64, boot: u64| {
            let clocks = (Timestamp::from_secs(wall), Duration::from_secs(boot));
            steadiness.look(clocks, Duration::from_secs(5)).is_none()
        };
        assert!(look(1000, 10));
        assert!(look(1100, 110), "time passes");
        assert!(look(1106, 111), "within the tolerance");
        assert!(!look(9_000_000, 112), "set forward");
        assert!(!look(9_000_001, 113));
        assert!(look(9_000_002, 114), "the members were asked again");
        assert!(!look(1200, 115), "set back");
        assert!(look(1300, 215));
    }

    #[test]
    fn a_majority_of_those_heard_decides() {
        check(&[(0, 0)], true);
        check(&[(0, 0), (4_999, 1), (90_000, 1)], true);
        check(&[(0, 0), (-90_000, 1), (90_000, 1)], false);
        check(&[(0, 0), (5_001, 1)], false);
        check(&[(0, 0), (90_000, 1_000), (90_000, 1_000)], true);
        check(&[], true);
    }
}
