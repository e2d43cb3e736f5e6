//! The development CA: an RFC 8555 ACME server over HTTPS, as a library.
//!
//! It is what `hostquorumd dev`, the end-to-end tests and the simulation obtain their
//! certificates from, so it is strict where public CAs are strict: signatures, nonces,
//! one-time authorizations, and an order that is finalized exactly once however many ask
//! at the same time. It counts what it did in a [`Ledger`], from which a test can tell
//! that one certificate was issued and not two.
//!
//! [`Server::start`] runs it on sockets. [`Core`] is the same CA without any: requests,
//! time and chance go in, answers, records and effects come out, so that a simulation can
//! drive it.
//!
//! ```text
//! connection ──Event──▶ engine ──▶ Core::handle ──▶ records ─▶ journal, flushed
//!                         ▲                         answer  ─▶ connection
//!                         └── validate, delay ◀──── effects
//! ```
//!
//! Validation is by http-01 and tls-alpn-01, at addresses and ports of the caller's choice
//! ([`Probing`]). Plain HTTP resources beside ACME: `/management/root` (PEM) and
//! `/management/ledger` (JSON).
//!
//! What it never does: issue for wildcards (it has no dns-01), reuse an authorization,
//! answer before what it answers is on disk, read a clock of its own, or break on purpose.
//! It publishes no revocation list; that a certificate is revoked shows in the ledger.
//! Nobody should trust its root beyond a developer's machine.

mod account;
mod authenticate;
mod authority;
mod authorization;
mod book;
mod certificate;
mod challenge;
mod config;
mod connection;
mod core;
mod csr;
mod engine;
mod entropy;
mod finalize;
mod identifier;
mod jwk;
mod jws;
mod key;
mod key_change;
mod ledger;
mod nonce;
mod order;
mod problem;
mod reply;
mod routes;
mod server;
mod step;
mod store;
mod timestamp;
mod validate;

pub use crate::account::{Account, AccountStatus};
pub use crate::authority::{Authority, AuthorityError, Keyring};
pub use crate::authorization::{Authorization, Proof};
pub use crate::book::Record;
pub use crate::certificate::{Certificate, Revocation};
pub use crate::config::{
    Clock, Config, ConfigError, DEFAULT_CERTIFICATE_VALIDITY, DEFAULT_ORDER_LIFETIME,
};
pub use crate::core::{Core, Policy};
pub use crate::csr::CertifiableKey;
pub use crate::entropy::{Entropy, SystemEntropy};
pub use crate::finalize::Finalization;
pub use crate::key::PublicKey;
pub use crate::ledger::{AccountEntry, CertificateEntry, Ledger, OrderEntry};
pub use crate::order::{Order, OrderStatus, Stage};
pub use crate::problem::{Identifier, Kind, Problem, Subproblem};
pub use crate::routes::ChallengeKind;
pub use crate::server::{Error, Running, Server};
pub use crate::step::{Effect, Step, Validation};
pub use crate::store::StoreError;
pub use crate::timestamp::Timestamp;
pub use crate::validate::{Agreement, Loopback, Probing, Reach, Resolve, SystemResolver, Vantage};
