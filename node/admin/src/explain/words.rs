//! Moments and spans of time in words.

use std::time::Duration;

use state::Timestamp;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// `2026-01-01T00:00:00Z`.
pub(crate) fn moment(at: Timestamp) -> String {
    i64::try_from(at.as_secs())
        .ok()
        .and_then(|secs| OffsetDateTime::from_unix_timestamp(secs).ok())
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_else(|| at.to_string())
}

/// `3 min`, in the largest unit of which there are two.
pub(crate) fn span(duration: Duration) -> String {
    let secs = duration.as_secs();
    match secs {
        0 => "less than a second".to_owned(),
        1..120 => format!("{secs} s"),
        120..7_200 => format!("{} min", secs / 60),
        7_200..172_800 => format!("{} h", secs / 3_600),
        _ => format!("{} days", secs / 86_400),
    }
}

/// `3 min ago`.
pub(crate) fn ago(then: Timestamp, now: Timestamp) -> String {
    format!("{} ago", span(now.since(then)))
}
