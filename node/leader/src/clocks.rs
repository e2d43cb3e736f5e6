//! Whether this leader's clock can be trusted with what is driven by time.

use std::time::Duration;

use state::{NodeId, ports::NodeReport};

/// Reports older than this say nothing about a clock.
const HEARD_WITHIN: Duration = Duration::from_secs(30);

/// At a clock that is further off than this, nothing is counted against a CA's limit: the
/// ledger keeps back more than a minute's worth of each for clocks that disagree.
const MISLEADING: Duration = Duration::from_secs(60);

/// How long a leader's clock is in doubt before it hands over: a daemon that sets clocks
/// may be just about it.
const HAND_OVER_AFTER: Duration = Duration::from_secs(3);

/// How long to wait after an attempt to hand over: each holds proposals up for a moment.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

/// Whether a leader's clock is so far from most others' that what it writes down does harm
/// for as long as it is off. Nothing of a CA is begun or gone on with then.
pub(crate) fn misleads(reports: &[NodeReport], tolerance: Duration) -> bool {
    disagreement(reports, tolerance.max(MISLEADING)).is_some()
}

/// Why this node's clock is not to be trusted: fewer than a majority of the members that
/// are heard of agree with it within `tolerance`. `None`: it is. Whoever never reported
/// has said nothing of a clock, however short that silence is.
pub(crate) fn disagreement(reports: &[NodeReport], tolerance: Duration) -> Option<String> {
    let tolerance = millis(tolerance);
    let total = heard(reports).count();
    let agreeing = heard(reports)
        .filter(|report| report.clock_offset_ms.unsigned_abs() <= tolerance)
        .count();
    (total > 0 && agreeing * 2 <= total).then(|| {
        format!(
            "this leader's clock agrees with {agreeing} of {total} members only: renewals and sweeps rest"
        )
    })
}

/// Those that have said something of their clocks lately.
fn heard(reports: &[NodeReport]) -> impl Iterator<Item = &NodeReport> {
    let told = |report: &&NodeReport| report.published.is_some() && report.silent < HEARD_WITHIN;
    reports.iter().filter(told)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Since when a leader's clock has been in doubt, and whether it has tried to hand over.
#[derive(Debug, Default)]
pub(crate) struct Doubt {
    /// By [`state::ports::Clock::boottime`]: when to hand over.
    hand_over_at: Option<Duration>,
}

impl Doubt {
    /// Notes at `now` whether the clock is in doubt. The member to hand leadership to, once
    /// it has been for long: one with whose clock a majority agrees. What time drives rests
    /// under this leader, and no other would be elected by itself.
    pub(crate) fn observe(
        &mut self,
        reports: &[NodeReport],
        tolerance: Duration,
        now: Duration,
    ) -> Option<NodeId> {
        if disagreement(reports, tolerance).is_none() {
            self.hand_over_at = None;
            return None;
        }
        let at = *self
            .hand_over_at
            .get_or_insert(now.saturating_add(HAND_OVER_AFTER));
        if now < at {
            return None;
        }
        self.hand_over_at = Some(now.saturating_add(AGAIN_AFTER));
        agreed_with(reports, tolerance)
    }
}

/// A member with whose clock more than half of those that are heard of agree.
fn agreed_with(reports: &[NodeReport], tolerance: Duration) -> Option<NodeId> {
    let tolerance = millis(tolerance);
    let heard: Vec<&NodeReport> = heard(reports).collect();
    let agreeing = |with: &NodeReport| {
        let near = |other: &&&NodeReport| {
            other.clock_offset_ms.abs_diff(with.clock_offset_ms) <= tolerance
        };
        heard.iter().filter(near).count()
    };
    let good = heard
        .iter()
        .filter(|report| agreeing(report) * 2 > heard.len());
    // The one heard of last can be reached best.
    good.min_by_key(|report| report.silent)
        .map(|report| report.node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::{FeatureLevel, Index};

    const TOLERANCE: Duration = Duration::from_secs(5);

    fn reports(offsets_and_silence: &[(i64, u64)]) -> Vec<NodeReport> {
        let report = |(node, (offset, silent)): (u64, &(i64, u64))| NodeReport {
            node: NodeId(node),
            published: Some(Index(1)),
            clock_offset_ms: *offset,
            version: String::new(),
            level: Some(FeatureLevel::NEWEST),
            faults: Vec::new(),
            draining: false,
            silent: Duration::from_secs(*silent),
        };
        (1..).zip(offsets_and_silence).map(report).collect()
    }

    #[track_caller]
    fn check(offsets_and_silence: &[(i64, u64)], trusted: bool) {
        let reports = reports(offsets_and_silence);
        let why = disagreement(&reports, TOLERANCE);
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
        assert!(disagreement(&reports, TOLERANCE).is_some());
    }

    #[track_caller]
    fn check_successor(offsets_and_silence: &[(i64, u64)], expected: Option<u64>) {
        let reports = reports(offsets_and_silence);
        let mut doubt = Doubt::default();
        let mut at = |secs| doubt.observe(&reports, TOLERANCE, Duration::from_secs(secs));
        assert_eq!((at(0), at(2)), (None, None), "too early");
        assert_eq!(at(3), expected.map(NodeId), "{offsets_and_silence:?}");
        assert_eq!(at(4), None, "again at once");
        assert_eq!(at(40), expected.map(NodeId), "never again");
    }

    #[test]
    fn a_leader_whose_clock_is_off_for_long_hands_over_to_one_that_most_agree_with() {
        check_successor(&[(0, 0), (90_000, 1), (90_000, 0)], Some(3));
        check_successor(&[(0, 0), (90_000, 1), (94_000, 2)], Some(2));
        // Nobody is better off.
        check_successor(&[(0, 0), (90_000, 1), (-90_000, 1)], None);
        check_successor(&[(0, 0), (90_000, 1)], None);
        // It is not in doubt.
        check_successor(&[(0, 0), (0, 1), (-90_000, 1)], None);
    }

    #[test]
    fn a_clock_that_is_right_again_in_between_is_not_handed_over_for() {
        let (off, right) = (
            reports(&[(0, 0), (9_000, 1), (9_000, 1)]),
            reports(&[(0, 0)]),
        );
        let mut doubt = Doubt::default();
        let mut at = |secs, reports| doubt.observe(reports, TOLERANCE, Duration::from_secs(secs));
        assert_eq!(at(0, &off), None);
        assert_eq!(at(2, &right), None);
        assert_eq!(at(4, &off), None);
        assert_eq!(at(7, &off), Some(NodeId(2)));
    }
}
