//! What strikes a node at a failpoint.

use std::{fs, path::PathBuf, time::Duration};

use node::dev::process::NodeProcess;
use tokio::time::{Instant, sleep};

use crate::Cluster;

/// What happens at a failpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// The process ends at once.
    Kill(&'static str),
    /// The process stops, as by SIGSTOP.
    Stop(&'static str),
}

impl Blow {
    fn line(&self) -> String {
        match self {
            Self::Kill(point) => (*point).to_owned(),
            Self::Stop(point) => format!("stop {point}"),
        }
    }
}

/// Whether the process is stopped, by what the kernel says of it (proc(5)).
pub fn is_stopped(id: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // After the program's name in parentheses.
    stat.rsplit(") ")
        .next()
        .is_some_and(|rest| rest.starts_with('T'))
}

impl Cluster {
    /// Whichever node reaches the first of these failpoints is struck; then the next one
    /// is armed.
    pub fn arm(&self, blows: &[Blow]) {
        let lines: Vec<String> = blows.iter().map(Blow::line).collect();
        // Nobody is to read half of it.
        let whole = self.failpoint().with_extension("new");
        fs::write(&whole, lines.join("\n")).unwrap();
        fs::rename(whole, self.failpoint()).unwrap();
    }

    /// How many of the armed failpoints were not reached.
    pub fn armed(&self) -> usize {
        fs::read_to_string(self.failpoint()).map_or(0, |text| text.lines().count())
    }

    /// No failpoint is armed any more.
    pub fn disarm(&self) {
        // All may have been reached.
        let _ = fs::remove_file(self.failpoint());
    }

    /// The file that arms failpoints.
    pub(crate) fn failpoint(&self) -> PathBuf {
        self.dir().join("failpoint")
    }

    /// The place of a node that is stopped, waiting for one for `within`.
    pub async fn stopped(&self, within: Duration) -> usize {
        let deadline = Instant::now() + within;
        loop {
            let stopped = |node: &NodeProcess| node.id().is_some_and(is_stopped);
            if let Some(place) = self.nodes.iter().position(stopped) {
                return place;
            }
            assert!(Instant::now() < deadline, "no node stops within {within:?}");
            // Not `wait::until`: who cuts a road under a permit of 3 s is in a hurry.
            sleep(Duration::from_millis(1)).await;
        }
    }
}
