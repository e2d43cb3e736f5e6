//! What is shown: our own shapes, apart from the wire's, so that programs that
//! read them do not break when the API grows. Snapshots in the tests hold them.

pub(crate) mod backup;
pub(crate) mod ca;
pub(crate) mod certificate;
pub(crate) mod check;
pub(crate) mod cluster;
pub(crate) mod context;
pub(crate) mod hostname;
pub(crate) mod invitation;
pub(crate) mod ledger;
pub(crate) mod origin;
pub(crate) mod rotation;
pub(crate) mod stats;
pub(crate) mod traffic;
pub(crate) mod upgrade;
pub(crate) mod zone;

#[cfg(test)]
mod tests;

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// RFC 3339 in UTC, whole seconds; absent if the moment is, or cannot be.
pub(crate) fn moment(at: Option<&prost_types::Timestamp>) -> Option<String> {
    let moment = OffsetDateTime::from_unix_timestamp(at?.seconds).ok()?;
    moment.format(&Rfc3339).ok()
}

/// The last part of a resource's name.
pub(crate) fn id(name: &str) -> &str {
    name.split_once('/').map_or(name, |(_, id)| id)
}
