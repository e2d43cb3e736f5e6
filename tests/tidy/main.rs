//! What people agree on and forget: held by a test, so that reviews need not.
//!
//! Which crate may know which, that one table names all dependencies, whose
//! licences and what crates we take in, and what our files look like. Run by
//! `cargo tidy`. It reads the tree and runs `cargo metadata`; it changes nothing.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the tree ends there"
)]

mod arrows;
mod files;
mod licences;
mod links;
mod manifests;
mod observability;
mod teeth;
mod tree;

/// Fails with everything that is wrong, not with the first.
#[track_caller]
fn none(what: &str, wrong: Vec<String>) {
    assert!(wrong.is_empty(), "{what}:\n  {}", wrong.join("\n  "));
}
