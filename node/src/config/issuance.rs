//! The leader's work at the CAs.

use std::time::Duration;

use super::file::File;

/// The leader's work at the CAs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuance {
    /// Orders in flight at once.
    pub concurrency: u64,
    /// First wait after a failure; later ones are ten and a hundred times that,
    /// then daily.
    pub retry: Duration,
    /// How long a CA must be out before what cannot wait goes to the next by rank.
    pub fallback: Duration,
}

const SECTION: &str = "issuance";

impl Issuance {
    pub(super) fn read(file: &mut File<'_>) -> Self {
        let seconds = Duration::from_secs;
        let month = seconds(30 * 86_400);
        Self {
            concurrency: file.bounded(SECTION, "concurrency", 1..=1_000, 32),
            retry: file.bounded(SECTION, "retry", seconds(1)..=seconds(3600), seconds(60)),
            fallback: file.bounded(SECTION, "fallback", seconds(60)..=month, seconds(3600)),
        }
    }
}
