//! The clocks of a simulated machine: the simulation's one virtual time, as this machine
//! sees it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use state::Timestamp;
use state::ports::Clock;
use state::testing::START;

/// Both clocks of a machine. They go on while it is down.
#[derive(Debug)]
pub(crate) struct MachineClock {
    /// How much faster than true time it is, in parts of a million.
    drift_ppm: i64,
    wall: Mutex<i64>,
}

impl MachineClock {
    /// A clock that is right at the beginning.
    pub(crate) fn new(drift_ppm: i64) -> Self {
        Self {
            drift_ppm,
            wall: Mutex::new(0),
        }
    }

    /// Sets the wall clock off by so many milliseconds; the other one does not jump.
    pub(crate) fn set_off(&self, millis: i64) {
        *self.lock() = millis;
    }

    fn lock(&self) -> MutexGuard<'_, i64> {
        // A number; each holder leaves it whole.
        self.wall.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drifted(&self) -> Duration {
        let micros = i64::try_from(elapsed().as_micros()).unwrap_or(i64::MAX);
        let drift = micros / 1_000_000 * self.drift_ppm;
        Duration::from_micros(micros.saturating_add(drift).unsigned_abs())
    }
}

/// True time since the beginning of the run.
pub(crate) fn elapsed() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        let now = START.plus(self.drifted());
        let off = *self.lock();
        let by = Duration::from_millis(off.unsigned_abs());
        if off < 0 { now.minus(by) } else { now.plus(by) }
    }

    fn boottime(&self) -> Duration {
        self.drifted()
    }
}
