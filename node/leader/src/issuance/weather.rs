//! Whether a CA can be asked at all: the leader's own memory, for all its orders there.
//!
//! Only outages count: what cannot be reached, does not answer, or says that it is busy
//! or broken. What a CA says of one hostname is no weather.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use state::{CaName, ports::Clock};

use super::pace::{Jitter, spread};

/// First pause of a CA that ails.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
/// Longest pause that we choose ourselves: what it costs at most after the CA is well.
const PAUSE_LONGEST: Duration = Duration::from_secs(120);
/// Longest pause that a CA may ask for: a header must not end issuance for a month.
const ASKED_LONGEST: Duration = Duration::from_secs(6 * 3600);
/// So long after the last fault nobody knows how a CA is any more: it is asked again, also
/// by those that would go elsewhere. Longer than [`PAUSE_LONGEST`], at which it is asked
/// while it is known to be out.
const NEWS_FOR: Duration = Duration::from_secs(600);
/// Between two looks at a pause: the clock of a suspended machine jumps.
const NAP: Duration = Duration::from_secs(1);

/// The weather at each CA. One that was removed is remembered until this term ends: there
/// are as many as operators have named.
pub(crate) struct Skies {
    clock: Arc<dyn Clock>,
    jitter: Arc<dyn Jitter>,
    over: Mutex<BTreeMap<CaName, Arc<Weather>>>,
}

impl Skies {
    pub(crate) fn new(clock: Arc<dyn Clock>, jitter: Arc<dyn Jitter>) -> Self {
        Self {
            clock,
            jitter,
            over: Mutex::default(),
        }
    }

    /// Over one CA.
    pub(crate) fn over(&self, ca: &CaName) -> Arc<Weather> {
        let mut over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        let weather = over.entry(ca.clone()).or_insert_with(|| {
            let (clock, jitter) = (self.clock.clone(), self.jitter.clone());
            Arc::new(Weather::new(clock, jitter))
        });
        weather.clone()
    }
}

/// The weather at one CA.
pub(crate) struct Weather {
    clock: Arc<dyn Clock>,
    jitter: Arc<dyn Jitter>,
    storm: Mutex<Storm>,
}

#[derive(Default)]
struct Storm {
    strikes: u32,
    /// The first of them.
    since: Duration,
    /// The last of them.
    last: Duration,
    until: Duration,
    reason: String,
}

/// Why all orders at a CA wait, and how long yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// From now.
    pub left: Duration,
    /// The last fault.
    pub reason: String,
}

impl Weather {
    fn new(clock: Arc<dyn Clock>, jitter: Arc<dyn Jitter>) -> Self {
        Self {
            clock,
            jitter,
            storm: Mutex::default(),
        }
    }

    /// The CA ails. Orders that meet the same outage together count as one.
    pub(crate) fn strike(&self, reason: &str, asked: Option<Duration>) {
        let now = self.clock.boottime();
        let mut storm = self.storm();
        if storm.strikes == 0 {
            storm.since = now;
        }
        storm.last = now;
        let asked = asked.unwrap_or_default().min(ASKED_LONGEST);
        if storm.until <= now {
            storm.strikes = storm.strikes.saturating_add(1);
            let doubled = PAUSE_FIRST.saturating_mul(1 << (storm.strikes - 1).min(10));
            let own = spread(doubled.min(PAUSE_LONGEST), &*self.jitter);
            storm.until = now + own;
        }
        // It may strike within a pause that was cleared meanwhile.
        storm.strikes = storm.strikes.max(1);
        storm.until = storm.until.max(now + asked);
        reason.clone_into(&mut storm.reason);
    }

    /// The CA answered.
    pub(crate) fn clear(&self) {
        self.storm().strikes = 0;
    }

    /// For how long the CA has given nothing but outages; `None` if it answered last, or if
    /// it may be well by now.
    pub(crate) fn out_for(&self) -> Option<Duration> {
        let now = self.clock.boottime();
        let storm = self.storm();
        let known = now < storm.until.max(storm.last.saturating_add(NEWS_FOR));
        (storm.strikes > 0 && known).then(|| now.saturating_sub(storm.since))
    }

    /// Why to wait, if so.
    pub(crate) fn pause(&self) -> Option<Pause> {
        let now = self.clock.boottime();
        let storm = self.storm();
        let left = storm.until.checked_sub(now);
        let left = left.filter(|left| !left.is_zero())?;
        Some(Pause {
            left,
            reason: storm.reason.clone(),
        })
    }

    /// Waits for a moment if the CA may not be asked now; true if it had to.
    pub(crate) async fn nap(&self) -> bool {
        let Some(pause) = self.pause() else {
            return false;
        };
        tokio::time::sleep(pause.left.min(NAP)).await;
        true
    }

    fn storm(&self) -> MutexGuard<'_, Storm> {
        self.storm.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::testing::{ManualClock, ca_name};

    struct Even;

    impl Jitter for Even {
        fn draw(&self) -> u16 {
            u16::MAX / 2
        }
    }

    fn skies() -> (Arc<ManualClock>, Skies) {
        let clock = Arc::new(ManualClock::default());
        (clock.clone(), Skies::new(clock, Arc::new(Even)))
    }

    #[test]
    fn an_outage_is_met_once_by_all_and_grows_until_an_answer() {
        let (clock, skies) = skies();
        let weather = skies.over(&ca_name());
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

    #[test]
    fn how_long_a_ca_is_out_counts_from_its_first_fault_since_it_answered() {
        let (clock, skies) = skies();
        let weather = skies.over(&ca_name());
        assert_eq!(weather.out_for(), None);
        weather.strike("503", None);
        clock.advance(Duration::from_secs(600));
        weather.strike("503", None);
        assert_eq!(weather.out_for(), Some(Duration::from_secs(600)));
        weather.clear();
        assert_eq!(weather.out_for(), None);
        // Within the pause of before.
        weather.strike("503", None);
        assert_eq!(weather.out_for(), Some(Duration::ZERO));
    }

    #[test]
    fn a_ca_of_which_nothing_is_heard_is_asked_again_and_then_out_as_before() {
        let (clock, skies) = skies();
        let weather = skies.over(&ca_name());
        weather.strike("503", None);
        clock.advance(NEWS_FOR);
        assert_eq!(weather.out_for(), None);
        weather.strike("503", None);
        assert_eq!(weather.out_for(), Some(NEWS_FOR));
    }

    #[test]
    fn each_ca_has_its_own() {
        let (_, skies) = skies();
        let other = "other".parse().unwrap();
        skies.over(&ca_name()).strike("503", None);
        assert!(skies.over(&ca_name()).pause().is_some());
        assert_eq!(skies.over(&other).pause(), None);
    }
}
