//! The program, run as a process of its own.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use enroll::{Context, Credential, OperatorRole};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::node::Node;

/// An operator's home.
pub(crate) struct Home {
    folder: TempDir,
}

/// What became of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// With a context of the founder's administrator.
    pub(crate) fn of_admin(node: &Node) -> Self {
        let home = Self::new();
        let credential = node.pki.credential(1, OperatorRole::Admin);
        home.write_context("default", vec![node.address.clone()], credential);
        home
    }

    pub(crate) fn write_context(&self, name: &str, addresses: Vec<String>, who: Credential) {
        let context = Context {
            addresses,
            name: "founder".to_owned(),
            role: "admin".to_owned(),
            credential: who,
        };
        context.write(&self.context(name)).unwrap();
    }

    pub(crate) fn context(&self, name: &str) -> PathBuf {
        self.path(&format!("contexts/{name}.toml"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) async fn run(&self, line: &str) -> Ran {
        self.run_with(line, "").await
    }

    /// Runs the program with these arguments and that on its standard input.
    pub(crate) async fn run_with(&self, line: &str, input: &str) -> Ran {
        let mut child = command(self.folder.path(), line).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A program that does not read it may be gone by then.
        let _unread = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = child.wait_with_output().await.unwrap();
        Ran {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

fn command(folder: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hostquorum"));
    command
        .args(line.split_whitespace())
        .env_clear()
        .env("HOSTQUORUM_CONFIG_DIR", folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

impl Ran {
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// What it showed as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn complains(&self, words: &str) {
        assert!(self.err.contains(words), "`{words}` is not in {self:?}");
    }
}

/// A node and its administrator's home.
pub(crate) async fn stand() -> (Arc<Node>, Home) {
    let node = Node::start().await;
    let home = Home::of_admin(&node);
    (Arc::new(node), home)
}
