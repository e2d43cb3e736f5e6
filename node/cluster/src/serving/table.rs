//! The last report of each member. Pure: the moment is an argument.

use std::{collections::BTreeMap, time::Duration};

use proto::peer::v1 as wire;
use state::{FeatureLevel, Index, NodeId, ports::NodeReport};
use tokio::time::Instant;

use super::{HEARD_WITHIN, tickets::Name};

/// Faults kept of a report, and bytes of each text: a report is from a member, but
/// its program may be at fault.
const FAULTS_MAX: usize = 16;
const TEXT_MAX: usize = 200;

/// How far another clock is ahead of ours, and how we know.
#[derive(Clone, Copy, Debug)]
pub(super) enum Offset {
    /// From a round trip: uncertain by half of it.
    Measured(i64),
    /// From a message that took an unknown time.
    Guessed(i64),
}

/// When something was, by two clocks of ours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) instant: Instant,
    /// How far the clock of the day is from the one that only ever goes on. It changes
    /// when the former is set: then all that was compared with it is off by as much.
    pub(super) bearing_ms: i64,
}

#[derive(Debug, Default)]
pub(super) struct Table(BTreeMap<NodeId, Entry>);

#[derive(Debug)]
struct Entry {
    incarnation: u64,
    published: Index,
    offset_ms: i64,
    /// Of our clock when it was compared.
    bearing_ms: i64,
    measured: bool,
    version: String,
    level: FeatureLevel,
    faults: Vec<String>,
    draining: bool,
    /// Which secret of session tickets it has.
    tickets: Option<Name>,
    heard: Instant,
}

impl Table {
    pub(super) fn record(
        &mut self,
        from: NodeId,
        report: wire::NodeReport,
        offset: Offset,
        now: Moment,
    ) {
        let mut published = Index(report.published);
        let (mut offset_ms, mut measured) = match offset {
            Offset::Measured(ms) => (ms, true),
            Offset::Guessed(ms) => (ms, false),
        };
        let mut bearing_ms = now.bearing_ms;
        // Two reports of one run may overtake each other; what was published once
        // stays so. A new run begins anew.
        let before = self.0.get(&from);
        if let Some(before) = before.filter(|old| old.incarnation == report.incarnation) {
            published = published.max(before.published);
            if before.measured && !measured {
                (offset_ms, measured) = (before.offset_ms, true);
                bearing_ms = before.bearing_ms;
            }
        }
        let entry = Entry {
            incarnation: report.incarnation,
            published,
            offset_ms,
            bearing_ms,
            measured,
            version: cut(report.version),
            level: FeatureLevel(report.feature_level),
            faults: report
                .faults
                .into_iter()
                .take(FAULTS_MAX)
                .map(cut)
                .collect(),
            draining: report.draining,
            tickets: report.tickets.as_ref().and_then(Name::read),
            heard: now.instant,
        };
        self.0.insert(from, entry);
    }

    /// A clock of ours that has jumped since is ahead by as much of all others: they need
    /// not be heard of again before it is known.
    pub(super) fn report(&self, node: NodeId, now: Moment) -> Option<NodeReport> {
        let entry = self.0.get(&node)?;
        let jumped = now.bearing_ms.saturating_sub(entry.bearing_ms);
        Some(NodeReport {
            node,
            published: Some(entry.published),
            clock_offset_ms: entry.offset_ms.saturating_sub(jumped),
            version: entry.version.clone(),
            level: Some(entry.level),
            faults: entry.faults.clone(),
            draining: entry.draining,
            silent: now.instant.saturating_duration_since(entry.heard),
        })
    }

    /// Who was heard lately, and which secret of session tickets it has.
    pub(super) fn tickets(&self, now: Instant) -> Vec<(NodeId, Option<Name>)> {
        let lately = |entry: &Entry| now.saturating_duration_since(entry.heard) < HEARD_WITHIN;
        let heard = self.0.iter().filter(|(_, entry)| lately(entry));
        heard.map(|(node, entry)| (*node, entry.tickets)).collect()
    }

    /// Forgets who is a member no more.
    pub(super) fn retain(&mut self, is_member: impl Fn(NodeId) -> bool) {
        self.0.retain(|node, _| is_member(*node));
    }
}

/// The report of a member that never gave one.
pub(super) fn never_heard(node: NodeId, silent: Duration) -> NodeReport {
    NodeReport {
        node,
        published: None,
        clock_offset_ms: 0,
        version: String::new(),
        level: None,
        faults: Vec::new(),
        draining: false,
        silent,
    }
}

fn cut(mut text: String) -> String {
    if text.len() > TEXT_MAX {
        let mut end = TEXT_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(incarnation: u64, published: u64) -> wire::NodeReport {
        wire::NodeReport {
            incarnation,
            published,
            ..wire::NodeReport::default()
        }
    }

    fn now() -> Moment {
        Moment {
            instant: Instant::now(),
            bearing_ms: 1_700_000_000_000,
        }
    }

    #[test]
    fn a_jump_of_our_own_clock_is_known_before_anybody_is_heard_again() {
        let (mut table, now) = (Table::default(), now());
        table.record(NodeId(2), report(1, 1), Offset::Measured(3), now);
        let offset = |table: &Table, jump: i64| {
            let later = Moment {
                bearing_ms: now.bearing_ms + jump,
                ..now
            };
            table.report(NodeId(2), later).unwrap().clock_offset_ms
        };
        assert_eq!(offset(&table, 0), 3);
        assert_eq!(offset(&table, 315_360_000_000), 3 - 315_360_000_000);
        assert_eq!(offset(&table, -60_000), 60_003);
        // What was measured before the jump is not taken for what is now.
        let jumped = Moment {
            bearing_ms: now.bearing_ms + 60_000,
            ..now
        };
        table.record(NodeId(2), report(1, 2), Offset::Guessed(-59_990), jumped);
        assert_eq!(offset(&table, 60_000), -59_997);
    }

    #[test]
    fn what_one_run_has_published_never_goes_back_and_a_new_run_begins_anew() {
        let (mut table, now) = (Table::default(), now());
        let mut record = |incarnation, published, offset| {
            table.record(NodeId(2), report(incarnation, published), offset, now);
            let report = table.report(NodeId(2), now).unwrap();
            (report.published.unwrap().0, report.clock_offset_ms)
        };
        assert_eq!(record(1, 10, Offset::Guessed(40)), (10, 40));
        assert_eq!(record(1, 12, Offset::Measured(3)), (12, 3));
        assert_eq!(record(1, 11, Offset::Guessed(50)), (12, 3));
        assert_eq!(record(2, 5, Offset::Guessed(60)), (5, 60));
    }

    #[test]
    fn reports_are_bounded() {
        let (mut table, now) = (Table::default(), now());
        let long = wire::NodeReport {
            version: "ä".repeat(1000),
            faults: vec!["x".repeat(1000); 1000],
            ..wire::NodeReport::default()
        };
        table.record(NodeId(2), long, Offset::Guessed(0), now);
        let report = table.report(NodeId(2), now).unwrap();
        assert_eq!(report.version.len(), TEXT_MAX);
        assert_eq!(report.faults, vec!["x".repeat(TEXT_MAX); FAULTS_MAX]);
        table.retain(|node| node != NodeId(2));
        assert_eq!(table.report(NodeId(2), now), None);
    }
}
