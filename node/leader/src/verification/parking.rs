//! When a name is left alone, and when it is tried again.
//!
//! A customer who leaves seldom says so; their name goes on failing. Such a name is parked:
//! no order is made, its DNS is looked at daily, and after a month weekly. Whoever comes
//! back need not tell anybody.

use std::time::Duration;

use state::Timestamp;

/// How long a name may point elsewhere before it is parked.
pub const OFF_TARGET_MOST: Duration = Duration::from_secs(7 * 24 * 3600);
/// How many orders may fail in a row before a name is parked: with the waits of Let's
/// Encrypt's advice (a minute, ten, a hundred, then daily) some 17 days.
pub const FAILURES_MOST: u32 = 20;
/// Between two looks in the first month.
const DAILY: Duration = Duration::from_secs(24 * 3600);
/// Between two looks from then on.
const WEEKLY: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long it is looked at daily.
const DAILY_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// Whether a name is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parking {
    /// It is.
    Driving(Driving),
    /// It is not.
    Parked(Parked),
}

/// What may lead to parking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Driving {
    /// Since when it points elsewhere, without a break.
    pub off_target_since: Option<Timestamp>,
    /// Orders that failed in a row.
    pub failures: u32,
    /// Since when it has been parked, if it only came out for a trial: kept until an order
    /// succeeds, so that one that fails again does not begin with daily looks anew.
    pub parked_since: Option<Timestamp>,
}

/// A name that is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parked {
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub reason: ParkReason,
    /// When its DNS is looked at next.
    pub look_at: Timestamp,
}

/// Why a name is parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParkReason {
    /// It points elsewhere.
    OffTarget,
    /// Its orders fail.
    Failures,
}

/// What a look, or an order, came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The preflight says that an order can succeed.
    OnTarget,
    /// It says that the name's records are wrong.
    OffTarget,
    /// Nothing could be seen, or the fault is ours.
    Unclear,
    /// An order was refused, or a challenge failed, because of this name.
    Failed,
    /// A certificate was issued.
    Issued,
}

impl Default for Parking {
    fn default() -> Self {
        Self::Driving(Driving::default())
    }
}

impl Parking {
    /// What becomes of it after `event` at `now`.
    #[must_use]
    pub fn after(self, event: Event, now: Timestamp) -> Self {
        match self {
            Self::Driving(driving) => driving.after(event, now),
            Self::Parked(parked) => parked.after(event, now),
        }
    }

    /// True if an order may be made.
    pub fn may_order(&self) -> bool {
        matches!(self, Self::Driving(_))
    }

    /// When DNS must be looked at although nobody asks; `None` while orders are tried, for
    /// each of them looks.
    pub fn look_at(&self) -> Option<Timestamp> {
        match self {
            Self::Driving(_) => None,
            Self::Parked(parked) => Some(parked.look_at),
        }
    }
}

impl Driving {
    fn after(self, event: Event, now: Timestamp) -> Parking {
        let next = match event {
            Event::Issued => Self::default(),
            Event::OnTarget => Self {
                off_target_since: None,
                ..self
            },
            Event::OffTarget => Self {
                off_target_since: self.off_target_since.or(Some(now)),
                ..self
            },
            Event::Unclear => self,
            Event::Failed => Self {
                failures: self.failures.saturating_add(1),
                ..self
            },
        };
        let since = next.parked_since.unwrap_or(now);
        if next.failures >= FAILURES_MOST {
            return Parked::from(since, ParkReason::Failures, now);
        }
        let off = next.off_target_since.map(|off| now.since(off));
        if off.is_some_and(|off| off >= OFF_TARGET_MOST) {
            return Parked::from(since, ParkReason::OffTarget, now);
        }
        Parking::Driving(next)
    }
}

impl Parked {
    fn from(since: Timestamp, reason: ParkReason, now: Timestamp) -> Parking {
        let daily = now.since(since) < DAILY_FOR;
        let wait = if daily { DAILY } else { WEEKLY };
        Parking::Parked(Self {
            since,
            reason,
            look_at: now.plus(wait),
        })
    }

