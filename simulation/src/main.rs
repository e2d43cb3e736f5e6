//! Runs simulations: each seed once, one line each.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use simulation::{Options, REPEATABLE, Report};

/// Runs the cluster under simulation. Exits with 1 if an invariant did not hold; the
/// events of such a run are kept in a file.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The first seed; everything random follows from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Milliseconds of virtual time with work and faults.
    #[arg(long, default_value_t = 10_000)]
    steps: u64,
    /// How many seeds, one after the other.
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// Where the events of violating runs are written, an existing directory.
    #[arg(long, default_value = ".")]
    log_dir: PathBuf,
    /// Write the events of every run.
    #[arg(long)]
    log_all: bool,
    /// Instead: certificates from the development CA while the leader crashes. Such
    /// runs end by themselves, keep no events, and are not the same each time.
    #[arg(long, conflicts_with_all = ["steps", "log_dir", "log_all"])]
    issuance: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut output = io::stdout().lock();
    if arguments.issuance {
        return issue(&arguments, &mut output);
    }
    if !REPEATABLE {
        writeln!(
            io::stderr(),
            "warning: built without `--cfg tokio_unstable` (is RUSTFLAGS set?): seeds do not reproduce their runs"
        )?;
    }
    let mut code = ExitCode::SUCCESS;
    for seed in (arguments.seed..).take(usize::try_from(arguments.runs)?) {
        let report = simulation::run(Options {
            seed,
            steps: arguments.steps,
        })
        .context("cannot simulate")?;
        let verdict = report.violation.as_ref().map_or_else(
            || "ok".to_owned(),
            |violation| format!("VIOLATION {violation}"),
        );
        let Report {
            hash, ticks, tally, ..
        } = &report;
        writeln!(
            output,
            "seed {seed} hash {hash} ticks {ticks} {verdict} ({tally})"
        )?;
        if report.violation.is_some() {
            code = ExitCode::from(1);
        }
        if report.violation.is_some() || arguments.log_all {
            let path = keep(&arguments.log_dir, &report)?;
            writeln!(output, "  events: {}", path.display())?;
        }
    }
    Ok(code)
}

/// Runs the other scenario, each seed once.
fn issue(arguments: &Arguments, output: &mut impl Write) -> anyhow::Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for seed in (arguments.seed..).take(usize::try_from(arguments.runs)?) {
        let issuance = simulation::issue(seed).context("cannot simulate")?;
        writeln!(output, "{issuance}")?;
        if issuance.violation.is_some() {
            code = ExitCode::from(1);
        }
    }
    Ok(code)
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
