//! Nothing acknowledged is lost when the power goes or the process is killed.
//!
//! A writer (this test binary again, in a process of its own) appends entries on a
//! loop-mounted ext4 and prints the number of each one that is durable. At some
//! moment the file system is shut down (`EXT4_IOC_SHUTDOWN`, without flushing its
//! journal), unmounted, mounted again and opened. Once it writes to a database, once it
//! is a whole replica that applies, writes snapshots and purges its log meanwhile.
//! `POWER_CUT_ROUNDS` sets the number of rounds for each engine (3 by default).

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests, not only tests, fail by panicking"
)]

#[path = "alone/replica.rs"]
mod replica;
#[path = "power_cut/strace.rs"]
mod strace;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use consensus::Replica;
use consensus::store::{Batch, DiskStore, Engine, Store, Tree};
use state::ports::{Bodies, Propose};
use state::{Actor, Change};

use crate::replica::{authorize, shop, start};

const ENGINES: [(Engine, &str); 2] = [(Engine::Sled, "sled"), (Engine::Redb, "redb")];
/// How many entries the writer keeps: the log is purged behind them.
const KEPT: u64 = 64;
const IMAGE_BYTES: u64 = 128 * 1024 * 1024;

/// What entry `number` holds: lengths from a few bytes to several chunks.
fn entry(number: u64) -> Vec<u8> {
    let length = 16 + (number * 7919 % 20_000) as usize;
    let mut bytes = vec![number as u8; length];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// The process that is cut off; run by the tests below, by name. Among them it does
/// nothing.
#[test]
fn writer() {
    let Some(directory) = std::env::var_os("POWER_CUT_DIRECTORY") else {
        return;
    };
    let engine = std::env::var_os("POWER_CUT_ENGINE").unwrap();
    let engine = ENGINES.iter().find(|(_, name)| *name == engine).unwrap().0;
    let store = DiskStore::new(PathBuf::from(directory), engine).unwrap();
    let database = store.open_log().unwrap();
    let mut output = std::io::stdout();
    writeln!(output, "\nopen").unwrap();
    for number in 0_u64.. {
        let mut log = Batch::new();
        log.put(number.to_be_bytes(), entry(number));
        if let Some(purged) = number.checked_sub(KEPT) {
            log.remove(purged.to_be_bytes());
        }
        let mut hard = Batch::new();
        hard.put(b"last", number.to_be_bytes());
        database.write_atomic(Tree::Log, &log).unwrap();
        database.write_atomic(Tree::Hard, &hard).unwrap();
        database.flush_durable().unwrap();
        writeln!(output, "acked {number}").unwrap();
    }
}

fn spawn(mut command: Command, directory: &Path, engine: &str, writer: &str) -> Child {
    command
        .args(["--exact", writer, "--nocapture", "--test-threads=1"])
        .env("POWER_CUT_DIRECTORY", directory)
        .env("POWER_CUT_ENGINE", engine)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs the writer until it has acknowledged `enough`, then calls `cut`. Answers with
/// the last number that was read as acknowledged *before* `cut` was called: a flush that
/// is under way at that moment may be reported as done though it was cut off, which a
/// machine without power could not do.
fn run(directory: &Path, which: (&str, &str), enough: u64, cut: impl FnOnce(&mut Child)) -> u64 {
    let command = Command::new(std::env::current_exe().unwrap());
    run_command(command, directory, which, enough, cut)
}

/// The same by `command`, which runs this binary.
fn run_command(
    command: Command,
    directory: &Path,
    (engine, writer): (&str, &str),
    enough: u64,
    cut: impl FnOnce(&mut Child),
) -> u64 {
    let mut child = spawn(command, directory, engine, writer);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (acked, reading) = follow(lines);
    while acked.load(Ordering::Acquire) <= enough && !reading.is_finished() {
        std::thread::park_timeout(Duration::from_millis(1));
    }
    let before = acked.load(Ordering::Acquire);
    cut(&mut child);
    reading.join().unwrap();
    // It ends by its own error after a power cut; this only makes sure of it.
    let _ = child.kill();
    let mut complaint = String::new();
    let _ = child.stderr.take().unwrap().read_to_string(&mut complaint);
    child.wait().unwrap();
    assert!(
        before > enough,
        "the writer ended by itself after {before}: {complaint}"
    );
    before - 1
}

/// Counts, on a thread of its own, one more than the last number acknowledged.
fn follow(lines: Lines<BufReader<ChildStdout>>) -> (Arc<AtomicU64>, JoinHandle<()>) {
    let acked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&acked);
    let reading = std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if let Some(number) = line
                .strip_prefix("acked ")
                .and_then(|number| number.parse::<u64>().ok())
            {
                count.store(number + 1, Ordering::Release);
            }
        }
    });
    (acked, reading)
}

