//! Entering the cluster, by token or by what a cloud says of a machine: the half that asks and
//! the half that answers.

pub mod attempts;
pub mod machine;
pub mod newcomer;
mod reply;
pub mod sponsor;

pub use machine::{Asking, MachineError, ThisMachine, Vouch};
pub use newcomer::{JoinError, Newcomer, Right};
pub use sponsor::Sponsor;
