//! Real nodes for tests: separate processes on loopback, driven by the real CLI,
//! with certificates from the development CA or from Pebble.
//!
//! It knows no shortcut: a cluster is formed by `hostquorum cluster init`, nodes
//! join by token, and what is served is seen by TLS handshakes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on must stop where it is"
)]

pub mod admin;
pub mod balancer;
pub mod binaries;
pub mod blow;
pub mod ca;
pub mod cli;
pub mod cluster;
pub mod disk;
pub mod ext4;
pub mod faketime;
pub mod lan;
pub mod load;
pub mod machine;
pub mod options;
pub mod pebble;
pub mod road;
pub mod seat;
pub mod unbound;
pub mod wait;
pub mod writes;

pub use ::proto::admin::v1 as proto;
pub use blow::Blow;
pub use ca::{Ca, since_epoch};
pub use cli::{Cli, Said};
pub use cluster::Cluster;
pub use devca::{
    Agreement, Behaviour, Control, Endpoint, Fault, FinalizeRule, LookUpText, Mishap, NameServer,
};
pub use disk::{Disk, Failure};
pub use ext4::Ext4;
pub use faketime::Faketime;
pub use lan::Lan;
pub use load::Load;
pub use node::{
    dev::{process, request},
    failpoint::{ACCOUNT as ACCOUNT_FAILPOINTS, ORDER as FAILPOINTS},
};
pub use options::Options;
pub use road::Road;
pub use unbound::Transport;
pub use writes::Writers;
