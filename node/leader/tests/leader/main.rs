//! The leader from outside: whole leaders, one after the other or beside each other, over
//! a cluster of one replica, and a CA that is scripted, or real over loopback.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test that cannot go on must stop where it stands, and one that is skipped say so"
)]

mod accounts;
mod answers;
mod bench;
mod boulder;
mod ca;
mod certificates;
mod client;
mod crash;
mod development_ca;
mod doubles;
#[cfg(feature = "failpoints")]
mod failpoints;
mod faults;
mod fence;
mod late;
mod limits;
mod looks;
mod membership;
mod names;
mod offers;
mod pebble;
mod recorder;
mod registrar;
mod registration;
mod rehearsal;
mod renewal;
mod resealing;
mod takeover;
mod terms;
mod verification;
mod wire;
mod world;
