//! Whether this leader's clock can be trusted with what is driven by time.

use std::time::Duration;

use state::ports::NodeReport;

/// Reports older than this say nothing about a clock.
const HEARD_WITHIN: Duration = Duration::from_secs(30);

/// Why this node's clock is not to be trusted: fewer than a majority of the members that
/// are heard of agree with it within `tolerance`. `None`: it is. Whoever never reported
/// has said nothing of a clock, however short that silence is.
pub(crate) fn disagreement(reports: &[NodeReport], tolerance: Duration) -> Option<String> {
    let tolerance = u64::try_from(tolerance.as_millis()).unwrap_or(u64::MAX);
    let told = |report: &&NodeReport| report.published.is_some() && report.silent < HEARD_WITHIN;
    let heard = || reports.iter().filter(told);
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
    use state::{Index, NodeId};

    fn reports(offsets_and_silence: &[(i64, u64)]) -> Vec<NodeReport> {
        let report = |(offset, silent): &(i64, u64)| NodeReport {
            node: NodeId(1),
            published: Some(Index(1)),
            clock_offset_ms: *offset,
            version: String::new(),
            faults: Vec::new(),
            draining: false,
            silent: Duration::from_secs(*silent),
        };
        offsets_and_silence.iter().map(report).collect()
    }

    #[track_caller]
    fn check(offsets_and_silence: &[(i64, u64)], trusted: bool) {
        let reports = reports(offsets_and_silence);
        let why = disagreement(&reports, Duration::from_secs(5));
        assert_eq!(why.is_none(), trusted, "{offsets_and_silence:?}: {why:?}");
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

    #[test]
    fn a_newcomer_that_was_never_heard_agrees_with_nobody() {
        let mut reports = reports(&[(0, 0), (90_000, 1), (0, 3)]);
        reports[2].published = None;
        assert!(disagreement(&reports, Duration::from_secs(5)).is_some());
    }
}
