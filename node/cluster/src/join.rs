//! Entering the cluster by token: the half that asks and the half that answers.

pub mod attempts;
pub mod newcomer;
mod reply;
pub mod sponsor;

pub use newcomer::{JoinError, Newcomer};
pub use sponsor::Sponsor;
