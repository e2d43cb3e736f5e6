//! Instants as the CA keeps and shows them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment, in whole seconds since the Unix epoch, never later than the year 9999
/// (the last that RFC 3339 and X.509 can write).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub struct Timestamp(u64);

/// 9999-12-31T23:59:59Z.
const LATEST: u64 = 253_402_300_799;

impl Timestamp {
    /// The moment `seconds` after the Unix epoch; later than the year 9999 counts as its end.
    pub fn from_unix(seconds: u64) -> Self {
        Self(seconds.min(LATEST))
    }

    /// Whole seconds since the Unix epoch.
    pub fn as_unix(self) -> u64 {
        self.0
    }

    /// This moment moved later; fractions of a second are cut off.
    pub fn plus(self, span: Duration) -> Self {
        Self::from_unix(self.0.saturating_add(span.as_secs()))
    }

    /// This moment moved earlier, at most to the epoch.
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span.as_secs()))
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }

    pub(crate) fn date_time(self) -> OffsetDateTime {
        i64::try_from(self.0)
            .ok()
            .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl From<u64> for Timestamp {
    fn from(seconds: u64) -> Self {
        Self::from_unix(seconds)
    }
}

impl From<Timestamp> for u64 {
    fn from(timestamp: Timestamp) -> Self {
        timestamp.0
    }
}

impl fmt::Display for Timestamp {
    /// As RFC 3339, the form RFC 8555 asks for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.date_time().format(&Rfc3339).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_rfc_3339_and_stays_within_four_digit_years() {
        assert_eq!(Timestamp::from_unix(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(
            Timestamp::from_unix(u64::MAX).to_string(),
            "9999-12-31T23:59:59Z"
        );
        let moment = Timestamp::from_unix(1_000);
        assert_eq!(moment.plus(Duration::from_millis(1_999)).as_unix(), 1_001);
        assert_eq!(moment.minus(Duration::from_secs(2_000)).as_unix(), 0);
    }
}
