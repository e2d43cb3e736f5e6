//! The real command line.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;

use crate::binaries;

/// `hostquorum` with contexts of its own.
#[derive(Clone, Debug)]
pub struct Cli {
    home: PathBuf,
    variables: Vec<(String, String)>,
}

/// What it said.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// Its standard output, if it ended with 0.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self.out
    }

    /// Its standard output as JSON, if it ended with 0.
    #[track_caller]
    pub fn json(self) -> serde_json::Value {
        let out = self.ok();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }
}

impl Cli {
    /// With its contexts under `home`.
    pub fn new(home: &Path) -> Self {
        Self {
            home: home.to_owned(),
            variables: Vec::new(),
        }
    }

    /// With more environment.
    #[must_use]
    pub fn with(&self, variables: &[(&str, &str)]) -> Self {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self {
            home: self.home.clone(),
            variables: variables.collect(),
        }
    }

    /// Where its contexts are.
    pub fn context(&self) -> PathBuf {
        self.home.join("config/hostquorum/contexts/default.toml")
    }

    /// Runs it with `arguments`.
    pub async fn run(&self, arguments: &[&str]) -> Said {
        let output = Command::new(binaries::path("hostquorum"))
            .args(arguments)
            .env("HOME", &self.home)
            .env("XDG_CONFIG_HOME", self.home.join("config"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .expect("hostquorum runs");
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs it with `arguments` and JSON output.
    pub async fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let mut all = arguments.to_vec();
        all.extend(["-o", "json"]);
        self.run(&all).await.json()
    }
}
