//! Instants finer than the records': what is counted by the second or compared by order.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// A moment, in milliseconds since the Unix epoch.
///
/// Records keep whole seconds ([`Timestamp`]); limits by the second, and the question
/// whether two requests overlapped, need more.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Moment(u64);

impl Moment {
    /// The moment so many milliseconds after the Unix epoch.
    pub fn from_unix_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// The moment so long after the Unix epoch; fractions of a millisecond are cut off.
    pub fn since_epoch(elapsed: Duration) -> Self {
        Self(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
    }

    /// Milliseconds since the Unix epoch.
    pub fn as_unix_millis(self) -> u64 {
        self.0
    }

    /// The second this moment is in.
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_unix(self.0 / 1_000)
    }

    /// The Unix epoch itself, which stands for "not known" in old records.
    pub(crate) fn is_epoch(&self) -> bool {
        self.0 == 0
    }
}

impl From<Timestamp> for Moment {
    /// The first millisecond of a second.
    fn from(second: Timestamp) -> Self {
        Self(second.as_unix().saturating_mul(1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_seconds_agree() {
        let second = Timestamp::from_unix(1_800_000_000);
        assert_eq!(Moment::from(second).timestamp(), second);
        let within = Moment::since_epoch(Duration::from_micros(1_800_000_000_999_999));
        assert_eq!(within.as_unix_millis(), 1_800_000_000_999);
        assert_eq!(within.timestamp(), second);
    }
}
