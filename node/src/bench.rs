//! `hostquorumd bench`: the edge alone on a folder of certificates, to be measured
//! beside other proxies.
//!
//! The edge is the one that nodes run. What it reads (a state, certificates' bodies,
//! keys under seal) is made in memory by the changes that operators propose; there is
//! no log, no peer and no disk behind it.

mod standalone;

use std::{
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use edge::{ChallengeSource, Edge, Inputs, Unreachable};
use state::{Hostname, Origin, State};
use tokio::sync::watch;

use self::standalone::Standalone;
use crate::{environment::SystemClock, run::Stop};

/// As many as by default.
const HOSTNAMES_COUNTED: usize = 50_000;
/// How long requests may take to end once it was asked to stop.
const GRACE: Duration = Duration::from_secs(5);

/// What `hostquorumd bench` was asked for.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Where TLS is served.
    #[arg(long, value_name = "IP:PORT")]
    pub listen: SocketAddr,
    /// Where requests go: a URL, or HOST:PORT for plain HTTP.
    #[arg(long, value_name = "ORIGIN")]
    pub origin: String,
    /// A folder with a file HOSTNAME.pem for each hostname: its certificate, then its
    /// issuers, and its private key.
    #[arg(long, value_name = "FOLDER")]
    pub certs: PathBuf,
}

/// Serves until it is asked to stop.
pub async fn run(options: &Options) -> Result<()> {
    let mut stop = Stop::listen()?;
    let mut alone = Standalone::found(&origin(&options.origin)?)?;
    let hostnames = hostnames(&options.certs)?;
    for (hostname, path) in &hostnames {
        let told = || path.display().to_string();
        let pem = std::fs::read_to_string(path).with_context(told)?;
        alone.bring(hostname, &pem).with_context(told)?;
    }
    // Held: an edge whose states have ended serves the last one, and says so.
    let (_states, states) = watch::channel(alone.state());
    let keyring = alone.keyring();
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    // One client makes all the load.
    let limits = edge::Limits {
        connections_each: None,
        rate_each: None,
        ..edge::Limits::default()
    };
    let edge = Edge::start(
        edge::Config {
            https: options.listen,
            http: SocketAddr::new(options.listen.ip(), 0),
            https_from: Vec::new(),
            http_from: Vec::new(),
            public_https_port: None,
            cores,
            origin_roots: None,
            limits,
            dns: None,
            hostnames_counted: HOSTNAMES_COUNTED,
            access_log: None,
            trace: edge::Trace::default(),
        },
        Inputs {
            states,
            reading: Arc::new(State::default()),
            bodies: Arc::new(alone.into_bodies()),
            seal: keyring.clone(),
            // None, as the others are told.
            tickets: watch::channel(None).1,
            clock: Arc::new(SystemClock),
            challenges: Arc::new(NoLeader),
            on_demand: None,
            reach: keyring,
            https: Vec::new(),
            http: Vec::new(),
            memory: Arc::new(|| 0),
            behind: Arc::new(|| false),
        },
    )?;
    tracing::info!(https = %edge.addresses().https, hostnames = hostnames.len(), threads = cores, "serving");
    stop.asked().await;
    edge.drain(GRACE).await;
    Ok(())
}

fn origin(text: &str) -> Result<Origin> {
    let url = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    url.parse().with_context(|| format!("the origin {text}"))
}

/// The hostnames of a folder, each with its file.
fn hostnames(folder: &Path) -> Result<Vec<(Hostname, PathBuf)>> {
    let told = || format!("the folder {}", folder.display());
    let mut hostnames = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(told)? {
        let path = entry.with_context(told)?.path();
        if path.extension().is_none_or(|extension| extension != "pem") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let hostname = Hostname::parse(&name);
        let hostname = hostname.with_context(|| format!("the name of {}", path.display()))?;
        hostnames.push((hostname, path));
    }
    ensure!(
        !hostnames.is_empty(),
        "{} holds no HOSTNAME.pem",
        folder.display()
    );
    hostnames.sort();
    Ok(hostnames)
}

/// Nobody to ask for a challenge: no CA validates here.
struct NoLeader;

#[async_trait]
impl ChallengeSource for NoLeader {
    async fn key_authorization(
        &self,
        _: &Hostname,
        _: Option<&str>,
    ) -> Result<Option<String>, Unreachable> {
        Err(Unreachable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_url_or_an_address() {
        let shown = |text| origin(text).map(|origin| origin.to_string()).ok();
        let plain = shown("http://127.0.0.1:80").unwrap();
        assert_eq!(shown("127.0.0.1:80"), Some(plain));
        assert!(shown("https://app.example:8443").is_some());
        assert_eq!(shown("no address"), None);
    }

    #[test]
    fn files_are_named_by_their_hostnames() {
        let folder = tempfile::tempdir().unwrap();
        assert!(hostnames(folder.path()).is_err());
        for name in ["b.example.pem", "a.example.pem", "notes.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let names: Vec<String> = hostnames(folder.path())
            .unwrap()
            .iter()
            .map(|(hostname, _)| hostname.to_string())
            .collect();
        assert_eq!(names, ["a.example", "b.example"]);
        std::fs::write(folder.path().join("no name.pem"), "").unwrap();
        assert!(hostnames(folder.path()).is_err());
    }
}
