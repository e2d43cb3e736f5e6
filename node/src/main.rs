//! `hostquorumd`: one node of a cluster.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use manual::{Chapter, Manual};
use node::{
    Inherited, bench,
    config::{Config, Log, LogFormat},
    dev, doctor, recover, telemetry,
};
use state::ClusterId;

// Many small, short-lived pieces for each request. Not yet measured against the system's
// in one run.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One node of a hostquorum cluster: terminates TLS for your customers' hostnames,
/// proxies to your application, and agrees with its peers on certificates.
///
/// Exit codes: 0 asked to stop and drained; 1 failed while running; 2 wrong command
/// line; 78 wrong configuration.
#[derive(Parser)]
#[command(name = "hostquorumd", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

#[derive(Subcommand)]
enum Command {
    /// Check a configuration and tell all its faults at once.
    Validate {
        /// The configuration file.
        #[arg(long, default_value = DEFAULT_CONFIG, env = "HOSTQUORUM_CONFIG")]
        config: PathBuf,
    },
    /// Look whether this machine, and what a node needs of others, is as it should be:
    /// disk, clock, ports, and beside a running node its members and CAs. Ends with 1 if
    /// something is not.
    Doctor {
        /// The configuration file.
        #[arg(long, default_value = DEFAULT_CONFIG, env = "HOSTQUORUM_CONFIG")]
        config: PathBuf,
        /// Also write what somebody who is to help needs to see into this new file, without
        /// secrets: configuration, status, limits, metrics, the end of the log.
        #[arg(long, value_name = "FILE")]
        bundle: Option<PathBuf>,
    },
    /// Go on alone when a majority of the voters is lost for good. While this node is stopped.
    /// Without an id it only tells what this node has.
    Recover {
        /// The configuration file.
        #[arg(long, default_value = DEFAULT_CONFIG, env = "HOSTQUORUM_CONFIG")]
        config: PathBuf,
        /// The cluster's id: yes, the others are lost, and this node is to be the only voter.
        #[arg(long, value_name = "ID")]
        cluster_id: Option<ClusterId>,
    },
    /// A whole cluster on loopback, with a CA and an origin, to try and to show.
    Dev(dev::Options),
    /// The edge alone on a folder of certificates, to be measured; no cluster.
    Bench(bench::Options),
    /// Write the manual pages, one for each command.
    Man {
        /// Into which folder, such as /usr/local/share/man/man8.
        folder: PathBuf,
    },
}

#[derive(Args)]
struct Run {
    /// The configuration file.
    #[arg(long, default_value = DEFAULT_CONFIG, env = "HOSTQUORUM_CONFIG")]
    config: PathBuf,
    /// Join a cluster by the admin address (host:port) of one of its members. Not
    /// needed again once this node is a member.
    #[arg(
        long,
        requires = "token_file",
        value_name = "HOST:PORT",
        env = "HOSTQUORUM_JOIN"
    )]
    join: Option<String>,
    /// A file that holds a token of role `node`.
    #[arg(
        long,
        requires = "join",
        value_name = "FILE",
        env = "HOSTQUORUM_TOKEN_FILE"
    )]
    token_file: Option<PathBuf>,
}

const DEFAULT_CONFIG: &str = "/etc/hostquorum/hostquorum.toml";

/// What the manual says besides the definition.
const MANUAL: Manual<'static> = Manual {
    section: "8",
    chapters: &[Chapter {
        heading: "FILES",
        entries: &FILES,
    }],
    see_also: &[("hostquorum", "1")],
};

const FILES: [(&str, &str); 4] = [
    (DEFAULT_CONFIG, "The configuration"),
    (
        "/var/lib/hostquorum",
        "What is durable, where the configuration says so, as that of the package does",
    ),
    (
        "/var/lib/hostquorum/hostquorumd.sock",
        "Where administrators of this machine are answered",
    ),
    (
        "/etc/hostquorum-keys/node.key",
        "The key under which the node's own secrets are kept, likewise",
    ),
];

/// The configuration is wrong (`EX_CONFIG` of sysexits.h).
const WRONG_CONFIG: u8 = 78;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Fails only if it is called twice.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match arguments.command {
        Some(Command::Validate { config }) => match read(&config) {
            Ok(_) => ExitCode::SUCCESS,
            Err(code) => code,
        },
        Some(Command::Doctor { config, bundle }) => run_doctor(&config, bundle.as_deref()),
        Some(Command::Recover { config, cluster_id }) => run_recover(&config, cluster_id),
        Some(Command::Dev(options)) => run_dev(&options),
        Some(Command::Bench(options)) => run_bench(&options),
        Some(Command::Man { folder }) => write_manual(&folder),
        None => run(arguments.run),
    }
}