    fn after(self, event: Event, now: Timestamp) -> Parking {
        match (event, self.reason) {
            (Event::Issued, _) | (Event::OnTarget, ParkReason::OffTarget) => Parking::default(),
            // DNS was never what failed: one trial, and back at once if that fails too.
            (Event::OnTarget, ParkReason::Failures) => Parking::Driving(Driving {
                off_target_since: None,
                failures: FAILURES_MOST - 1,
                parked_since: Some(self.since),
            }),
            (Event::OffTarget | Event::Unclear | Event::Failed, reason) => {
                Self::from(self.since, reason, now)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600;

    fn at(day: u64) -> Timestamp {
        Timestamp::from_secs(day * DAY)
    }

    fn run(events: impl IntoIterator<Item = (Event, u64)>) -> Parking {
        let begin = Parking::default();
        events
            .into_iter()
            .fold(begin, |parking, (event, day)| parking.after(event, at(day)))
    }

    #[track_caller]
    fn parked(parking: Parking) -> Parked {
        match parking {
            Parking::Parked(parked) => parked,
            Parking::Driving(driving) => panic!("not parked: {driving:?}"),
        }
    }

    #[test]
    fn a_name_is_parked_after_a_week_elsewhere_and_not_before() {
        assert!(run([(Event::OffTarget, 0), (Event::OffTarget, 6)]).may_order());
        let parking = run([(Event::OffTarget, 0), (Event::OffTarget, 7)]);
        assert!(!parking.may_order());
        assert_eq!(parked(parking).reason, ParkReason::OffTarget);
    }

    #[test]
    fn a_day_here_begins_the_week_anew_and_one_unseen_does_not() {
        let back = [
            (Event::OffTarget, 0),
            (Event::OnTarget, 5),
            (Event::OffTarget, 8),
        ];
        assert!(run(back).may_order());
        let unseen = [
            (Event::OffTarget, 0),
            (Event::Unclear, 5),
            (Event::OffTarget, 8),
        ];
        assert!(!run(unseen).may_order());
    }

    #[test]
    fn twenty_failures_in_a_row_park_and_a_certificate_ends_the_row() {
        let failures = |count: u64| (0..count).map(|day| (Event::Failed, day));
        assert!(run(failures(19)).may_order());
        assert_eq!(parked(run(failures(20))).reason, ParkReason::Failures);
        let broken = failures(19)
            .chain([(Event::Issued, 19)])
            .chain(failures(19));
        assert!(run(broken).may_order());
    }

    #[test]
    fn a_parked_name_is_looked_at_daily_for_a_month_and_then_weekly() {
        let mut parking = run([(Event::OffTarget, 0), (Event::OffTarget, 7)]);
        let mut days = Vec::new();
        while days.len() < 34 {
            let look = parking.look_at().unwrap();
            days.push(look.as_secs() / DAY);
            parking = parking.after(Event::OffTarget, look);
        }
        let daily: Vec<u64> = (8..=37).collect();
        assert_eq!(days[..30], daily);
        assert_eq!(days[30..], [44, 51, 58, 65]);
    }

    #[test]
    fn a_name_that_comes_back_resumes_by_itself() {
        let parking = run([
            (Event::OffTarget, 0),
            (Event::OffTarget, 7),
            (Event::OnTarget, 20),
        ]);
        assert_eq!(parking, Parking::default());
    }

    #[test]
    fn a_name_whose_orders_failed_gets_one_trial_a_look() {
        let failed = (0..20).map(|day| (Event::Failed, day));
        let trial = run(failed.chain([(Event::OnTarget, 20)]));
        assert!(trial.may_order());
        let again = parked(trial.after(Event::Failed, at(50)));
        assert_eq!(
            (again.since, again.look_at),
            (at(19), at(57)),
            "weekly by now"
        );
        assert_eq!(trial.after(Event::Issued, at(21)), Parking::default());
    }
}
