//! `hostquorum`: the command line of operators.
//!
//! It forms a cluster over the daemon's Unix socket, turns a token into an
//! identity, and afterwards speaks to the admin API of any node of the cluster
//! over mutual TLS, the cluster's root pinned. Each noun has its file; what goes
//! to people is made in `shape`, and how it ends is told in `exit`.
//!
//! It never takes a secret from its arguments, never shows a private key, keeps
//! keys in files of mode 0600 only, and never decides what the cluster should
//! decide: it asks, and tells what was answered.

mod arguments;
mod backups;
mod ca;
mod certificate;
mod check;
mod cluster;
mod complaint;
mod connect;
mod context;
mod exit;
mod hostname;
mod init;
mod issuance;
mod ledger;
mod login;
mod origin;
mod output;
mod rotation;
mod secret;
mod shape;
mod stats;
mod tokens;
mod traffic;
mod zone;

use std::{
    ffi::OsString,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::{CommandFactory, Parser};

use arguments::{Arguments, Command};
use context::Contexts;
use exit::Exit;
use manual::{Chapter, Manual};
use output::Output;

/// What the manual says besides the definition.
const MANUAL: Manual<'static> = Manual {
    section: "1",
    chapters: &[
        Chapter {
            heading: "EXIT STATUS",
            entries: &exit::CODES,
        },
        Chapter {
            heading: "FILES",
            entries: &FILES,
        },
    ],
    see_also: &[("hostquorumd", "8")],
};

const FILES: [(&str, &str); 2] = [
    (
        "~/.config/hostquorum/contexts",
        "A file for each cluster: its nodes, its root, and your key and certificate",
    ),
    (
        "/var/lib/hostquorum/hostquorumd.sock",
        "The socket of the daemon of this machine",
    ),
];

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nobody is left to tell if that fails.
            let _unheard = error.print();
            let asked_for_help = !error.use_stderr();
            return if asked_for_help {
                Exit::Done
            } else {
                Exit::Error
            }
            .into();
        }
    };
    match start(arguments) {
        Ok(exit) => exit,
        Err(error) if is_broken_pipe(&error) => Exit::Done,
        Err(error) => {
            let _unheard = writeln!(io::stderr(), "{}", complaint::text(&error));
            complaint::exit(&error)
        }
    }
    .into()
}

fn start(arguments: Arguments) -> Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(arguments))
}

async fn run(arguments: Arguments) -> Result<Exit> {
    let Arguments { globals, command } = arguments;
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let folder = folder(
        globals.config_dir.clone(),
        variable("XDG_CONFIG_HOME"),
        variable("HOME"),
    );
    let contexts = Contexts::new(folder);
    let mut output = Output::new(globals.output, Box::new(io::stdout()));
    match command {
        Command::Cluster(command) => cluster::run(command, &globals, &contexts, &mut output).await,
        Command::Login(login) => login::run(login, &globals, &contexts, &mut output).await,
        Command::Context(command) => context::run(command, &globals, &contexts, &mut output),
        Command::Hostname(command) => {
            hostname::run(command, &globals, &contexts, &mut output).await
        }
        Command::Origin(command) => origin::run(command, &globals, &contexts, &mut output).await,
        Command::Zone(command) => zone::run(command, &globals, &contexts, &mut output).await,
        Command::Ca(command) => ca::run(command, &globals, &contexts, &mut output).await,
        Command::Ledger(command) => ledger::run(command, &globals, &contexts, &mut output).await,
        Command::Issuance(command) => {
            issuance::run(command, &globals, &contexts, &mut output).await
        }
        Command::Certificate(command) => {
            certificate::run(command, &globals, &contexts, &mut output).await
        }
        Command::Stats(asked) => stats::run(asked, &globals, &contexts, &mut output).await,
        Command::Backup(command) => backups::run(command, &globals, &contexts, &mut output).await,
        Command::Token(command) => tokens::run(command, &globals, &contexts, &mut output).await,
        Command::Completion { shell } => {
            let mut command = Arguments::command();
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, "hostquorum", &mut script);
            io::stdout().write_all(&script)?;
            Ok(Exit::Done)
        }
        Command::Man { folder } => {
            MANUAL
                .write(Arguments::command(), &folder)
                .with_context(|| folder.display().to_string())?;
            Ok(Exit::Done)
        }
    }
}

/// Where contexts are kept: as told, else after the XDG base directories.
fn folder(told: Option<PathBuf>, xdg: Option<OsString>, home: Option<OsString>) -> PathBuf {
    told.or_else(|| xdg.map(|base| PathBuf::from(base).join("hostquorum")))
        .or_else(|| home.map(|home| PathBuf::from(home).join(".config/hostquorum")))
        .unwrap_or_else(|| PathBuf::from(".hostquorum"))
}

/// The reader of our output left, as `head` does: no fault.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_kept_where_the_system_keeps_such_things() {
        let os = |text: &str| Some(OsString::from(text));
        let path = |text: &str| PathBuf::from(text);
        assert_eq!(
            folder(Some(path("/told")), os("/xdg"), os("/home/a")),
            path("/told")
        );
        assert_eq!(
            folder(None, os("/xdg"), os("/home/a")),
            path("/xdg/hostquorum")
        );
        assert_eq!(
            folder(None, None, os("/home/a")),
            path("/home/a/.config/hostquorum")
        );
        assert_eq!(folder(None, None, None), path(".hostquorum"));
    }
}