fn run(arguments: Run) -> ExitCode {
    let config = match read(&arguments.config) {
        Ok(config) => config,
        Err(code) => return code,
    };
    // Before there are threads.
    let inherited = match Inherited::take() {
        Ok(inherited) => inherited,
        Err(error) => return complain(&format!("{error:#}"), ExitCode::FAILURE),
    };
    let _log = telemetry::start(&config.log);
    let join = arguments.join.zip(arguments.token_file);
    match node::run(config, join, inherited) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Writes a file that is not there yet, for its owner only.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}

#[expect(clippy::print_stdout, reason = "this is what was asked for")]
fn run_doctor(file: &Path, bundle: Option<&Path>) -> ExitCode {
    let config = match read(file) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let wanted = bundle.map(|_| file);
    let examined = on_threads("error", async {
        Ok(doctor::examine(&config, wanted).await)
    });
    let (found, text) = match examined {
        Ok(examined) => examined,
        Err(error) => return complain(&format!("{error:#}"), ExitCode::FAILURE),
    };
    for finding in &found {
        println!("{finding}");
    }
    if let Some((path, text)) = bundle.zip(text)
        && let Err(error) = write_new(path, &text)
    {
        return complain(
            &format!("{} cannot be written: {error}", path.display()),
            ExitCode::FAILURE,
        );
    }
    let bad = found
        .iter()
        .any(|finding| finding.verdict == doctor::Verdict::Bad);
    ExitCode::from(u8::from(bad))
}

#[expect(clippy::print_stdout, reason = "this is what was asked for")]
fn run_recover(file: &Path, confirmed: Option<ClusterId>) -> ExitCode {
    let config = match read(file) {
        Ok(config) => config,
        Err(code) => return code,
    };
    // Some parts of the store look after themselves on a runtime.
    match on_threads("warn", recover::recover(&config, confirmed)) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => complain(&format!("{error:#}"), ExitCode::FAILURE),
    }
}

fn run_dev(options: &dev::Options) -> ExitCode {
    match on_threads("warn", dev::run(options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => complain(&format!("{error:#}"), ExitCode::FAILURE),
    }
}

fn run_bench(options: &bench::Options) -> ExitCode {
    match on_threads("info", bench::run(options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&format!("{error:#}"), ExitCode::FAILURE),
    }
}

fn write_manual(folder: &Path) -> ExitCode {
    match MANUAL.write(Arguments::command(), folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(
            &format!("{} cannot be written: {error}", folder.display()),
            ExitCode::FAILURE,
        ),
    }
}

/// Runs what needs no configuration.
fn on_threads<T>(filter: &str, task: impl Future<Output = Result<T>>) -> Result<T> {
    let _log = telemetry::start(&Log {
        format: LogFormat::Pretty,
        filter: filter.to_owned(),
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.context("no threads")?.block_on(task)
}

/// The configuration, or the exit code when its faults have been told.
fn read(path: &Path) -> std::result::Result<Config, ExitCode> {
    let wrong = ExitCode::from(WRONG_CONFIG);
    let text = std::fs::read_to_string(path).map_err(|error| {
        complain(
            &format!("{} cannot be read: {error}", path.display()),
            wrong,
        )
    })?;
    let base = std::path::absolute(path)
        .ok()
        .and_then(|path| path.parent().map(PathBuf::from))
        .unwrap_or_default();
    Config::parse(&text, &base).map_err(|faults| {
        for fault in faults {
            complain(&format!("{}: {fault}", path.display()), wrong);
        }
        wrong
    })
}

#[expect(
    clippy::print_stderr,
    reason = "told to the person at the terminal, before or without the log"
)]
fn complain(message: &str, code: ExitCode) -> ExitCode {
    eprintln!("hostquorumd: {message}");
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_holds_and_each_command_has_a_page() {
        let command = Arguments::command();
        command.clone().debug_assert();
        let folder = tempfile::tempdir().unwrap();
        MANUAL.write(command.clone(), folder.path()).unwrap();
        let page = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(page("hostquorumd.8").contains("HOSTQUORUM_TOKEN_FILE"));
        for inner in command.get_subcommands() {
            let page = page(&format!("hostquorumd-{}.8", inner.get_name()));
            assert!(page.contains("hostquorumd"), "{page}");
        }
    }
}
