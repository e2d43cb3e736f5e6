//! One node of a hostquorum cluster: configuration, telemetry and the wiring of
//! the rooms.
//!
//! Domain decisions are not made here: each room owns its own, and this crate
//! joins their ends. `run` is one node's life; `dev` shows a whole cluster on
//! loopback; `bench` is the edge alone, to be measured; `doctor` looks at the machine.

mod abreast;
mod access_log;
mod backups;
pub mod bench;
mod bounds;
mod checks;
pub mod config;
pub mod data_dir;
pub mod dev;
pub mod doctor;
pub mod enter;
pub mod environment;
mod figures;
pub mod health;
mod inherited;
mod keys;
pub mod metrics;
mod on_demand;
pub mod recover;
mod run;
mod services;
pub mod socket;
mod stats;
pub mod telemetry;
mod verification;
mod wiring;

pub use inherited::Inherited;
pub use leader::failpoint;
pub use run::run;
