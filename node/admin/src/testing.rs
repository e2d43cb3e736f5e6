//! Stand-ins for what `admin` stands on, for the tests of more than one crate.

use std::io::Write;

use proto::{admin::v1, backup::v1::Keys};
use state::{ClusterId, Index};

use crate::{BackupError, Backups, Heir, Stats};

/// Gives these bytes as a backup; takes nothing over.
#[derive(Clone, Debug, Default)]
pub struct Shelf(pub Vec<u8>);

impl Backups for Shelf {
    fn save(&self, mut output: Box<dyn Write + Send>) -> Result<Index, BackupError> {
        let written = output.write_all(&self.0).and_then(|()| output.flush());
        written.map_err(|error| BackupError::Output(error.to_string()))?;
        Ok(Index(7))
    }

    fn heir(&self, _: ClusterId, _: &Keys) -> Result<Box<dyn Heir>, BackupError> {
        Err(BackupError::NoRecipient)
    }
}

/// Has served what it is made with.
#[derive(Clone, Debug)]
pub struct Sums {
    served: Vec<v1::HostnameStats>,
    others: v1::HostnameStats,
}

impl Sums {
    /// Has served each of these hostnames, which are in the order of their names, so often,
    /// and all others together `others` times.
    pub fn new(hostnames: impl IntoIterator<Item = (String, u64)>, others: u64) -> Self {
        let served = hostnames.into_iter();
        Self {
            served: served
                .map(|(name, times)| served_as(&name, times))
                .collect(),
            others: served_as("-", others),
        }
    }

    /// All that it can tell, hostname by hostname, and of the others at the end.
    pub fn all(&self) -> Vec<v1::HostnameStats> {
        let others = std::iter::once(&self.others);
        self.served.iter().chain(others).cloned().collect()
    }
}

fn served_as(name: &str, requests: u64) -> v1::HostnameStats {
    v1::HostnameStats {
        name: format!("hostnames/{name}"),
        requests,
        requests_2xx: requests,
        ..v1::HostnameStats::default()
    }
}

impl Stats for Sums {
    fn counting(&self) -> v1::Counting {
        v1::Counting {
            node: 1,
            boot: "boot".to_owned(),
            ..v1::Counting::default()
        }
    }

    fn hostname(&self, hostname: &str) -> v1::HostnameStats {
        let none = served_as(hostname, 0);
        let found = self.served.iter().find(|stats| stats.name == none.name);
        found.cloned().unwrap_or(none)
    }

    fn others(&self) -> v1::HostnameStats {
        self.others.clone()
    }

    fn after(&self, last: &str, most: usize) -> Vec<v1::HostnameStats> {
        let last = format!("hostnames/{last}");
        let after = self.served.iter().filter(|stats| stats.name > last);
        after.take(most).cloned().collect()
    }

    fn top(&self, most: usize) -> Vec<v1::HostnameStats> {
        let mut all = self.served.clone();
        all.sort_by_key(|stats| std::cmp::Reverse(stats.requests));
        all.truncate(most);
        all
    }
}
