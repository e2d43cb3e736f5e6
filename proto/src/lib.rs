//! What travels between processes: the admin API (`admin.v1`), how nodes and
//! operators enter (`cluster.v1`), what members say to each other (`peer.v1`), and what is in
//! a backup (`backup.v1`).
//!
//! The code under `src/generated` is committed, so that building needs no
//! protoc; `tests/generate.rs` holds it to the `.proto` files. This crate has no
//! behaviour: conversions live with those who own the domain.

mod redacted;

/// The operators' API.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::use_self,
    unused_qualifications,
    elided_lifetimes_in_paths
)]
pub mod admin {
    /// Version 1.
    pub mod v1 {
        include!("generated/hostquorum.admin.v1.rs");
    }
}

/// What is in a backup.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::use_self,
    unused_qualifications,
    elided_lifetimes_in_paths
)]
pub mod backup {
    /// Version 1.
    pub mod v1 {
        include!("generated/hostquorum.backup.v1.rs");
    }
}

/// Forming and entering a cluster.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::use_self,
    unused_qualifications,
    elided_lifetimes_in_paths
)]
pub mod cluster {
    /// Version 1.
    pub mod v1 {
        include!("generated/hostquorum.cluster.v1.rs");
    }
}

/// What members say to each other.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::use_self,
    unused_qualifications,
    elided_lifetimes_in_paths
)]
pub mod peer {
    /// Version 1.
    pub mod v1 {
        include!("generated/hostquorum.peer.v1.rs");
    }
}

/// The encoded `FileDescriptorSet` of all of them, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!("generated/descriptors.bin");
