//! `hostquorumd doctor`: whether this machine is fit to run a node, and whether what the
//! node needs of others is there. It changes nothing that lasts; beside a running node it
//! asks that one by its local socket.

mod bundle;
mod cas;
mod cluster;
mod disk;
mod key;
mod listeners;
mod system;

use std::{fmt, path::Path, time::Duration};

use crate::config::Config;

/// How long one thing may take that is waited for.
const WITHIN: Duration = Duration::from_secs(5);

/// What was looked at, and what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub of: &'static str,
    /// Whether that is as it should be.
    pub verdict: Verdict,
    /// What was seen, and what to do about it if it is not.
    pub said: String,
}

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works, and somebody should look at it, or it could not be looked at.
    Odd,
    /// A node cannot work so, or not for long.
    Bad,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Good => "good",
            Self::Odd => "odd",
            Self::Bad => "BAD",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<5} {:<10} {}", self.verdict, self.of, self.said)
    }
}

impl Finding {
    fn good(of: &'static str, said: impl Into<String>) -> Self {
        Self::new(of, Verdict::Good, said)
    }

    fn odd(of: &'static str, said: impl Into<String>) -> Self {
        Self::new(of, Verdict::Odd, said)
    }

    fn bad(of: &'static str, said: impl Into<String>) -> Self {
        Self::new(of, Verdict::Bad, said)
    }

    fn new(of: &'static str, verdict: Verdict, said: impl Into<String>) -> Self {
        let said = said.into();
        Self { of, verdict, said }
    }
}

/// Looks at everything, one thing after the other, so that nothing is measured beside
/// something else. With `file`, the configuration's, also what somebody who is to help needs
/// to see.
pub async fn examine(config: &Config, file: Option<&Path>) -> (Vec<Finding>, Option<String>) {
    let mut found = disk::examine(&config.data_dir, config.raft.flush_limit);
    found.push(key::examine(config).await);
    let node = cluster::Node::reach(&config.data_dir).await;
    let process = node.as_ref().and_then(|node| node.process);
    found.extend(system::examine(config.edge.connections, process).await);
    found.extend(listeners::examine(config, node.is_some()).await);
    match &node {
        Some(node) => {
            found.extend(node.examine().await);
            found.extend(cas::examine(node).await);
        }
        None => found.push(Finding::odd(
            "cluster",
            "no node answers on the local socket: members and CAs were not looked at. Run this \
             again, as root, when the node runs",
        )),
    }
    let bundle = match file {
        Some(file) => Some(bundle::write(config, file, &found, node.as_ref()).await),
        None => None,
    };
    (found, bundle)
}
