//! The development CA from outside: its rules without sockets, and its service to a real
//! ACME client over loopback.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on must stop where it stands"
)]

mod accounts;
mod bench;
mod client;
mod issuance;
mod orders;
mod requests;
mod restart;
mod revocation;
mod signer;
mod site;
mod validation;
