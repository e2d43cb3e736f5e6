//! How much a network may ask: response-rate limiting, so that forged addresses
//! gain nothing, and a bound on all queries, so that a flood does not take the
//! processor from serving.

use std::{
    collections::hash_map::RandomState, hash::BuildHasher, net::IpAddr, sync::Mutex, time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::{
    limits::{Limits, NETWORKS, SLICES, SLIP},
    metrics::Counters,
};

/// A client's network: those in it are counted as one, for one machine may have
/// all its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Network(u64);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(u64::from(u32::from(address) >> 8)),
            // The top bit tells the families apart.
            IpAddr::V6(address) => {
                let [bytes @ .., _, _, _, _, _, _, _, _] = address.octets();
                Self((u64::from_be_bytes(bytes) >> 8) | (1 << 63))
            }
        }
    }
}

/// What becomes of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Answer,
    /// Told to ask again by TCP.
    Slip,
    Drop,
}

/// Counts networks in a table of fixed size (generic cell rate algorithm). Which
/// networks share a place is drawn at random at start, so that nobody can choose
/// to share one with a resolver.
#[derive(Debug)]
pub(crate) struct Rates {
    started: Instant,
    hasher: RandomState,
    /// For each place, when its allowance will be whole again, in microseconds
    /// since `started`.
    places: Box<[u64]>,
    held_back: u64,
    /// Microseconds between answers.
    interval: u64,
    /// How far ahead a place may be.
    tolerance: u64,
}

impl Rates {
    pub(crate) fn new(limits: &Limits, now: Instant) -> Self {
        let interval = 1_000_000 / u64::from(limits.answers.max(1));
        Self {
            started: now,
            hasher: RandomState::new(),
            places: vec![0; NETWORKS].into(),
            held_back: 0,
            interval,
            tolerance: interval * u64::from(limits.burst),
        }
    }

    pub(crate) fn judge(&mut self, network: Network, now: Instant) -> Verdict {
        let now = now.saturating_duration_since(self.started).as_micros();
        let now = u64::try_from(now).unwrap_or(u64::MAX); // in 580,000 years
        let hash = self.hasher.hash_one(network) % NETWORKS as u64;
        let place = &mut self.places[usize::try_from(hash).unwrap_or_default()];
        let whole = (*place).max(now);
        if whole - now <= self.tolerance {
            *place = whole + self.interval;
            return Verdict::Answer;
        }
        self.held_back += 1;
        if self.held_back.is_multiple_of(SLIP) {
            Verdict::Slip
        } else {
            Verdict::Drop
        }
    }
}

/// Lets through so many queries in each slice of a second, from all sockets.
#[derive(Debug)]
pub(crate) struct Pace {
    each: u32,
    slice: Mutex<Slice>,
}

#[derive(Debug)]
struct Slice {
    ends: Instant,
    left: u32,
}

impl Pace {
    const SLICE: Duration = Duration::from_millis(1000 / SLICES as u64);

    pub(crate) fn new(limits: &Limits) -> Self {
        let slice = Slice {
            ends: Instant::now(),
            left: 0,
        };
        Self {
            each: (limits.queries / SLICES).max(1),
            slice: Mutex::new(slice),
        }
    }

    /// Waits until one more query may be taken.
    pub(crate) async fn take(&self, counters: &Counters) {
        while let Some(ends) = self.try_take() {
            counters.paused.add();
            sleep_until(ends).await;
        }
    }

    /// `None`: taken. Otherwise when to try again.
    fn try_take(&self) -> Option<Instant> {
        let now = Instant::now();
        // Nothing in here can panic.
        let mut slice = self
            .slice
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if now >= slice.ends {
            *slice = Slice {
                ends: now + Self::SLICE,
                left: self.each,
            };
        }
        match slice.left.checked_sub(1) {
            Some(left) => {
                slice.left = left;
                None
            }
            None => Some(slice.ends),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str) -> Network {
        address.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn a_network_is_a_prefix() {
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.254", true),
            ("192.0.2.1", "192.0.3.1", false),
            ("::ffff:192.0.2.1", "192.0.2.9", true),
            ("2001:db8:0:a1::1", "2001:db8:0:a2:9::", true),
            ("2001:db8:0:100::1", "2001:db8:0:200::1", false),
        ] {
            assert_eq!(network(one) == network(other), same, "{one} {other}");
        }
    }

    fn rates(answers: u32, burst: u32) -> (Rates, Instant) {
        let now = Instant::now();
        let limits = Limits {
            answers,
            burst,
            ..Limits::default()
        };
        (Rates::new(&limits, now), now)
    }

    #[test]
    fn a_network_has_its_burst_and_then_its_rate() {
        let (mut rates, start) = rates(10, 5);
        let me = network("192.0.2.1");
        let mut answered = |from: u64, times: usize| {
            let at = start + Duration::from_millis(from);
            (0..times)
                .filter(|_| rates.judge(me, at) == Verdict::Answer)
                .count()
        };
        assert_eq!(answered(0, 100), 6);
        assert_eq!(answered(99, 100), 0);
        assert_eq!(answered(1000, 100), 6);
        assert_eq!(answered(60_000, 100), 6);
    }

    #[test]
    fn every_second_answer_held_back_is_an_advice() {
        let (mut rates, now) = rates(1, 0);
        let me = network("192.0.2.1");
        let verdicts: Vec<Verdict> = (0..5).map(|_| rates.judge(me, now)).collect();
        use Verdict::{Answer, Drop, Slip};
        assert_eq!(verdicts, [Answer, Drop, Slip, Drop, Slip]);
    }

    #[test]
    fn networks_do_not_pay_for_each_other() {
        let (mut rates, now) = rates(1, 0);
        let loud = network("192.0.2.1");
        for _ in 0..1000 {
            rates.judge(loud, now);
        }
        // Two of these may share a place, the loud one's among them.
        let quiet = (0..100u8).map(|n| IpAddr::from([198, 51, n, 1]).into());
        let answered = quiet.filter(|n| rates.judge(*n, now) == Verdict::Answer);
        assert!(answered.count() >= 95);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_queries_are_taken_than_allowed() {
        let limits = Limits {
            queries: 1000,
            ..Limits::default()
        };
        let (pace, counters) = (Pace::new(&limits), Counters::default());
        let begun = Instant::now();
        for _ in 0..500 {
            pace.take(&counters).await;
        }
        assert!(begun.elapsed() >= Duration::from_millis(490));
        assert_eq!(counters.paused.get(), 49);
    }
}
