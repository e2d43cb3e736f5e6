//! A daemon of one node, as a process.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};

pub(crate) const REGION: &str = "eu-central-1";

/// How long anything may take that is waited for.
pub(crate) const WITHIN: Duration = Duration::from_secs(60);

/// Of those that Linux gives to nobody by itself (`ip_local_port_range`): what is free now is
/// free still when the daemon binds it.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A daemon's files and addresses.
pub(crate) struct Node {
    root: tempfile::TempDir,
    health: SocketAddr,
    admin: String,
}

impl Node {
    pub(crate) fn new(name: &str, key: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let health = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut config = format!(
            "name = \"{name}\"\ndata_dir = \"data\"\n[key]\nkms = \"{key}\"\n[aws]\ncluster = \"edge\"\n\
             region = \"{REGION}\"\n[health]\nlisten = \"{health}\"\n\
             [edge]\nthreads = 1\nlame_duck = \"0s\"\ngrace = \"1s\"\n"
        );
        let admin = format!("127.0.0.1:{}", free_port());
        config.push_str(&format!("[admin]\nlisten = \"{admin}\"\n"));
        for section in ["https", "http", "peer"] {
            let port = free_port();
            config.push_str(&format!("[{section}]\nlisten = \"127.0.0.1:{port}\"\n"));
        }
        fs::write(root.path().join("node.toml"), config).unwrap();
        Self {
            root,
            health,
            admin,
        }
    }

    /// It meets others of `cluster` in the parameter store.
    pub(crate) fn meets(self, cluster: &str) -> Self {
        self.of(&format!("\"{cluster}\"\nparameters = true"));
        self
    }

    /// Its cluster is called otherwise; what follows may go on with the section.
    pub(crate) fn of(&self, cluster: &str) {
        let file = self.root.path().join("node.toml");
        let config = fs::read_to_string(&file).unwrap();
        let cluster = format!("cluster = {cluster}\n");
        fs::write(&file, config.replace("cluster = \"edge\"\n", &cluster)).unwrap();
    }

    /// host:port of its admin port.
    pub(crate) fn admin(&self) -> &str {
        &self.admin
    }

    /// AWS is at `endpoint`.
    pub(crate) fn start(&self, endpoint: &str) -> Running {
        let (id, secret) = moto::ACCESS_KEY;
        self.start_as(endpoint, &[id, secret])
    }

    /// With these credentials: an id, a secret and, if they are a role's, a token.
    pub(crate) fn start_as(&self, endpoint: &str, credentials: &[&str]) -> Running {
        let child = self
            .program(&[], endpoint, credentials)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Running(Some(child))
    }

    /// The doctor's line about the node's key.
    pub(crate) fn key_looked_at(&self, endpoint: &str) -> String {
        let (id, secret) = moto::ACCESS_KEY;
        let output = self.program(&["doctor"], endpoint, &[id, secret]).output();
        let said = String::from_utf8(output.unwrap().stdout).unwrap();
        let mut lines = said.lines();
        let line = lines.find(|line| line.split_whitespace().nth(1) == Some("key"));
        line.unwrap_or_else(|| panic!("{said}")).to_owned()
    }

    fn program(&self, command: &[&str], endpoint: &str, credentials: &[&str]) -> Command {
        let names = [
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
        ];
        let mut program = Command::new(env!("CARGO_BIN_EXE_hostquorumd"));
        program
            .args(command)
            .arg("--config")
            .arg(self.root.path().join("node.toml"))
            .envs(names.into_iter().zip(credentials))
            .env("AWS_ENDPOINT_URL", endpoint);
        program
    }

    /// Its admin port is another address of loopback, and the port of `other`'s: all machines of a
    /// cluster have the same.
    pub(crate) fn beside(mut self, other: &Self) -> Self {
        let (_, port) = other.admin.split_once(':').unwrap();
        let file = self.root.path().join("node.toml");
        let config = fs::read_to_string(&file).unwrap();
        let admin = format!("127.0.0.2:{port}");
        fs::write(&file, config.replace(&self.admin, &admin)).unwrap();
        self.admin = admin;
        self
    }

    /// Waits until `/readyz` says `what`.
    pub(crate) async fn says(&self, what: &str) {
        let begun = Instant::now();
        let mut last = String::new();
        while begun.elapsed() < WITHIN {
            last = ready(self.health).unwrap_or_default();
            if last.contains(what) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("/readyz does not say `{what}` but: {last}");
    }

    /// What KMS wrapped.
    pub(crate) fn wrapped(&self) -> String {
        fs::read_to_string(self.data().join("wrapped-key.json")).unwrap()
    }

    /// Its data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }
}

fn ready(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Ends with the test, whatever becomes of that.
pub(crate) struct Running(Option<Child>);

impl Running {
    /// Asked to end, it does, and well.
    pub(crate) fn stop(mut self) {
        let child = self.0.take().unwrap();
        let pid = child.id().to_string();
        assert!(Command::new("kill").arg(&pid).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// Waits until it has written a line with `words`; it is ended then.
    pub(crate) async fn says(mut self, words: &'static str) {
        let lines = BufReader::new(self.0.as_mut().unwrap().stderr.take().unwrap()).lines();
        let read = tokio::task::spawn_blocking(move || {
            let mut seen = Vec::new();
            for line in lines.map_while(Result::ok) {
                if line.contains(words) {
                    return None;
                }
                seen.push(line);
            }
            Some(seen)
        });
        let Ok(read) = timeout(WITHIN, read).await else {
            panic!("it does not say `{words}`")
        };
        let seen = read.unwrap();
        assert!(seen.is_none(), "it has ended without `{words}`: {seen:?}");
    }

    /// Ends by itself.
    pub(crate) async fn ended(mut self) -> Output {
        let mut child = self.0.take().unwrap();
        let begun = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if begun.elapsed() > WITHIN {
                child.kill().unwrap();
                panic!("it goes on: {:?}", child.wait_with_output());
            }
            sleep(Duration::from_millis(50)).await;
        }
        child.wait_with_output().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // It may have ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
