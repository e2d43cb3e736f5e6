//! How often a source may fail with tokens. Pure: the moment is an argument.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

/// Failures a source may have within [`WINDOW`].
const FAILURES_MAX: u32 = 10;

/// See [`FAILURES_MAX`].
const WINDOW: Duration = Duration::from_secs(60);

/// First and longest pause of a source that failed too often; each is twice the last.
const PAUSE_FIRST: Duration = Duration::from_secs(60);
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// Sources remembered. When there are more, whoever was idle for longest is
/// forgotten: 256 random bits are not guessed by changing addresses.
const SOURCES_MAX: usize = 4096;

/// Failures by source.
#[derive(Debug, Default)]
pub struct Attempts(BTreeMap<IpAddr, Record>);

#[derive(Clone, Copy, Debug)]
struct Record {
    window_began: Duration,
    failures: u32,
    /// Until when it is not listened to.
    paused_until: Duration,
    pauses: u32,
}

impl Attempts {
    /// How long this source has to wait; `None` if it may try. `now` is of a clock
    /// that never goes back.
    pub fn wait(&self, source: IpAddr, now: Duration) -> Option<Duration> {
        let record = self.0.get(&group(source))?;
        let wait = record.paused_until.saturating_sub(now);
        (!wait.is_zero()).then_some(wait)
    }

    /// It failed.
    pub fn failed(&mut self, source: IpAddr, now: Duration) {
        let source = group(source);
        if self.0.len() >= SOURCES_MAX && !self.0.contains_key(&source) {
            self.forget_idlest();
        }
        let record = self.0.entry(source).or_insert(Record {
            window_began: now,
            failures: 0,
            paused_until: Duration::ZERO,
            pauses: 0,
        });
        if now.saturating_sub(record.window_began) >= WINDOW {
            record.window_began = now;
            record.failures = 0;
        }
        record.failures += 1;
        if record.failures >= FAILURES_MAX {
            let doubled = PAUSE_FIRST.saturating_mul(1 << record.pauses.min(16));
            record.paused_until = now + doubled.min(PAUSE_MAX);
            record.pauses += 1;
            record.failures = 0;
        }
    }

    /// It succeeded: whoever holds a token is not guessing.
    pub fn succeeded(&mut self, source: IpAddr) {
        self.0.remove(&group(source));
    }

    fn forget_idlest(&mut self) {
        let idlest = self
            .0
            .iter()
            .min_by_key(|(_, record)| record.window_began.max(record.paused_until));
        if let Some(source) = idlest.map(|(source, _)| *source) {
            self.0.remove(&source);
        }
    }
}

/// A whole IPv6 network of /64 is one source: anybody has that many addresses.
fn group(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => {
            let network = u128::from(v6) & !u128::from(u64::MAX);
            Ipv6Addr::from(network).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn fail(attempts: &mut Attempts, source: IpAddr, times: u32, now: Duration) {
        for _ in 0..times {
            attempts.failed(source, now);
        }
    }

    #[test]
    fn ten_failures_in_a_minute_pause_a_source_and_no_other() {
        let (mut attempts, a, b) = (
            Attempts::default(),
            address("10.0.0.1"),
            address("10.0.0.2"),
        );
        fail(&mut attempts, a, 9, secs(100));
        assert_eq!(attempts.wait(a, secs(100)), None);
        fail(&mut attempts, a, 1, secs(130));
        assert_eq!(attempts.wait(a, secs(130)), Some(secs(60)));
        assert_eq!(attempts.wait(a, secs(189)), Some(secs(1)));
        assert_eq!(attempts.wait(a, secs(190)), None);
        assert_eq!(attempts.wait(b, secs(130)), None);
    }

    #[test]
    fn slow_failures_pause_nobody() {
        let (mut attempts, a) = (Attempts::default(), address("10.0.0.1"));
        for minute in 0..100 {
            fail(&mut attempts, a, 9, secs(minute * 60));
            assert_eq!(attempts.wait(a, secs(minute * 60)), None);
        }
    }

    #[test]
    fn pauses_double_up_to_an_hour() {
        let (mut attempts, a) = (Attempts::default(), address("10.0.0.1"));
        let mut now = secs(0);
        for pause in [60, 120, 240, 480, 960, 1920, 3600, 3600] {
            fail(&mut attempts, a, 10, now);
            assert_eq!(attempts.wait(a, now), Some(secs(pause)));
            now += secs(pause);
        }
        attempts.succeeded(a);
        fail(&mut attempts, a, 10, now);
        assert_eq!(attempts.wait(a, now), Some(secs(60)));
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let mut attempts = Attempts::default();
        for host in 0..10 {
            attempts.failed(address(&format!("2001:db8::{host:x}")), secs(0));
        }
        assert!(attempts.wait(address("2001:db8::ffff"), secs(0)).is_some());
        assert!(attempts.wait(address("2001:db8:0:1::1"), secs(0)).is_none());
        fail(&mut attempts, address("::ffff:10.0.0.1"), 10, secs(0));
        assert!(attempts.wait(address("10.0.0.1"), secs(0)).is_some());
    }

    #[test]
    fn memory_is_bounded() {
        let mut attempts = Attempts::default();
        for number in 0..10_000_u32 {
            attempts.failed(IpAddr::from(number.to_be_bytes()), secs(number.into()));
        }
        assert_eq!(attempts.0.len(), SOURCES_MAX);
    }
}
