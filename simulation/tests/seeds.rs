//! Seeds that always run.

use std::collections::BTreeSet;
use std::process::Command;

use simulation::{Options, REPEATABLE, Report, Tally, run};

/// Enough for a partition, a crash, a disk that fails, and work before, during and after them.
const STEPS: u64 = 6000;

#[track_caller]
fn good(seed: u64, steps: u64) -> Report {
    let report =
        run(Options { seed, steps }).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    if let Some(violation) = &report.violation {
        panic!("seed {seed}: {violation}\n{}", report.events.join("\n"));
    }
    report
}

#[test]
fn fixed_seeds_hold_every_invariant_and_see_trouble() {
    let tallies: Vec<Tally> = (1..=10).map(|seed| good(seed, STEPS).tally).collect();
    let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>();
    // A simulation in which nothing goes wrong proves nothing.
    assert!(sum(|tally| tally.done) > 500, "{tallies:?}");
    assert!(sum(|tally| tally.read) > 100, "{tallies:?}");
    assert!(sum(|tally| tally.unknown) > 10, "{tallies:?}");
    assert!(sum(|tally| tally.refused) > 50, "{tallies:?}");
    assert!(sum(|tally| tally.terms) > 15, "{tallies:?}");
    assert!(sum(|tally| tally.snapshots) > 0, "{tallies:?}");
    assert!(sum(|tally| tally.lost_changes as u64) > 0, "{tallies:?}");
    assert!(sum(|tally| tally.resumed) > 0, "{tallies:?}");
}

/// Seeds that once showed a bug, with the steps they need and what it was.
const ONCE_FAILED: [(u64, u64); 1] = [
    // A leader was cut off with two entries in flight and caught up by a snapshot. It
    // never heard what became of them, and so never proposed again.
    (20_210, 10_000),
];

#[test]
fn seeds_that_once_failed_hold() {
    for (seed, steps) in ONCE_FAILED {
        good(seed, steps);
    }
}

#[test]
fn a_seed_repeats_itself_and_no_other() {
    if !REPEATABLE {
        panic!(
            "built without `--cfg tokio_unstable`: RUSTFLAGS replaces .cargo/config.toml; add the flag there"
        );
    }
    let mut hashes = BTreeSet::new();
    for seed in 100..104 {
        let (first, second) = (good(seed, 3000), good(seed, 3000));
        let differ = first
            .events
            .iter()
            .zip(&second.events)
            .find(|(first, second)| first != second);
        assert_eq!(differ, None, "seed {seed}");
        assert_eq!(
            (first.hash, first.ticks),
            (second.hash, second.ticks),
            "seed {seed}"
        );
        hashes.insert(first.hash.to_string());
    }
    assert_eq!(
        hashes.len(),
        4,
        "different seeds are different runs: {hashes:?}"
    );
}

#[test]
fn a_seed_repeats_itself_in_another_process() {
    let run = || {
        let run = Command::new(env!("CARGO_BIN_EXE_simulation"))
            .args(["--seed", "200", "--runs", "2", "--steps", "3000"])
            .output()
            .unwrap();
        assert!(run.status.success(), "{run:?}");
        String::from_utf8(run.stdout).unwrap()
    };
    let first = run();
    assert_eq!(first.lines().count(), 2, "{first}");
    assert_eq!(first, run());
}
