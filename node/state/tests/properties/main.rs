//! What holds of every history.
//!
//! Histories are drawn at random: steps that are resolved against the state they
//! meet (`step.rs`), so that most commands have an effect and many are refused,
//! and grouped into log entries (`history.rs`).

#![expect(clippy::expect_used, reason = "a test that cannot go on ends there")]

mod backup;
mod bytes;
mod history;
mod invariants;
mod ledger;
mod ownership;
mod reach;
mod replicas;
mod secrets;
mod served;
mod step;
