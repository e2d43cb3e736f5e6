//! The program as operators run it, against a node's API on loopback behind real
//! mutual TLS.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy allows them in functions marked as tests only; these serve tests"
)]

mod backups;
mod checks;
mod commands;
mod contexts;
mod entering;
mod exits;
mod eyes;
mod issuance;
mod node;
mod pki;
mod program;
mod reaching;
mod stats;
mod traffic;
