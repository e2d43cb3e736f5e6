//! Runs simulations: each seed once, one line each.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use simulation::{REPEATABLE, Report, Scenario, run, shrink};
use tokio::time::Instant;
use tracing_subscriber::EnvFilter;

/// Runs the cluster under simulation. Exits with 1 if an invariant did not hold; the
/// events of such a run are kept in a file, and its scenario, made as small as it can be,
/// in another.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The first seed; everything random follows from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Milliseconds of virtual time with work and trouble.
    #[arg(long, default_value_t = 10_000)]
    steps: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// How many of them at a time.
    #[arg(long, default_value_t = 2)]
    jobs: u64,
    /// Instead: as many seeds as can be begun in so many minutes.
    #[arg(long, conflicts_with = "runs")]
    minutes: Option<u64>,
    /// Instead: the scenario in this file.
    #[arg(long, conflicts_with_all = ["seed", "steps", "runs", "minutes"])]
    replay: Option<PathBuf>,
    /// Begin no other seed once one violates.
    #[arg(long)]
    first: bool,
    /// How many runs a violating scenario may cost to be made smaller; 0: it is kept as it
    /// is.
    #[arg(long, default_value_t = 150)]
    shrink: u32,
    /// Where the events and scenarios of violating runs are written, an existing directory.
    #[arg(long, default_value = ".")]
    log_dir: PathBuf,
    /// Write the events of every run.
    #[arg(long)]
    log_all: bool,
    /// Show what the nodes log, as `info` or `leader=debug,consensus=info` say.
    #[arg(long)]
    trace: Option<String>,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(filter) = &arguments.trace {
        let filter = EnvFilter::try_new(filter).context("cannot read the filter")?;
        let format = tracing_subscriber::fmt().with_writer(io::stderr);
        format.with_env_filter(filter).without_time().init();
    }
    if !REPEATABLE {
        writeln!(
            io::stderr(),
            "warning: built without `--cfg tokio_unstable` (is RUSTFLAGS set?): seeds do not reproduce their runs"
        )?;
    }
    let runner = Runner {
        next: AtomicU64::new(arguments.seed),
        violations: AtomicU64::new(0),
        begun: Instant::now(),
        arguments,
    };
    match &runner.arguments.replay {
        Some(path) => {
            let text = fs::read_to_string(path);
            let text = text.with_context(|| format!("cannot read {}", path.display()))?;
            runner.run(text.parse().context("cannot read the scenario")?)?;
        }
        None => runner.run_all()?,
    }
    let violations = runner.violations.load(Ordering::Relaxed);
    Ok(ExitCode::from(u8::from(violations > 0)))
}

/// How long a run may take on this machine's clock; all take seconds.
const ENDS_WITHIN: Duration = Duration::from_secs(600);

/// Ends the program if what is returned is not dropped in time: where somebody goes on without
/// ever waiting, virtual time stands still and the run has no end.
#[expect(
    clippy::disallowed_methods,
    reason = "the thread that goes on for ever cannot be ended otherwise"
)]
fn watch(seed: u64) -> mpsc::Sender<()> {
    let (running, ended) = mpsc::channel();
    thread::spawn(move || {
        if ended.recv_timeout(ENDS_WITHIN) == Err(RecvTimeoutError::Timeout) {
            let minutes = ENDS_WITHIN.as_secs() / 60;
            let text = format!(
                "seed {seed} VIOLATION it has not ended in {minutes} minutes: somebody goes on without \
                 ever waiting, so that its time stands still (--trace shows who)"
            );
            let _unheard = say(&text);
            process::exit(1);
        }
    });
    running
}

struct Runner {
    arguments: Arguments,
    next: AtomicU64,
    violations: AtomicU64,
    begun: Instant,
}

