//! HTTP: what a request must be, where it goes, and how it is sent on.

pub(crate) mod answer;
pub(crate) mod authority;
pub(crate) mod body;
pub(crate) mod challenge;
pub(crate) mod forward;
pub(crate) mod frames;
mod framing;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub(crate) mod headers;
pub(crate) mod lines;
mod patience;
pub(crate) mod plain;
pub mod route;
mod trailers;
mod tunnel;
