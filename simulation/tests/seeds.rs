//! Seeds that always run.

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use simulation::{REPEATABLE, Report, Scenario, Tally, run};

/// Enough for trouble, and work before, during and after it.
const STEPS: u64 = 6000;

/// Enough to differ.
const FEW: u64 = 1500;

#[track_caller]
fn good(scenario: &Scenario) -> Report {
    let seed = scenario.settings.seed;
    let report = run(scenario).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    if let Some(violation) = &report.violation {
        // What led to it; `cargo simulate --seed` tells the whole.
        let last = report.events.len().saturating_sub(200);
        let events = report.events.get(last..).unwrap_or_default();
        panic!("seed {seed}: {violation}\n{}", events.join("\n"));
    }
    report
}

/// Does the work for each of these, on two threads: a run has one of its own.
fn each<T: Sync, R: Send>(of: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::new();
        while let Some(one) = of.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push(work(one));
        }
        done
    };
    thread::scope(|scope| {
        let (one, other) = (scope.spawn(take), scope.spawn(take));
        let ended =
            [one, other].map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        ended.into_iter().flatten().collect()
    })
}

#[test]
fn fixed_seeds_hold_every_invariant_and_see_trouble() {
    let seeds: Vec<u64> = (1..=16).collect();
    let tallies: Vec<Tally> = each(&seeds, |seed| good(&Scenario::draw(*seed, STEPS)).tally);
    let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>();
    // A simulation in which nothing goes wrong proves nothing.
    assert!(sum(|tally| tally.done) > 500, "{tallies:?}");
    assert!(sum(|tally| tally.read) > 100, "{tallies:?}");
    assert!(sum(|tally| tally.unknown) > 10, "{tallies:?}");
    assert!(sum(|tally| tally.refused) > 50, "{tallies:?}");
    assert!(sum(|tally| tally.terms) > 25, "{tallies:?}");
    assert!(sum(|tally| tally.transferred) > 5, "{tallies:?}");
    assert!(sum(|tally| tally.snapshots) > 0, "{tallies:?}");
    assert!(sum(|tally| tally.lost_changes as u64) > 0, "{tallies:?}");
    assert!(sum(|tally| tally.resumed) > 0, "{tallies:?}");
    assert!(sum(|tally| tally.disks_lost) > 0, "{tallies:?}");
    assert!(sum(|tally| tally.rotted) > 0, "{tallies:?}");
    assert!(sum(|tally| tally.certificates) > 100, "{tallies:?}");
    assert!(sum(|tally| tally.expelled) > 0, "{tallies:?}");
    assert!(sum(|tally| tally.troubles) > 40, "{tallies:?}");
}

/// Scenarios that once showed a bug are in files of their own, which say what it was.
#[test]
fn what_once_failed_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("kept");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
    let scenarios: Vec<Scenario> = files
        .into_iter()
        .map(|file| {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let read = text.parse();
            read.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        })
        .collect();
    assert!(!scenarios.is_empty());
    each(&scenarios, good);
}

#[test]
fn seeds_repeat_themselves_and_no_other() {
    if !REPEATABLE {
        panic!(
            "built without `--cfg tokio_unstable`: RUSTFLAGS replaces .cargo/config.toml; add the flag there"
        );
    }
    let seeds: Vec<u64> = (100..120).collect();
    let hashes = each(&seeds, |seed| {
        let scenario = Scenario::draw(*seed, FEW);
        let (first, second) = (good(&scenario), good(&scenario));
        let mut events = first.events.iter().zip(&second.events);
        let differ = events.find(|(first, second)| first != second);
        assert_eq!(differ, None, "seed {seed}");
        assert_eq!(
            (first.hash, first.ticks),
            (second.hash, second.ticks),
            "seed {seed}"
        );
        first.hash.to_string()
    });
    let different: BTreeSet<&String> = hashes.iter().collect();
    assert_eq!(different.len(), 20, "{hashes:?}");
}

#[test]
fn a_seed_repeats_itself_in_another_process() {
    let run = || {
        let run = Command::new(env!("CARGO_BIN_EXE_simulation"))
            .args(["--seed", "200", "--runs", "2", "--steps", "1000"])
            .output()
            .unwrap();
        assert!(run.status.success(), "{run:?}");
        let text = String::from_utf8(run.stdout).unwrap();
        let seeds = text.lines().filter(|line| line.starts_with("seed "));
        let mut seeds: Vec<String> = seeds.map(ToOwned::to_owned).collect();
        seeds.sort();
        seeds
    };
    let first = run();
    assert_eq!(first.len(), 2, "{first:?}");
    assert_eq!(first, run());
}

#[test]
fn a_scenario_is_run_from_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("one.scenario");
    let scenario = Scenario::draw(300, 500);
    std::fs::write(&path, scenario.to_string()).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_simulation"))
        .arg("--replay")
        .arg(&path)
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    let hash = format!("seed 300 hash {}", good(&scenario).hash);
    let text = String::from_utf8(run.stdout).unwrap();
    assert!(text.starts_with(&hash), "{text}, not {hash}");
}
