//! The cluster as a whole: its id, whose term it is, and the counters.

use std::{fmt, str::FromStr};

use data_encoding::HEXLOWER;

use crate::{Actor, FeatureLevel, Index, NodeId, Term, Timestamp};

/// 128 random bits drawn when the cluster was formed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub [u8; 16]);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// A cluster id is 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cluster id is 32 lower-case hexadecimal digits")]
pub struct ClusterIdError;

impl FromStr for ClusterId {
    type Err = ClusterIdError;

    fn from_str(text: &str) -> Result<Self, ClusterIdError> {
        let bytes = HEXLOWER
            .decode(text.as_bytes())
            .map_err(|_| ClusterIdError)?;
        Ok(Self(bytes.try_into().map_err(|_| ClusterIdError)?))
    }
}

/// Whose duties count: a leader takes over by committing its term, and every
/// duty of an earlier term is refused from then on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epoch {
    /// How many takeovers there were.
    pub number: u64,
    /// The term of the leader that took over last.
    pub term: Term,
    /// That leader.
    pub node: NodeId,
    /// When it did.
    pub since: Timestamp,
}

/// Set once by `Found`, then only counted up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Who we are.
    pub id: ClusterId,
    /// What the names in customers' DNS are derived from: our id, or that of the first of
    /// the clusters that this one goes back to by backups. Their records hold on.
    pub names: ClusterId,
    /// When the cluster was formed.
    pub founded_at: Timestamp,
    /// Whose duties count.
    pub epoch: Epoch,
    /// The next ids to be drawn.
    pub counters: Counters,
    /// Present while nothing is issued.
    pub pause: Option<Pause>,
    /// Present if it began with a backup.
    pub restored: Option<Restored>,
    /// What all members understand.
    pub level: FeatureLevel,
}

/// What a backup is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupOf {
    /// Which cluster.
    pub cluster: ClusterId,
    /// What the names in its customers' DNS are derived from.
    pub names: ClusterId,
    /// Its last log entry that the backup has.
    pub index: Index,
    /// When it was taken.
    pub taken_at: Timestamp,
}

/// How a cluster came out of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Of what.
    pub of: BackupOf,
    /// Where this cluster's log was when it began: the claim of all hostnames that came along.
    pub claim: Index,
    /// How far it is.
    pub progress: Restoring,
}

/// How far a cluster is that began with a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restoring {
    /// Not all of the backup is there.
    Incomplete,
    /// All of it is there. What a CA did since the backup is not known, and the cluster that it
    /// is of may still be at work: nothing is issued before an operator says this cluster's id.
    Quarantined,
    /// An operator did.
    Released,
}

impl Restoring {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Incomplete, Self::Quarantined, Self::Released];

    /// Its name in the API and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::Quarantined => "quarantined",
            Self::Released => "released",
        }
    }

    /// By its name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|restoring| restoring.as_str() == text)
    }
}

/// An operator's word that nothing is to be issued for now: no order is begun, and none goes
/// on to where its CA would do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Whose word.
    pub by: Actor,
    /// Why, for whoever wonders.
    pub reason: String,
    /// From when on.
    pub since: Timestamp,
}

/// The next id of each kind; never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// The next member's.
    pub node: u64,
    /// The next order's.
    pub order: u64,
    /// The next invitation's.
    pub invitation: u64,
    /// The next operator's.
    pub operator: u64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            node: 1,
            order: 1,
            invitation: 1,
            operator: 1,
        }
    }
}
