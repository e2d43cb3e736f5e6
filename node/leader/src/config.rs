//! What the leader can be told.

use std::time::Duration;

use state::NodeId;

use crate::{
    failpoint::Failpoint,
    fence,
    issuance::{inspect::Fraction, pace::Backoff},
    membership, verification,
};

/// The leader's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node.
    pub node: NodeId,
    /// Most orders that go forward at once, from 1. More of them help only until the CA
    /// or the log is busy; each costs a connection and some 20 KB.
    pub orders_in_flight: usize,
    /// How long to wait after a takeover before an order is finalized again; not waited at
    /// a CA whose finalize is atomic.
    pub finalize_wait: Duration,
    /// How far into its life a certificate is renewed.
    pub renew: Fraction,
    /// How long a hostname waits after failures.
    pub backoff: Backoff,
    /// How long a CA must be out before what cannot wait is ordered at the next one by rank.
    pub fallback_after: Duration,
    /// First and longest wait between two looks at an order, if the CA does not say.
    pub poll: (Duration, Duration),
    /// How long to wait until all edges have published a challenge.
    pub barrier: Duration,
    /// Longest disagreement of clocks at which duties driven by time go on.
    pub clock_tolerance: Duration,
    /// How often hostnames are looked at.
    pub verification: verification::Config,
    /// Who becomes a voter, and when.
    pub membership: membership::Config,
    /// How old a data key is before those before it are forgotten: members prove to each
    /// other who they are by either, and one may not have heard of the new one.
    pub data_key_overlap: Duration,
    /// How often to look around without being woken: at what no watch tells, such as lag
    /// and reports.
    pub tick: Duration,
    /// Where to end the process, in tests.
    pub failpoint: Failpoint,
}

impl Config {
    /// What suits production, for `node`.
    pub fn new(node: NodeId) -> Self {
        Self {
            node,
            orders_in_flight: 32,
            finalize_wait: fence::FINALIZE_WAIT,
            renew: Fraction::TWO_THIRDS,
            backoff: Backoff::default(),
            fallback_after: Duration::from_secs(3600),
            poll: (Duration::from_millis(100), Duration::from_secs(5)),
            barrier: Duration::from_secs(2),
            clock_tolerance: Duration::from_secs(5),
            verification: verification::Config::default(),
            membership: membership::Config::default(),
            data_key_overlap: Duration::from_secs(60),
            tick: Duration::from_millis(500),
            failpoint: Failpoint::default(),
        }
    }
}
