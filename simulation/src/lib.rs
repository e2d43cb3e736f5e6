//! The cluster under simulation: production code, one thread, virtual time.
//!
//! Three to seven machines, and those that join later, run the production crates `state`,
//! `consensus` (openraft, gRPC and all), `leader` (with its own ACME client), `cluster`'s
//! serving set and `edge`'s view, over a simulated network and disks in memory that forget
//! what was not flushed. One more machine runs the development CA behind real TLS, another
//! answers DNS. What operators ask and what goes wrong is drawn from a seed, each seed its
//! own mixture. What clients were promised, and what the CA did, is kept outside of the
//! cluster; at each step the `invariants` are checked against it. At the end the troubles
//! stop, a random quorum alone must serve and obtain a certificate, and when the rest has
//! come back all must be alike.
//!
//! **A seed is the whole bug report**: the same seed and steps give the same events,
//! in the same order, at the same times, in any process ([`Report::hash`]). For that,
//! everything random that enters the model asks the seed (each part its own stream of it),
//! keys and certificates are signed so that they come out alike, maps are ordered, and
//! tokio is built so that its own chance can be seeded ([`REPEATABLE`]).
//!
//! A [`Scenario`] is what a seed draws, written down; one that violates an invariant can be
//! [reduced](shrink) to what matters, and run again.
//!
//! # Doubles
//!
//! Of what is outside of the process: disk, network, clock, clients, the customers' DNS. Of
//! inner rooms: the cluster's own CA and mutual TLS (here a machine's address proves who it
//! is), the seal, the edge's port 80, the wire format of DNS. TLS to the CA is real, and its
//! bytes are not part of the model.
//!
//! # What it never does
//!
//! It changes nothing in the crates it drives and contains no part of them. It opens no
//! socket; its only files are snapshots, in a directory that it removes.

mod balancer;
mod ca;
mod chance;
mod clock;
mod cluster;
mod deed;
mod desk;
mod diary;
mod digest;
mod disk;
mod dns;
mod events;
mod founding;
mod identities;
mod invariants;
mod keys;
mod links;
mod liveness;
mod machine;
mod network;
mod operation;
mod oracle;
mod port80;
mod post;
mod road;
mod roll;
mod run;
mod scenario;
mod seat;
mod shrink;
mod stage;
mod tally;
mod troubles;
mod views;
mod workload;

pub use digest::Digest;
pub use disk::Ailment;
pub use dns::Lie;
pub use post::Odds;
pub use run::{Report, Violation, run};
pub use scenario::{Call, Plague, Scenario, ScenarioError, Settings, Task, Trouble, Victim, Way};
pub use shrink::{Shrunk, shrink};
pub use tally::Tally;

/// Whether a seed reproduces its run. tokio draws the order in which `select!` looks
/// at its branches, and the order in which a watch wakes its readers; it takes a seed
/// for that only when built with `--cfg tokio_unstable`, as this workspace's
/// `.cargo/config.toml` says. `RUSTFLAGS` in the environment replaces what stands
/// there. Without it the invariants are checked all the same, but a violation may
/// not come back.
pub const REPEATABLE: bool = cfg!(tokio_unstable);
