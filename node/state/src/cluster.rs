//! The cluster as a whole: its id, whose term it is, and the counters.

use std::{fmt, str::FromStr};

use data_encoding::HEXLOWER;

use crate::{Actor, NodeId, Term, Timestamp};

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
    /// When the cluster was formed.
    pub founded_at: Timestamp,
    /// Whose duties count.
    pub epoch: Epoch,
    /// The next ids to be drawn.
    pub counters: Counters,
    /// Present while nothing is issued.
    pub pause: Option<Pause>,
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
