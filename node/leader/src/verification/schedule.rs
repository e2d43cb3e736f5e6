//! When to look again at what was not as it should be.

use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long somebody who has begun is expected to finish: looked at daily at least.
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long to wait after a look at what has been wrong for `age`: an eighth of that, so
/// that somebody who is at it now is answered quickly and somebody who left costs little;
/// `first` at least, a day at most, and a week after a month.
pub(crate) fn again(age: Duration, first: Duration) -> Duration {
    if age < MONTH {
        (age / 8).clamp(first.min(DAY), DAY)
    } else {
        WEEK
    }
}

/// The same for what could not be seen, or is seen differently by different servers: that
/// passes by itself, within the hour as a rule.
pub(crate) fn soon(age: Duration, first: Duration) -> Duration {
    let most = if age < DAY { 5 * MINUTE } else { HOUR };
    again(age, first).min(most.max(first))
}

/// How long to wait after a proof has lapsed: what is served stays, so a day is soon.
pub(crate) fn lapsed() -> Duration {
    seldom(Duration::ZERO)
}

/// The same for what is left alone: daily, and weekly after a month.
pub(crate) fn seldom(age: Duration) -> Duration {
    again(age, DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(30);

    #[test]
    fn whoever_is_at_it_is_answered_quickly_and_whoever_left_costs_little() {
        for (age, again_in, soon_in) in [
            (Duration::ZERO, FIRST, FIRST),
            (4 * MINUTE, FIRST, FIRST),
            (HOUR, 450 * Duration::from_secs(1), 5 * MINUTE),
            (DAY, 3 * HOUR, HOUR),
            (8 * DAY, DAY, HOUR),
            (29 * DAY, DAY, HOUR),
            (30 * DAY, WEEK, HOUR),
        ] {
            assert_eq!(again(age, FIRST), again_in, "{age:?}");
            assert_eq!(soon(age, FIRST), soon_in, "{age:?}");
        }
    }

    #[test]
    fn what_is_left_alone_is_looked_at_daily_and_then_weekly() {
        assert_eq!(seldom(Duration::ZERO), DAY);
        assert_eq!(seldom(29 * DAY), DAY);
        assert_eq!(seldom(30 * DAY), WEEK);
    }
}
