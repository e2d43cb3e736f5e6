//! Every corpus, replayed, and then its mutations for a while: what libFuzzer found once
//! stays found, on any toolchain, in seconds.
//!
//! Mutations are drawn from a seed that is told with each failure; `FUZZ_SEED` repeats it.
//! `FUZZ_MILLIS` is how long each target is mutated.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test that cannot go on ends there"
)]

mod mutation;
mod seeds;

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::Duration,
};

use fuzz::{TARGETS, Target};
use mutation::Mutator;
use tokio::time::Instant;

/// How long each target is mutated if nobody says: a dozen of them on two cores are done in
/// some seconds.
const MILLIS: u64 = 1000;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name)
}

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder(name)).expect("each target has a corpus");
    let mut inputs: Vec<(PathBuf, Vec<u8>)> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "the corpus of {name} is empty");
    inputs
}

fn number(variable: &str) -> Option<u64> {
    let mut variables = std::env::vars();
    let (_, value) = variables.find(|(name, _)| name == variable)?;
    Some(value.parse().expect("a number"))
}

/// Calls `target`.
///
/// # Errors
/// A promise is broken: where the input is now.
fn hold(name: &str, target: Target, input: &[u8]) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| target(input))).map_err(|_| {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}.bin"));
        fs::write(&kept, input).unwrap();
        format!("{name}: the input is in {}", kept.display())
    })
}

#[track_caller]
fn none(broken: &[String]) {
    assert!(broken.is_empty(), "broken promises:\n{}", broken.join("\n"));
}

#[test]
fn every_corpus_holds() {
    let mut broken = Vec::new();
    for (name, target) in TARGETS {
        for (path, input) in corpus(name) {
            if let Err(why) = hold(name, target, &input) {
                broken.push(format!("{why}, from {}", path.display()));
            }
        }
    }
    none(&broken);
}

#[test]
fn mutations_of_every_corpus_hold() {
    let seed = number("FUZZ_SEED").unwrap_or_else(rand::random);
    let time = Duration::from_millis(number("FUZZ_MILLIS").unwrap_or(MILLIS));
    let mutate = |(name, target): &(&str, Target)| mutate(name, *target, seed, time);
    let broken: Vec<String> = std::thread::scope(|scope| {
        let halves = [0, 1].map(|half| {
            let targets = TARGETS.iter().skip(half).step_by(2);
            scope.spawn(move || targets.filter_map(mutate).collect::<Vec<_>>())
        });
        halves
            .into_iter()
            .flat_map(|half| half.join().unwrap())
            .collect()
    });
    none(&broken);
}

/// How a target broke, if it did.
fn mutate(name: &str, target: Target, seed: u64, time: Duration) -> Option<String> {
    let inputs = corpus(name).into_iter().map(|(_, input)| input);
    let mut mutator = Mutator::new(seed, inputs.collect());
    let until = Instant::now() + time;
    let mut mutations = 0;
    while Instant::now() < until {
        if let Err(why) = hold(name, target, &mutator.next()) {
            return Some(format!("{why}, mutation {mutations} of FUZZ_SEED={seed}"));
        }
        mutations += 1;
    }
    println!("{name}: {mutations} mutations of FUZZ_SEED={seed}");
    None
}

#[test]
fn every_target_has_a_main_and_a_corpus_and_no_corpus_is_anybodys() {
    let mut names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = |folder: &str| {
        let entries = fs::read_dir(here.join(folder)).unwrap();
        let mut found: Vec<String> = entries
            .map(|entry| entry.unwrap().path())
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        found.sort();
        found
    };
    assert_eq!(listed("fuzz_targets"), names);
    assert_eq!(listed("corpus"), names);
}