impl Runner {
    /// All seeds, some at a time: each run keeps to its own thread.
    fn run_all(&self) -> anyhow::Result<()> {
        thread::scope(|scope| {
            let jobs = 0..self.arguments.jobs.max(1);
            let jobs: Vec<_> = jobs.map(|_| scope.spawn(|| self.work())).collect();
            let ended = jobs.into_iter().map(|job| job.join());
            ended.into_iter().try_for_each(|ended| {
                ended.unwrap_or_else(|_| Err(anyhow::anyhow!("a thread has panicked")))
            })
        })?;
        let first = self.arguments.seed;
        let done = self.next.load(Ordering::Relaxed) - first;
        let took = self.begun.elapsed().as_secs_f64();
        let text = format!(
            "seeds {first} to {}: {} violations in {took:.0} s, {:.0} seeds a minute",
            first + done.saturating_sub(1),
            self.violations.load(Ordering::Relaxed),
            60.0 * done as f64 / took.max(0.001)
        );
        say(&text)
    }

    fn work(&self) -> anyhow::Result<()> {
        while let Some(seed) = self.take() {
            self.run(Scenario::draw(seed, self.arguments.steps))?;
        }
        Ok(())
    }

    /// The next seed, if there is time or need for one more.
    fn take(&self) -> Option<u64> {
        if self.arguments.first && self.violations.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let wanted = match self.arguments.minutes {
            Some(minutes) if self.begun.elapsed() >= Duration::from_secs(minutes * 60) => 0,
            Some(_) => u64::MAX,
            None => self.arguments.seed.saturating_add(self.arguments.runs),
        };
        let next = |seed| (seed < wanted).then_some(seed + 1);
        let taken = self
            .next
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        taken.ok()
    }

    fn run(&self, scenario: Scenario) -> anyhow::Result<()> {
        let watched = watch(scenario.settings.seed);
        let report = run(&scenario).context("cannot simulate")?;
        drop(watched);
        let verdict = report.violation.as_ref().map_or_else(
            || "ok".to_owned(),
            |violation| format!("VIOLATION {violation}"),
        );
        let Report {
            seed,
            hash,
            ticks,
            tally,
            ..
        } = &report;
        let mut text = format!("seed {seed} hash {hash} ticks {ticks} {verdict} ({tally})");
        if report.violation.is_some() || self.arguments.log_all {
            let path = keep(&self.arguments.log_dir, &report)?;
            text.push_str(&format!("\n  events: {}", path.display()));
        }
        if report.violation.is_some() {
            self.violations.fetch_add(1, Ordering::Relaxed);
            text.push_str(&self.keep_scenario(scenario)?);
        }
        say(&text)
    }

    fn keep_scenario(&self, scenario: Scenario) -> anyhow::Result<String> {
        let seed = scenario.settings.seed;
        let name = format!("simulation-{seed}.scenario");
        let path = self.arguments.log_dir.join(name);
        let (mut kept, mut text) = (scenario.to_string(), String::new());
        if self.arguments.shrink > 0
            && let Some(shrunk) = shrink(scenario, self.arguments.shrink)?
        {
            kept = shrunk.scenario.to_string();
            if let Some(violation) = shrunk.report.violation {
                kept.insert_str(0, &format!("# {violation}\n"));
            }
            text = format!("\n  reduced in {} runs", shrunk.runs);
        }
        fs::write(&path, kept).with_context(|| format!("cannot write {}", path.display()))?;
        text.push_str(&format!("\n  scenario: {}", path.display()));
        Ok(text)
    }
}

fn say(text: &str) -> anyhow::Result<()> {
    writeln!(io::stdout().lock(), "{text}").context("cannot write")
}

/// Writes the events of a run to a file of its own.
fn keep(directory: &Path, report: &Report) -> anyhow::Result<PathBuf> {
    let path = directory.join(format!("simulation-{}.log", report.seed));
    let mut text = report.events.join("\n");
    text.push('\n');
    if let Some(violation) = &report.violation {
        text.push_str(&format!("seed {}: {violation}\n", report.seed));
    }
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
