//! Several real replicas in one process: real disks, real gRPC over loopback.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests, not only tests, fail by panicking"
)]

#[path = "replicas/agreement.rs"]
mod agreement;
#[path = "replicas/disks.rs"]
mod disks;
#[path = "replicas/failover.rs"]
mod failover;
#[path = "replicas/load.rs"]
mod load;
#[path = "replicas/membership.rs"]
mod membership;
#[path = "replicas/network.rs"]
mod network;
#[path = "replicas/opening.rs"]
mod opening;
#[path = "replicas/reopening.rs"]
mod reopening;
#[path = "replicas/snapshots.rs"]
mod snapshots;
#[path = "replicas/store.rs"]
mod store;
#[path = "replicas/world.rs"]
mod world;
