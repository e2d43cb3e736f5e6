//! One node of a hostquorum cluster: configuration, telemetry and the wiring of
//! the rooms.
//!
//! Domain decisions are not made here: each room owns its own, and this crate
//! joins their ends.

pub mod config;
pub mod environment;
