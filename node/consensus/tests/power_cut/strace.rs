//! What the kernel was asked for: between two acknowledgements the log was fdatasynced,
//! and the state after it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::say;

/// Entries acknowledged before the writer stops.
const ENOUGH: usize = 40;

/// An event of the trace that matters here.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    Synced(&'static str),
    Acknowledged,
}

/// The events of `trace`, as `strace -f -y` writes it: a call that another thread
/// interrupts in the trace is done where it is resumed.
fn events(trace: &str) -> Vec<Event> {
    let mut begun: BTreeMap<&str, &'static str> = BTreeMap::new();
    let mut events = Vec::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else {
            continue;
        };
        let call = call.trim_start();
        let database = if call.contains("/raft/db>") {
            Some("log")
        } else if call.contains("/state/0/db>") {
            Some("state")
        } else {
            None
        };
        if call.starts_with("write(1") && call.contains("acked ") {
            events.push(Event::Acknowledged);
        } else if call.starts_with("fdatasync(") {
            match database {
                Some(database) if call.contains("<unfinished") => {
                    begun.insert(thread, database);
                }
                Some(database) if call.ends_with("= 0") => events.push(Event::Synced(database)),
                _ => {}
            }
        } else if call.starts_with("<... fdatasync resumed>") && call.ends_with("= 0") {
            events.extend(begun.remove(thread).map(Event::Synced));
        }
    }
    events
}

#[test]
fn log_and_state_are_synced_before_each_acknowledgement() {
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("trace");
    if Command::new("strace")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        say("\n*** SKIPPED: the test of fdatasync needs strace ***\n");
        return;
    }
    write_under_strace(&directory.path().join("data"), &trace);
    let events = events(&std::fs::read_to_string(&trace).unwrap());
    let acknowledged = events
        .iter()
        .filter(|event| **event == Event::Acknowledged)
        .count();
    assert!(
        acknowledged >= ENOUGH,
        "only {acknowledged} acknowledgements in the trace"
    );
    for (number, between) in events
        .split(|event| *event == Event::Acknowledged)
        .take(acknowledged)
        .enumerate()
    {
        let log = between
            .iter()
            .position(|event| *event == Event::Synced("log"));
        let state = between
            .iter()
            .rposition(|event| *event == Event::Synced("state"));
        assert!(
            log.is_some() && state > log,
            "before acknowledgement {number}: {between:?}"
        );
    }
}

fn write_under_strace(data: &Path, trace: &Path) {
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-y", "-s", "16", "-e", "trace=fdatasync,write", "-o"])
        .arg(trace);
    strace.arg(std::env::current_exe().unwrap());
    // Killing strace would leave the writer running; it stops by itself.
    strace.env("POWER_CUT_STOP_AFTER", ENOUGH.to_string());
    let enough = u64::try_from(ENOUGH).unwrap() - 1;
    crate::run_command(strace, data, ("sled", "replica_writer"), enough, |_| {});
}
