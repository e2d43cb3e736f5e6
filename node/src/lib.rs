//! One node of a hostquorum cluster: configuration, telemetry and the wiring of
//! the rooms.
//!
//! Domain decisions are not made here: each room owns its own, and this crate
//! joins their ends.

pub mod config;
pub mod data_dir;
pub mod dev;
pub mod environment;
pub mod health;
pub mod metrics;
pub mod telemetry;
