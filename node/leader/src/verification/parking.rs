//! When a name is left alone, and when it is looked at again.
//!
//! A customer who leaves seldom says so; their name goes on failing. Such a name is parked:
//! no order is made, its DNS is looked at daily, and after a month weekly. Whoever comes
//! back need not tell anybody: the first look that finds nothing wrong lets an order begin,
//! and one that succeeds ends the row of failures.

use std::time::Duration;

use state::{Failure, FailureClass, Timestamp};

use super::schedule;

/// How long a name may fail to point here before it is parked.
const OFF_TARGET_MOST: Duration = Duration::from_secs(7 * 24 * 3600);
/// How many orders may fail in a row before a name is parked: with the waits of Let's
/// Encrypt's advice (a minute, ten, a hundred, then daily) some 17 days.
const FAILURES_MOST: u32 = 20;

/// What a look before an order found wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// The name's records: its owner must change them.
    OffTarget,
    /// What could not be seen, passes by itself, or is the operator's to mend.
    Unclear,
}

/// What becomes of a name that is not ordered for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rest {
    /// When to look again.
    pub(crate) next_try: Timestamp,
    /// It is left alone until then, and until it is as it should be.
    pub(crate) parked: bool,
}

/// After a look at `now` that found something `wrong`; `before` is the row of failures so
/// far, and `first` the shortest wait.
pub(crate) fn after_look(
    before: Option<&Failure>,
    wrong: Wrong,
    now: Timestamp,
    first: Duration,
) -> Rest {
    let age = before.map_or(Duration::ZERO, |failure| now.since(failure.since));
    let was = before.is_some_and(|failure| failure.parked);
    let parked = was || (wrong == Wrong::OffTarget && age >= OFF_TARGET_MOST);
    let wait = match wrong {
        _ if parked => schedule::seldom(age.saturating_sub(OFF_TARGET_MOST)),
        Wrong::OffTarget => schedule::again(age, first),
        Wrong::Unclear => schedule::soon(age, first),
    };
    Rest {
        next_try: now.plus(wait),
        parked,
    }
}

/// For a name whose orders fail, before the next: `None` if it may be tried. One that is
/// parked has waited, and gets one trial; should that fail too, it waits again.
pub(crate) fn after_orders(before: Option<&Failure>, now: Timestamp) -> Option<Rest> {
    let failure = before?;
    let of_name = matches!(
        failure.class,
        FailureClass::Challenge | FailureClass::Rejected
    );
    let parks = of_name && !failure.parked && failure.count >= FAILURES_MOST;
    let age = now.since(failure.since).saturating_sub(OFF_TARGET_MOST);
    parks.then(|| Rest {
        next_try: now.plus(schedule::seldom(age)),
        parked: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600;
    const FIRST: Duration = Duration::from_secs(60);

    fn at(day: u64) -> Timestamp {
        Timestamp::from_secs(day * DAY)
    }

    /// A row of failures since day 0, as apply keeps it.
    fn failure(class: FailureClass, count: u32, parked: bool) -> Failure {
        Failure {
            class,
            reason: "".into(),
            count,
            since: at(0),
            at: at(0),
            parked,
            next_try: at(0),
        }
    }

    fn look(parked: bool, wrong: Wrong, day: u64) -> Rest {
        let before = failure(FailureClass::Preflight, 0, parked);
        after_look(Some(&before), wrong, at(day), FIRST)
    }

    #[test]
    fn a_name_is_parked_after_a_week_elsewhere_and_not_before() {
        assert!(!after_look(None, Wrong::OffTarget, at(0), FIRST).parked);
        assert!(!look(false, Wrong::OffTarget, 6).parked);
        assert!(look(false, Wrong::OffTarget, 7).parked);
    }

    #[test]
    fn what_cannot_be_seen_parks_nobody_and_frees_nobody() {
        let unseen = look(false, Wrong::Unclear, 8);
        assert!(!unseen.parked);
        assert_eq!(unseen.next_try.since(at(8)), Duration::from_secs(3600));
        assert!(look(true, Wrong::Unclear, 8).parked);
    }

    #[test]
    fn a_parked_name_is_looked_at_daily_for_a_month_and_then_weekly() {
        let (mut day, mut days) = (7, Vec::new());
        while days.len() < 34 {
            let rest = look(true, Wrong::OffTarget, day);
            day = rest.next_try.as_secs() / DAY;
            days.push(day);
        }
        let daily: Vec<u64> = (8..=37).collect();
        assert_eq!(days[..30], daily);
        assert_eq!(days[30..], [44, 51, 58, 65]);
    }

    #[test]
    fn twenty_orders_that_fail_in_a_row_park_a_name() {
        let after = |class, count, parked| {
            let failure = failure(class, count, parked);
            after_orders(Some(&failure), at(20)).is_some()
        };
        assert!(!after(FailureClass::Challenge, 19, false));
        assert!(after(FailureClass::Challenge, 20, false));
        assert!(after(FailureClass::Rejected, 30, false));
        assert!(
            !after(FailureClass::Challenge, 20, true),
            "one trial a look"
        );
        assert!(
            !after(FailureClass::Unavailable, 99, false),
            "not its fault"
        );
        assert_eq!(after_orders(None, at(20)), None);
    }
}
