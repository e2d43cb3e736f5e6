//! Agreement: openraft behind the ports of `state`. (Doc completed with the replica.)
#![allow(dead_code)]

mod blocking;
mod fence;
mod identity;
mod log;
mod machine;
mod runtime;
mod snapshot;
pub mod store;
#[cfg(test)]
mod suite;
mod types;
mod wire;
mod writer;

pub use fence::Halt;
pub use identity::{Identity, IdentityError};
