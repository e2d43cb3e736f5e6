//! When to try again: for one hostname after a failure, and for all while the CA ails.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use state::ports::Clock;

/// Chance, as an argument.
pub trait Jitter: Send + Sync {
    /// Uniform in 0..=65535.
    fn draw(&self) -> u16;
}

/// The system's randomness; if it fails, no jitter.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemJitter;

impl Jitter for SystemJitter {
    fn draw(&self) -> u16 {
        let mut bytes = [0; 2];
        match getrandom::fill(&mut bytes) {
            Ok(()) => u16::from_le_bytes(bytes),
            Err(_) => u16::MAX / 2,
        }
    }
}

/// How long a hostname waits after failures in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure, the second and so on; the last holds from then on.
    pub steps: Vec<Duration>,
}

impl Default for Backoff {
    /// As Let's Encrypt advises: a minute, ten, a hundred, then daily.
    fn default() -> Self {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        Self {
            steps: vec![minutes(1), minutes(10), minutes(100), minutes(24 * 60)],
        }
    }
}

impl Backoff {
    /// How long to wait after the `count`th failure in a row (from 1), a tenth more or
    /// less by chance, and never less than the CA asked for.
    pub fn delay(&self, count: u32, asked: Option<Duration>, jitter: &dyn Jitter) -> Duration {
        let place = usize::try_from(count.saturating_sub(1)).unwrap_or(usize::MAX);
        let step = self.steps.get(place).or(self.steps.last());
        let step = step.copied().unwrap_or_default();
        spread(step, jitter).max(asked.unwrap_or_default())
    }
}

/// A tenth more or less.
fn spread(step: Duration, jitter: &dyn Jitter) -> Duration {
    let tenths = u32::from(jitter.draw()) / 64; // 0..=1023
    step.mul_f64(0.9 + 0.2 * f64::from(tenths) / 1023.0)
}

/// First pause of a CA that ails.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
/// Longest pause that we choose ourselves: what it costs at most after the CA is well.
const PAUSE_LONGEST: Duration = Duration::from_secs(120);
/// Longest pause that a CA may ask for: a header must not end issuance for a month.
const ASKED_LONGEST: Duration = Duration::from_secs(6 * 3600);

/// Whether the CA can be asked at all: the leader's own memory, for all its orders.
pub(crate) struct Weather {
    clock: Arc<dyn Clock>,
    jitter: Arc<dyn Jitter>,
    storm: Mutex<Storm>,
}

#[derive(Default)]
struct Storm {
    strikes: u32,
    until: Duration,
    reason: String,
}

/// Why all orders wait, and how long yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// From now.
    pub left: Duration,
    /// The last fault.
    pub reason: String,
}

impl Weather {
    pub(crate) fn new(clock: Arc<dyn Clock>, jitter: Arc<dyn Jitter>) -> Self {
        Self {
            clock,
            jitter,
            storm: Mutex::default(),
        }
    }

    /// The CA ails. Orders that meet the same outage together count as one.
    pub(crate) fn strike(&self, reason: &str, asked: Option<Duration>) {
        let now = self.clock.boottime();
        let mut storm = self.storm.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = asked.unwrap_or_default().min(ASKED_LONGEST);
        if storm.until <= now {
            storm.strikes = storm.strikes.saturating_add(1);
            let doubled = PAUSE_FIRST.saturating_mul(1 << (storm.strikes - 1).min(10));
            let own = spread(doubled.min(PAUSE_LONGEST), &*self.jitter);
            storm.until = now + own;
        }
        storm.until = storm.until.max(now + asked);
        reason.clone_into(&mut storm.reason);
    }

    /// The CA answered.
    pub(crate) fn clear(&self) {
        let mut storm = self.storm.lock().unwrap_or_else(PoisonError::into_inner);
        storm.strikes = 0;
    }

    /// Why to wait, if so.
    pub(crate) fn pause(&self) -> Option<Pause> {
        let now = self.clock.boottime();
        let storm = self.storm.lock().unwrap_or_else(PoisonError::into_inner);
        let left = storm
            .until
            .checked_sub(now)
            .filter(|left| !left.is_zero())?;
        Some(Pause {
            left,
            reason: storm.reason.clone(),
        })
    }

    /// Waits until the CA may be asked again.
    pub(crate) async fn calm(&self) {
        while let Some(pause) = self.pause() {
            // In short naps: the clock of a suspended machine jumps.
            tokio::time::sleep(pause.left.min(Duration::from_secs(1))).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::testing::ManualClock;

    struct Fixed(u16);

    impl Jitter for Fixed {
        fn draw(&self) -> u16 {
            self.0
        }
    }

    #[track_caller]
    fn check(count: u32, asked: Option<u64>, draw: u16, expected_secs: u64) {
        let delay = Backoff::default().delay(count, asked.map(Duration::from_secs), &Fixed(draw));
        assert_eq!(delay.as_secs(), expected_secs, "failure {count}");
    }

    #[test]
    fn a_hostname_waits_a_minute_ten_a_hundred_then_a_day() {
        for (count, low, high) in [
            (1, 54, 66),
            (2, 540, 660),
            (3, 5_400, 6_600),
            (4, 77_760, 95_040),
            (5, 77_760, 95_040),
            (4_000_000_000, 77_760, 95_040),
        ] {
            check(count, None, 0, low);
            check(count, None, u16::MAX, high);
        }
    }

    #[test]
    fn the_ca_may_ask_for_more_but_not_for_less() {
        check(1, Some(3_600), 0, 3_600);
        check(2, Some(5), 0, 540);
    }

    #[test]
    fn an_empty_table_means_at_once() {
        let none = Backoff { steps: Vec::new() };
        assert_eq!(none.delay(3, None, &Fixed(9)), Duration::ZERO);
    }

    #[test]
    fn an_outage_is_met_once_by_all_and_grows_until_an_answer() {
        let clock = Arc::new(ManualClock::default());
        let weather = Weather::new(clock.clone(), Arc::new(Fixed(u16::MAX / 2)));
        assert_eq!(weather.pause(), None);
        for _ in 0..5 {
            weather.strike("503", None);
        }
        let first = weather.pause().unwrap().left;
        assert!(first < Duration::from_millis(1_100), "{first:?}");
        clock.advance(first);
        assert_eq!(weather.pause(), None);
        weather.strike("503", None);
        assert!(weather.pause().unwrap().left > Duration::from_millis(1_800));
        weather.strike("busy", Some(Duration::from_secs(60)));
        let asked = weather.pause().unwrap();
        assert_eq!((asked.left.as_secs(), asked.reason.as_str()), (60, "busy"));
        clock.advance(Duration::from_secs(60));
        weather.clear();
        weather.strike("503", Some(Duration::from_secs(u64::MAX)));
        assert_eq!(weather.pause().unwrap().left, ASKED_LONGEST);
    }
}
