//! Real processes under real faults: killed, paused, cut off, without power, disk, clock,
//! descriptors or a reader of their log.
//!
//! Each test is short unless the environment says otherwise (`make faults`):
//! `HOSTQUORUM_KILLS`, `HOSTQUORUM_POWER_CUTS` and `HOSTQUORUM_PARTITIONS` are how often.
//! What happens by chance is drawn from `HOSTQUORUM_FAULT_SEED`, which each run tells.
//! A machine that lacks what a test needs fails it, with what to do about it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test that cannot go on must stop where it is"
)]

mod clock;
mod descriptors;
mod kill;
mod log;
mod partition;
mod power;
mod slow;

use harness::Options;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

/// A number that the environment may give.
fn number(variable: &str) -> Option<u64> {
    let mut variables = std::env::vars();
    let (_, value) = variables.find(|(name, _)| name == variable)?;
    Some(value.parse().expect("a number"))
}

/// What happens by chance in a run, and the seed that repeats it.
fn chance() -> (ChaCha8Rng, u64) {
    let seed = number("HOSTQUORUM_FAULT_SEED").unwrap_or_else(|| rand::random_range(0..1 << 32));
    println!("HOSTQUORUM_FAULT_SEED={seed}");
    (ChaCha8Rng::seed_from_u64(seed), seed)
}

/// With the development CA: what is tested here is not between us and a CA.
fn options() -> Options {
    Options {
        pebble: false,
        ..Options::default()
    }
}
