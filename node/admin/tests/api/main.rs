//! The operators' API over real sockets, with a cluster of one replica behind it.

mod audit;
mod cluster;
mod hostnames;
mod inputs;
mod invitations;
mod quorum;
mod roles;
mod stand;
mod watch;
mod zones;
