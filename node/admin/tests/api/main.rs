//! The operators' API over real sockets, with a cluster of one replica behind it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy allows them in functions marked as tests only; these serve tests"
)]

mod audit;
mod checks;
mod cluster;
mod hostnames;
mod inputs;
mod invitations;
mod quorum;
mod roles;
mod stand;
mod watch;
mod zones;
