//! The development CA from outside: its rules without sockets, and its service to a real
//! ACME client over loopback.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on must stop where it stands"
)]

mod accounts;
mod bench;
mod chains;
mod client;
mod control;
mod dns;
mod external;
mod faults;
mod issuance;
mod limits;
mod orders;
mod profiles;
mod renewal;
mod requests;
mod restart;
mod reuse;
mod revocation;
mod signer;
mod site;
mod speed;
mod validation;
mod wildcards;
mod wires;