/// Opens what is left and checks every acknowledged entry.
fn check(directory: &Path, engine: Engine, acked: u64) {
    let store = DiskStore::new(directory, engine).unwrap();
    let database = store.open_log().unwrap();
    let last = database
        .get(Tree::Hard, b"last")
        .unwrap()
        .expect("the hard state is gone");
    let last = u64::from_be_bytes(last.try_into().unwrap());
    assert!(
        last >= acked,
        "the hard state went back to {last}, acknowledged was {acked}, {engine:?}"
    );
    let found: BTreeMap<u64, Vec<u8>> = database
        .range(Tree::Log, Bound::Unbounded, Bound::Unbounded)
        .unwrap()
        .map(|pair| {
            pair.map(|(key, value)| (u64::from_be_bytes(key.try_into().unwrap()), value))
                .unwrap()
        })
        .collect();
    let newest = *found.keys().last().unwrap();
    assert!(
        newest >= acked,
        "the log ends at {newest}, acknowledged was {acked}"
    );
    for number in (acked + 1).saturating_sub(KEPT)..=acked {
        // The oldest may have been purged by a write that was not acknowledged yet.
        if newest - number < KEPT {
            assert_eq!(found.get(&number), Some(&entry(number)), "entry {number}");
        }
    }
}

/// A small ext4 of our own, unmounted when dropped.
struct Ext4 {
    image: PathBuf,
    mountpoint: PathBuf,
}

impl Ext4 {
    /// `Err` says what this machine lacks.
    fn new(directory: &Path) -> Result<Self, String> {
        let ext4 = Self {
            image: directory.join("image"),
            mountpoint: directory.join("mount"),
        };
        command("python3", &["--version"], &[])?;
        std::fs::create_dir(&ext4.mountpoint).unwrap();
        std::fs::File::create(&ext4.image)
            .unwrap()
            .set_len(IMAGE_BYTES)
            .unwrap();
        command("mkfs.ext4", &["-q", "-F"], &[&ext4.image])?;
        ext4.mount()?;
        Ok(ext4)
    }

    fn mount(&self) -> Result<(), String> {
        command("mount", &["-o", "loop"], &[&self.image, &self.mountpoint])
    }

