//! One node as a process of its own: its files, its ports, its life.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use super::request;

/// How often a process is looked at while it starts.
const POLL: Duration = Duration::from_millis(20);

/// The ports of a node on loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Customers' TLS.
    pub https: u16,
    /// Customers' clear text.
    pub http: u16,
    /// Members.
    pub peer: u16,
    /// Operators.
    pub admin: u16,
    /// Health and metrics.
    pub health: u16,
}

impl Ports {
    /// Five in a row.
    pub fn from(first: u16) -> Self {
        Self {
            https: first,
            http: first + 1,
            peer: first + 2,
            admin: first + 3,
            health: first + 4,
        }
    }
}

/// A node's folder: configuration, data, log; the key lies beside, not within.
#[derive(Clone, Debug)]
pub struct NodeFiles {
    /// What it is called.
    pub name: String,
    /// Its address: one of loopback's.
    pub ip: Ipv4Addr,
    /// Its ports.
    pub ports: Ports,
    /// `<dir>/<name>.toml`, `<dir>/<name>.log`, `<dir>/<name>/`, `<dir>/keys/<name>.key`.
    dir: PathBuf,
    extra: String,
}

impl NodeFiles {
    /// Writes the configuration of node `name` under `dir`. `extra` is more TOML,
    /// its sections not among those written here.
    pub fn write(
        dir: &Path,
        name: &str,
        ip: Ipv4Addr,
        ports: Ports,
        extra: &str,
    ) -> io::Result<Self> {
        let (name, dir, extra) = (name.to_owned(), dir.to_owned(), extra.to_owned());
        let files = Self {
            name,
            ip,
            ports,
            dir,
            extra,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(files.dir.join("keys"))?;
        fs::write(files.config(), files.text())?;
        Ok(files)
    }

    fn text(&self) -> String {
        let Ports {
            https,
            http,
            peer,
            admin,
            health,
        } = self.ports;
        let (name, ip) = (&self.name, self.ip);
        format!(
            "name = \"{name}\"\n\
             data_dir = \"{name}\"\n\
             [key]\nfile = \"keys/{name}.key\"\n\
             [https]\nlisten = \"{ip}:{https}\"\npublic_port = {https}\n\
             [http]\nlisten = \"{ip}:{http}\"\npublic_port = {http}\n\
             [peer]\nlisten = \"{ip}:{peer}\"\n\
             [admin]\nlisten = \"{ip}:{admin}\"\n\
             [health]\nlisten = \"{ip}:{health}\"\n\
             {}",
            self.extra
        )
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.dir.join(format!("{}.toml", self.name))
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.dir.join(&self.name)
    }

    /// The key-encryption key, outside of the data directory.
    pub fn key(&self) -> PathBuf {
        self.dir.join("keys").join(format!("{}.key", self.name))
    }

    /// What it wrote to standard error.
    pub fn log(&self) -> PathBuf {
        self.dir.join(format!("{}.log", self.name))
    }

    /// The Unix socket for `cluster init`.
    pub fn socket(&self) -> PathBuf {
        self.data().join("hostquorumd.sock")
    }

    /// Where it serves customers.
    pub fn https(&self) -> SocketAddr {
        (self.ip, self.ports.https).into()
    }

    /// Where it answers challenges.
    pub fn http(&self) -> SocketAddr {
        (self.ip, self.ports.http).into()
    }

    /// Where operators reach it.
    pub fn admin(&self) -> SocketAddr {
        (self.ip, self.ports.admin).into()
    }

    /// Where it tells its health.
    pub fn health(&self) -> SocketAddr {
        (self.ip, self.ports.health).into()
    }
}

/// A node that runs. Dropping it kills it.
#[derive(Debug)]
pub struct NodeProcess {
    /// Its files.
    pub files: NodeFiles,
    child: Child,
}

impl NodeProcess {
    /// Starts `program` on the node's configuration, with more arguments and
    /// environment. Its standard error goes to its log.
    pub fn start(
        program: &Path,
        files: &NodeFiles,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> io::Result<Self> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(files.log())?;
        let child = Command::new(program)
            .arg("--config")
            .arg(files.config())
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self {
            files: files.clone(),
            child,
        })
    }

    /// Waits until its health port answers `/livez`, or fails if it ends first.
    pub async fn live(&mut self, within: Duration) -> io::Result<()> {
        self.until("/livez", within).await
    }

    /// Waits until its edge serves.
    pub async fn ready(&mut self, within: Duration) -> io::Result<()> {
        self.until("/readyz", within).await
    }

    async fn until(&mut self, path: &str, within: Duration) -> io::Result<()> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Err(self.ended(&format!("ended ({status}) before {path} answered")));
            }
            if request::plain_status(self.files.health(), path)
                .await
                .is_ok_and(|status| status == 200)
            {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(
                    self.ended(&format!("did not answer {path} with 200 within {within:?}"))
                );
            }
            sleep(POLL).await;
        }
    }

    fn ended(&self, what: &str) -> io::Error {
        let log = fs::read_to_string(self.files.log()).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(5).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        let log = self.files.log();
        io::Error::other(format!(
            "{} {what}; its log {} ends:\n{}",
            self.files.name,
            log.display(),
            last.join("\n")
        ))
    }

    /// True if it ended, however it did.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Its process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = self
            .child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other(format!("{} has ended", self.files.name)))?;
        kill_process(pid, signal).map_err(io::Error::from)
    }

    /// Ends it as a power switch would, and waits for that.
    pub async fn kill(&mut self) -> io::Result<()> {
        self.child.kill().await
    }

    /// Asks it to drain and end; kills it after `grace`. Answers with its status.
    pub async fn stop(&mut self, grace: Duration) -> io::Result<ExitStatus> {
        if self.child.try_wait()?.is_none() {
            self.signal(Signal::TERM)?;
        }
        match timeout(grace, self.child.wait()).await {
            Ok(status) => status,
            Err(_) => {
                self.child.kill().await?;
                Err(io::Error::other(format!(
                    "{} did not end within {grace:?} and was killed",
                    self.files.name
                )))
            }
        }
    }

    /// Waits for it to end by itself.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }
}
