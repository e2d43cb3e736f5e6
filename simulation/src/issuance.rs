//! Certificates while the leader crashes: what a leader began at the CA, the next one
//! takes up, and no certificate is issued twice. An order may be placed twice, if its
//! answer was lost: it comes to nothing.
//!
//! Three machines run the production crates `state`, `consensus` and `leader`, the latter
//! with its own ACME client; a fourth runs the production development CA, behind real TLS
//! on the simulated network. Hostnames are authorized, and at a moment drawn from the
//! seed, most often amid their issuance, whoever leads loses power and what it had not
//! flushed. In the end each hostname must have exactly one certificate, by the CA's
//! ledger, and each node must serve that one.
//!
//! Doubles are the edge (port 80 only), the members' reports to each other, the cluster's
//! own CA, and the seal. The CA does not crash, and its road is never cut: that its client
//! bears this is shown by the tests of `leader`.
//!
//! **A seed does not reproduce its run to the bit** here, unlike in [`crate::run()`]: keys,
//! signatures and TLS take their chance from the system, and with them the lengths of
//! messages change. What is drawn from the seed (hostnames, the crash, delays) is the same.

mod authority;
mod blow;
mod doubles;
mod edge;
mod machine;
mod scene;
mod validation;
mod verdict;

use std::fmt;

use self::scene::Scene;
use crate::chance::Chance;
use crate::run::Violation;

/// What came of a run.
#[derive(Debug)]
pub struct Issuance {
    /// Its seed.
    pub seed: u64,
    /// Milliseconds of virtual time in all.
    pub ticks: u64,
    /// Milliseconds from the authorization to the last certificate at the last node.
    pub took: u64,
    /// The crash of the leader.
    pub crash: Option<Crash>,
    /// Orders at the CA.
    pub orders: usize,
    /// Certificates that the CA has issued.
    pub certificates: usize,
    /// What went wrong, if anything did.
    pub violation: Option<Violation>,
}

/// A leader that lost power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crash {
    /// Which node.
    pub node: u64,
    /// Milliseconds after the authorization.
    pub after: u64,
    /// Changes that its disk had not flushed.
    pub lost: usize,
    /// Orders that were in its hands, by its own state.
    pub in_flight: usize,
}

impl fmt::Display for Issuance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {} ticks {} ", self.seed, self.ticks)?;
        match &self.violation {
            None => f.write_str("ok")?,
            Some(violation) => write!(f, "VIOLATION {violation}")?,
        }
        let (orders, certificates) = (self.orders, self.certificates);
        write!(
            f,
            " ({orders} orders, {certificates} certificates in {} ms",
            self.took
        )?;
        if let Some(crash) = self.crash {
            write!(
                f,
                ", node {} crashed after {} ms with {} orders, lost {} changes",
                crash.node, crash.after, crash.in_flight, crash.lost
            )?;
        }
        f.write_str(")")
    }
}

/// Runs the scenario once, with all that can be drawn drawn from `seed`.
///
/// # Errors
///
/// When no directory for snapshots can be made, or no key for the CA.
pub fn issue(seed: u64) -> std::io::Result<Issuance> {
    let mut chance = Chance::new(seed);
    consensus::seed_thread(chance.seed());
    let mut scene = Scene::new(&mut chance)?;
    let violation = scene.play().err();
    Ok(scene.close(seed, violation))
}
