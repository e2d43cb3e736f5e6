//! The operators' API over real sockets, with a cluster of one replica behind it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy allows them in functions marked as tests only; these serve tests"
)]

mod audit;
mod backups;
mod cas;
mod certificates;
mod checks;
mod claims;
mod cluster;
mod hostnames;
mod inputs;
mod inputs_of_claims;
mod inputs_of_issuance;
mod invitations;
mod ledger;
mod mill;
mod quorum;
mod roles;
mod stand;
mod stats;
mod traffic;
mod watch;
mod zones;
