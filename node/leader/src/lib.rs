//! What only the leader does.
//!
//! The duties: accounts at the CAs, issuance, when certificates are renewed, revocation,
//! membership, the cluster's own certificates, bringing secrets under new data keys, and
//! clearing away what ended. Each is a
//! plan, which is a function of the replicated state, and an executor that is idempotent
//! and takes no other input: whoever leads next plans from the same state and goes on. [`Leader::start`] runs them while this node
//! leads, and cancels them when it does not.
//!
//! One certificate per name and period, whatever crashes (RFC 8555 as the CA's side):
//! - the private key is made and sealed, and each step committed, before the CA hears of
//!   it;
//! - what has an effect at the CA leaves this machine only under a permission that is
//!   checked right before the bytes are written ([`fence`]);
//! - a new leader reads an order from the CA before it goes on, and sends `finalize` again
//!   only when what its predecessor sent can no longer arrive.
//!
//! Which order begins when, at which CA and at what cost is decided by the [`scheduler`].
//!
//! Whose a name is, and whether an order for it can succeed, is judged by [`verification`]:
//! rules over what was seen, and the probes that look at DNS and HTTP from several places.
//!
//! This crate knows nothing of openraft, has no listening socket and reads no clock and no
//! configuration; of files it reads the system's trust roots only (and, with the feature
//! `failpoints`, one that a test writes). It never deactivates an authorization: Boulder
//! counts that as a failed validation.

mod account;
mod clocks;
pub mod config;
mod driver;
mod expiry;
pub mod failpoint;
pub mod fence;
mod identities;
pub mod issuance;
mod leaves;
mod ledger;
pub mod membership;
pub mod metrics;
mod ports;
mod reign;
mod renewal;
mod resealing;
mod revocation;
pub mod scheduler;
pub mod status;
pub mod verification;

pub use config::Config;
pub use driver::{Leader, Running};
pub use ports::Ports;
