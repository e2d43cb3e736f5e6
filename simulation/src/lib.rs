//! The cluster under simulation: production replicas, one thread, virtual time.
//!
//! Three machines run the production crates `state` and `consensus` (openraft, gRPC
//! and all) over a simulated network and disks in memory that forget what was not
//! flushed. Operators' calls, a partition, a crash and a failing disk are drawn from a
//! seed. What clients were promised is kept outside of the cluster; after each step the
//! `invariants` are checked against it. At the end all faults are healed, and the
//! cluster must serve fresh writes and converge.
//!
//! **A seed is the whole bug report**: the same seed and steps give the same events,
//! in the same order, at the same times, in any process ([`Report::hash`]). For that,
//! everything random asks the seed (each part its own stream of it), maps are
//! ordered, and tokio is built so that its own chance can be seeded
//! ([`REPEATABLE`]).
//!
//! # Certificates
//!
//! [`issue`] is another scenario, with more of production in it: the leader's duties
//! obtain certificates of the development CA over simulated HTTPS while the leader
//! crashes. It has doubles of edge and cluster too. Its keys are real, so that the runs
//! of a seed are alike and not the same.
//!
//! # What it never does
//!
//! It changes nothing in the crates it drives and contains no part of them: a double
//! stands only for what is outside of the process (disk, network, clock, clients,
//! keys). It opens no socket; its only files are snapshots, in a directory that it
//! removes.

mod chance;
mod clock;
mod cluster;
mod digest;
mod disk;
mod events;
mod faults;
mod founding;
mod host;
mod invariants;
mod issuance;
mod liveness;
mod network;
mod operation;
mod oracle;
mod run;
mod stage;
mod tally;
mod views;
mod workload;

pub use digest::Digest;
pub use issuance::{Crash, Issuance, issue};
pub use run::{Options, Report, Violation, run};
pub use tally::Tally;

/// Whether a seed reproduces its run. tokio draws the order in which `select!` looks
/// at its branches, and the order in which a watch wakes its readers; it takes a seed
/// for that only when built with `--cfg tokio_unstable`, as this workspace's
/// `.cargo/config.toml` says. `RUSTFLAGS` in the environment replaces what stands
/// there. Without it the invariants are checked all the same, but a violation may
/// not come back.
pub const REPEATABLE: bool = cfg!(tokio_unstable);
