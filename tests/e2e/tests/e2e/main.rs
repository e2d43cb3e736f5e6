//! A cluster of real processes, from the first command to the last crash. One
//! binary; the topics are modules.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on must stop where it is"
)]

mod backup;
mod certificate;
mod challenge;
mod crash;
mod disk;
mod doctor;
mod failover;
mod fence;
mod join;
mod observation;
mod on_demand;
mod operators;
mod pause;
mod recover;
mod renewal;
mod restart;
mod resumption;
mod rotation;
mod secrets;
mod traffic;
mod upgrade;
mod verification;