    fn unmount(&self) -> Result<(), String> {
        // The loop device lets go a moment after its last user.
        let mut result = Ok(());
        for _ in 0..100 {
            result = command("umount", &[], &[&self.mountpoint]);
            if result.is_ok() {
                break;
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        result
    }

    /// A program that is ready to cut the power at a word.
    fn switch(&self) -> Switch {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/power_cut/shutdown.py");
        let mut program = Command::new("python3")
            .arg(program)
            .arg(&self.mountpoint)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(program.stdout.take().unwrap())
            .read_line(&mut ready)
            .unwrap();
        assert_eq!(ready, "ready\n");
        Switch(program)
    }
}

struct Switch(Child);

impl Switch {
    fn off(mut self) {
        writeln!(self.0.stdin.take().unwrap(), "now").unwrap();
        assert!(
            self.0.wait().unwrap().success(),
            "the file system was not shut down"
        );
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        let _ = self.unmount();
    }
}

fn command(program: &str, options: &[&str], paths: &[&Path]) -> Result<(), String> {
    let output = Command::new(program)
        .args(options)
        .args(paths)
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .output()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!(
            "{program} failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ))
    }
}

fn rounds() -> u64 {
    let rounds = std::env::var_os("POWER_CUT_ROUNDS");
    rounds.map_or(3, |rounds| {
        rounds
            .to_string_lossy()
            .parse()
            .expect("POWER_CUT_ROUNDS is a number")
    })
}

async fn replica(directory: &Path, engine: Engine) -> Replica {
    start(Arc::new(DiskStore::new(directory, engine).unwrap())).await
}

/// The process that is cut off, as a whole replica.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replica_writer() {
    let Some(directory) = std::env::var_os("POWER_CUT_DIRECTORY") else {
        return;
    };
    let engine = std::env::var_os("POWER_CUT_ENGINE").unwrap();
    let engine = ENGINES.iter().find(|(_, name)| *name == engine).unwrap().0;
    let replica = replica(Path::new(&directory), engine).await;
    replica.form("nobody:1").await.unwrap();
    let actor = Actor::operator("test");
    let founding = Change::Found(Box::new(state::testing::found()));
    replica.propose(actor.clone(), founding).await.unwrap();
    let mut output = std::io::stdout();
    writeln!(output, "\nopen").unwrap();
    let stop = std::env::var_os("POWER_CUT_STOP_AFTER");
    let stop = stop.map_or(u64::MAX, |stop| stop.to_string_lossy().parse().unwrap());
    for number in 0..stop {
        let written = replica.propose(actor.clone(), authorize(number)).await;
        if written.is_err() {
            return;
        }
        writeln!(output, "acked {number}").unwrap();
    }
}

/// Starts a replica on what is left: it leads, and every acknowledged hostname is
/// there with its events.
async fn check_replica(directory: &Path, engine: Engine, acked: u64) {
    let replica = replica(directory, engine).await;
    replica.barrier().await.unwrap();
    let state = replica.state().borrow().clone();
    for number in 0..=acked {
        let record = state
            .hostname(&shop(number))
            .unwrap_or_else(|| panic!("{number} of {acked} is gone"));
        let events = replica
            .events(&state::testing::host(&shop(number)), record)
            .unwrap();
        assert_eq!(events.len(), record.events as usize, "bodies of {number}");
    }
    replica.shutdown().await;
}

/// One round for each engine and number: `writer` on a file system of its own, cut off,
/// then `check`.
fn power_cuts(writer: &str, check: impl Fn(&Path, Engine, u64)) {
    for (engine, name) in ENGINES {
        for round in 0..rounds() {
            let directory = tempfile::tempdir().unwrap();
            let ext4 = match Ext4::new(directory.path()) {
                Ok(ext4) => ext4,
                Err(lacking) => {
                    say(&format!(
                        "\n*** SKIPPED: the power-cut test needs root, loop devices, mkfs.ext4 and python3 ***\n\
                         *** {lacking} ***\n"
                    ));
                    return;
                }
            };
            let data = ext4.mountpoint.join("data");
            let enough = 5 + round * 83 % 400;
            let switch = ext4.switch();
            let acked = run(&data, (name, writer), enough, |_| switch.off());
            ext4.unmount().unwrap();
            ext4.mount().unwrap();
            check(&data, engine, acked);
            say(&format!(
                "{writer} on {name}, round {round}: power cut after {acked} acknowledged, nothing lost"
            ));
        }
    }
}

/// Past the capture of the test's output: a skip is to be seen, and so are figures.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn wait<T>(task: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(task)
}

#[test]
fn a_power_cut_loses_nothing_acknowledged() {
    power_cuts("writer", check);
}

#[test]
fn a_power_cut_of_a_whole_replica_loses_nothing_acknowledged() {
    power_cuts("replica_writer", |data, engine, acked| {
        wait(check_replica(data, engine, acked));
    });
}

#[test]
fn a_killed_process_loses_nothing_acknowledged() {
    for (engine, name) in ENGINES {
        for round in 0..rounds() {
            let directory = tempfile::tempdir().unwrap();
            let enough = 3 + round * 61 % 300;
            let kill = |child: &mut Child| child.kill().unwrap();
            let acked = run(directory.path(), (name, "writer"), enough, kill);
            check(directory.path(), engine, acked);
            let directory = tempfile::tempdir().unwrap();
            let acked = run(directory.path(), (name, "replica_writer"), enough, kill);
            wait(check_replica(directory.path(), engine, acked));
        }
    }
}
