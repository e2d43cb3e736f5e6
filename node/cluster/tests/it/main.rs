//! The cluster crate over real loopback sockets, with a state that agrees with
//! itself at once in place of Raft.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "these are tests, their helpers too"
)]

mod admin;
mod cloud;
mod joining;
mod links;
mod machines;
mod rest;
mod serving;
mod support;
mod tickets;
