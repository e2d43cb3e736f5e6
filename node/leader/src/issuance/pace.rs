//! When to try again after a failure.

use std::time::Duration;

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
pub(super) fn spread(step: Duration, jitter: &dyn Jitter) -> Duration {
    let tenths = u32::from(jitter.draw()) / 64; // 0..=1023
    step.mul_f64(0.9 + 0.2 * f64::from(tenths) / 1023.0)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
