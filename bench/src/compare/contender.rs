//! A proxy that takes part: found, started on its core, ended with the run.

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::time::{Instant, sleep};

use super::peers;
use crate::{
    affinity,
    certificates::{Ca, HOST},
    load::{Load, Workload},
};

/// A proxy may take this long to answer for the first time.
const READY: Duration = Duration::from_secs(30);
/// How often it is asked.
const ASK: Duration = Duration::from_millis(50);

/// Where a run takes place.
pub(crate) struct Site {
    /// Configurations, and `certs` with the certificate.
    pub(crate) folder: PathBuf,
    /// Peers that are not on the PATH.
    pub(crate) tools: PathBuf,
    pub(crate) hostquorumd: PathBuf,
    pub(crate) origin: SocketAddr,
    /// Where proxies run.
    pub(crate) core: usize,
}

/// A running proxy. Dropping it ends it.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    version: String,
    process: Child,
    log: PathBuf,
}

/// How one is found and started.
pub(super) struct Entry {
    pub(super) name: &'static str,
    /// The file to look for; ours and the floor are known.
    pub(super) program: Program,
    /// What makes it tell its version.
    pub(super) version: &'static [&'static str],
    /// A run without it is none.
    pub(super) needed: bool,
    pub(super) arguments: fn(&Site, SocketAddr) -> Result<Vec<String>>,
}

pub(super) enum Program {
    Ours,
    This,
    Named(&'static str),
}

impl Site {
    pub(super) fn pem(&self) -> PathBuf {
        self.certs().join(format!("{HOST}.pem"))
    }

    pub(super) fn certs(&self) -> PathBuf {
        self.folder.join("certs")
    }

    /// Writes a configuration, and says where.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<String> {
        let path = self.folder.join(name);
        std::fs::write(&path, text)?;
        Ok(path.display().to_string())
    }

    fn find(&self, program: &Program) -> Option<PathBuf> {
        match program {
            Program::Ours => Some(self.hostquorumd.clone()).filter(|path| path.exists()),
            Program::This => std::env::current_exe().ok(),
            Program::Named(name) => {
                let path = std::env::var_os("PATH").unwrap_or_default();
                // Debian keeps some where only root's PATH leads.
                let more = [self.tools.clone(), "/usr/sbin".into()];
                std::env::split_paths(&path)
                    .chain(more)
                    .map(|folder| folder.join(name))
                    .find(|path| path.is_file())
            }
        }
    }
}

/// Starts those that are named (all, if none is). `quick`: without those that are not
/// installed.
#[expect(clippy::print_stderr, reason = "told to the person at the terminal")]
pub(super) fn start(site: &Site, only: &[String], quick: bool) -> Result<Vec<Contender>> {
    for name in only {
        ensure!(
            peers::ENTRIES.iter().any(|entry| entry.name == name),
            "there is no contender {name}"
        );
    }
    let mut contenders = Vec::new();
    for (place, entry) in (0..).zip(&peers::ENTRIES) {
        if !only.is_empty() && !entry.needed && !only.iter().any(|name| name == entry.name) {
            continue;
        }
        match site.find(&entry.program) {
            Some(program) => contenders.push(Contender::start(site, place, entry, &program)?),
            None if entry.needed && !(quick && matches!(entry.program, Program::Named(_))) => {
                bail!(
                    "{} is not installed: run scripts/install-bench-tools.sh",
                    entry.name
                )
            }
            None => eprintln!(
                "bench: SKIPPED: {} is not installed and takes no part; \
                 scripts/install-bench-tools.sh installs what can be had",
                entry.name
            ),
        }
    }
    Ok(contenders)
}

impl Contender {
    fn start(site: &Site, place: u8, entry: &Entry, program: &Path) -> Result<Self> {
        let address = free_address(place)?;
        let log = site.folder.join(format!("{}.log", entry.name));
        let output = File::create(&log)?;
        let mut command = Command::new(program);
        command
            .args((entry.arguments)(site, address)?)
            .current_dir(&site.folder)
            .env("HOME", &site.folder) // Caddy keeps things there
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        Ok(Self {
            name: entry.name,
            address,
            version: version(program, entry.version),
            process: on_core(site.core, command).with_context(|| entry.name.to_owned())?,
            log,
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Its name and version.
    pub(super) fn told(&self) -> (&'static str, String) {
        (self.name, self.version.clone())
    }

    /// Waits until it answers.
    pub(super) async fn ready(&mut self, ca: &Ca) -> Result<()> {
        let deadline = Instant::now() + READY;
        loop {
            let asked = Load::open(Workload::Handshake, self.address, ca).await;
            let Err(error) = asked else { return Ok(()) };
            let ended = self.process.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                return Err(error).with_context(|| format!("{} does not serve: {log}", self.name));
            }
            sleep(ASK).await;
        }
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        // Asked first: a master that is killed leaves its workers behind.
        if let Some(pid) = rustix::process::Pid::from_raw(self.process.id().cast_signed()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.process.wait();
    }
}

/// Starts a process on `core`: a child inherits where its thread is.
fn on_core(core: usize, mut command: Command) -> Result<Child> {
    let started = thread::spawn(move || -> Result<Child> {
        affinity::pin(core)?;
        Ok(command.spawn()?)
    });
    match started.join() {
        Ok(child) => child,
        Err(_) => bail!("the thread that starts it has panicked"),
    }
}

/// A port that nobody has at the moment, at an address of the contender's own: on one for
/// all, another could draw it for itself meanwhile, and share it (SO_REUSEPORT).
fn free_address(place: u8) -> Result<SocketAddr> {
    let own = Ipv4Addr::new(127, 0, 0, 2 + place);
    Ok(std::net::TcpListener::bind((own, 0))?.local_addr()?)
}

/// The first number with dots in what it says of itself.
fn version(program: &Path, arguments: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(arguments).output() else {
        return String::new();
    };
    let told = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&told)
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .find(|word| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()))
        .unwrap_or_default()
        .to_owned()
}
