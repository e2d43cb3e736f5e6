//! A real daemon whose key KMS wraps, against moto.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

const REGION: &str = "eu-central-1";

/// How long anything may take that is waited for.
const WITHIN: Duration = Duration::from_secs(60);

fn kms(action: &str, body: &str) -> String {
    moto::ask("kms", REGION, &format!("TrentService.{action}"), body)
}

fn make_key() -> String {
    let made = kms("CreateKey", "{}");
    let (_, after) = made.split_once("\"Arn\": \"").unwrap();
    after.split_once('"').unwrap().0.to_owned()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

struct Node {
    root: tempfile::TempDir,
    health: SocketAddr,
}

impl Node {
    fn new(key: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let health = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut config = format!(
            "name = \"a\"\ndata_dir = \"data\"\n[key]\nkms = \"{key}\"\n[aws]\ncluster = \"edge\"\n\
             region = \"{REGION}\"\n[health]\nlisten = \"{health}\"\n"
        );
        for section in ["https", "http", "peer", "admin"] {
            let port = free_port();
            config.push_str(&format!("[{section}]\nlisten = \"127.0.0.1:{port}\"\n"));
        }
        fs::write(root.path().join("node.toml"), config).unwrap();
        Self { root, health }
    }

    /// Asks what it takes to be KMS at `endpoint`.
    fn start(&self, endpoint: &str) -> Running {
        let (id, secret) = moto::ACCESS_KEY;
        let child = Command::new(env!("CARGO_BIN_EXE_hostquorumd"))
            .arg("--config")
            .arg(self.root.path().join("node.toml"))
            .env("AWS_ACCESS_KEY_ID", id)
            .env("AWS_SECRET_ACCESS_KEY", secret)
            .env("AWS_ENDPOINT_URL_KMS", endpoint)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Running(Some(child))
    }

    /// Waits until `/readyz` says `what`.
    fn says(&self, what: &str) {
        let begun = Instant::now();
        let mut last = String::new();
        while begun.elapsed() < WITHIN {
            last = ready(self.health).unwrap_or_default();
            if last.contains(what) {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("/readyz does not say `{what}` but: {last}");
    }

    fn wrapped(&self) -> String {
        fs::read_to_string(self.data().join("wrapped-key.json")).unwrap()
    }

    fn data(&self) -> PathBuf {
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
struct Running(Option<Child>);

impl Running {
    /// Asked to end, it does, and well.
    fn stop(mut self) {
        let child = self.0.take().unwrap();
        let pid = child.id().to_string();
        assert!(Command::new("kill").arg(&pid).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// Ends by itself.
    fn ended(mut self) -> Output {
        let mut child = self.0.take().unwrap();
        let begun = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if begun.elapsed() > WITHIN {
                child.kill().unwrap();
                panic!("it goes on: {:?}", child.wait_with_output());
            }
            thread::sleep(Duration::from_millis(50));
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

#[test]
fn a_daemon_makes_its_key_once_and_does_not_start_without_it() {
    let key = make_key();
    let node = Node::new(&key);
    let running = node.start(moto::url());
    node.says("waiting for `hostquorum cluster init`");
    let wrapped = node.wrapped();
    assert!(wrapped.contains(&key), "{wrapped}");
    running.stop();

    let running = node.start(moto::url());
    node.says("waiting for `hostquorum cluster init`");
    assert_eq!(node.wrapped(), wrapped);
    running.stop();

    kms("DisableKey", &format!("{{\"KeyId\": \"{key}\"}}"));
    let output = node.start(moto::url()).ended();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    for part in [&key, "DisabledException", "Enable the key"] {
        assert!(told.contains(part), "{part} is not in: {told}");
    }
}

#[test]
fn a_start_waits_for_kms_and_can_be_ended_meanwhile() {
    let node = Node::new(&make_key());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let running = node.start(&format!("http://{address}"));
    node.says("waiting for KMS to open this node's key");
    running.stop();
    assert!(!node.data().join("wrapped-key.json").exists());
}
