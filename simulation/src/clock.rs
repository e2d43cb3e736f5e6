//! The clocks of a simulated machine: the simulation's one virtual time.

use std::time::Duration;

use state::Timestamp;
use state::ports::Clock;
use state::testing::START;

/// Both clocks of the machine that asks. They do not drift, and go on while the
/// machine is down.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MachineClock;

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        START.plus(self.boottime())
    }

    fn boottime(&self) -> Duration {
        turmoil::sim_elapsed().unwrap_or_default()
    }
}
