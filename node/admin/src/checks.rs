//! Who looks at hostnames' records for operators.

use async_trait::async_trait;
use proto::admin::v1;
use state::{Hostname, State, outcome::Kind};

/// Looks at hostnames' records, and knows what they are to be.
#[async_trait]
pub trait Checks: Send + Sync {
    /// Looks at `hostname` now, for the tenant that has it or the one that contests it.
    ///
    /// # Errors
    /// If there is no such hostname or contest, or too many looks are under way.
    async fn check(
        &self,
        state: &State,
        hostname: &Hostname,
        contest: bool,
    ) -> Result<v1::HostnameCheck, CheckError>;

    /// What is to be published for `hostname`; with `persist` for dns-persist-01 too.
    ///
    /// # Errors
    /// If there is no such hostname or contest.
    fn hostname_records(
        &self,
        state: &State,
        hostname: &Hostname,
        contest: bool,
        persist: bool,
    ) -> Result<v1::ListRecordsResponse, CheckError>;

    /// What the operator publishes for the zone.
    ///
    /// # Errors
    /// If a name of the zone is too long.
    fn zone_records(&self, state: &State) -> Result<v1::ListRecordsResponse, CheckError>;
}

/// Why nothing was looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// There is no such thing.
    #[error("there is no such {0}")]
    NotFound(Kind),
    /// Too many looks are under way.
    #[error("this node is looking at other hostnames; try again in a moment, or at another node")]
    Busy,
    /// The name allows no records below it.
    #[error("{0}")]
    Name(String),
}
