//! An edge between real programs: hostile framings on their way to origins that people run,
//! and what clients that people use make of it. All programs are installed by
//! `scripts/install-peers.sh`; one that is missing fails its tests, for a peer that was not
//! asked has proven nothing.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on must stop where it is"
)]

mod clients;
mod edge;
mod frames;
mod framings;
mod messages;
mod origins;
mod witness;
