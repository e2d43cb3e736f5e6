//! The development CA: an RFC 8555 ACME server over HTTPS, as a library; and the CA on
//! which issuance is rehearsed, because it can behave as Let's Encrypt's does, and break.
//!
//! It is what `hostquorumd dev`, the end-to-end tests and the simulation obtain their
//! certificates from, so it is strict where public CAs are strict: signatures, nonces,
//! one-time authorizations, and an order that is finalized exactly once however many ask
//! at the same time. It counts what it did in a [`Ledger`], from which a test can tell
//! that one certificate was issued and not two, and when each finalization came and was
//! through; every POST is in a log of its own ([`Core::posts`]).
//!
//! Three values say how it differs from that plain self. All are off at first, and can be
//! changed while it runs, by a [`Control`] or, from another process, by JSON over a
//! listener of its own ([`Config::control`]):
//!
//! - [`Behaviour`]: what Boulder is known to do. Orders and proofs that are used again (with
//!   the order that shadows others), renewal information and `replaces` (RFC 9773),
//!   profiles, external account binding, dns-01 and wildcards, alternate chains, slowness;
//!   and two certificates from simultaneous finalizations, as Pebble 2.4 makes them.
//!   [`Behaviour::boulder`] has them together.
//! - [`Limits`], a part of it: Let's Encrypt's table as buckets on the given clock, with
//!   its exemptions, `Retry-After` and paused names. [`limits::Meter`] is usable alone.
//! - [`Fault`]: requests that are refused, answered wrongly, cut off or never answered, by
//!   endpoint, count or chance; certificates and chains that are not right.
//!
//! From another process, as JSON over plain HTTP:
//!
//! ```text
//! GET|PUT|PATCH /behaviour      the whole value; PATCH merges (RFC 7396)
//! GET|POST|DELETE /faults       those in force; POST adds one, DELETE ends all
//! POST /commands                one Command: an order made invalid, a certificate revoked
//! POST /unpause/{account}       how many names go on
//! GET /ledger, /posts           what it did; every POST that it got
//! GET /duplicates/{seconds}     sets with certificates less than so far apart
//! GET /overlaps                 finalizations that came while another was under way
//! ```
//!
//! What it does without any of them is held equal to Pebble by one suite for both
//! (`tests/harness/tests/base`).
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
//! Validation is by http-01, tls-alpn-01 and, where it is switched on, dns-01, at
//! addresses, ports and a DNS server of the caller's choice ([`Probing`]). Plain resources
//! beside ACME: `/management/root` (PEM) and `/management/ledger` (JSON).
//!
//! What it never does: answer before what it answers is on disk, read a clock of its own,
//! or misbehave unless it was told to. What was spent of limits, who is paused, the log of
//! POSTs and alternate roots are in memory only. It checks no CAA, publishes no revocation
//! list (that a certificate is revoked shows in the ledger and in its renewal window), and
//! logs to no transparency log.
//!
//! It is not for production, and cannot be made so: its keys are plain files, whoever
//! reaches its control commands it, and it proves nothing to anybody who was not told to
//! trust it. Nobody should trust its root beyond a developer's machine.

mod account;
mod authenticate;
mod authority;
mod authorization;
mod behaviour;
mod book;
mod certificate;
mod challenge;
mod command;
mod config;
mod connection;
mod control;
mod core;
mod csr;
mod endpoint;
mod engine;
mod entropy;
mod external;
mod fault;
mod finalize;
mod identifier;
mod jwk;
mod jws;
mod key;
mod key_change;
mod ledger;
pub mod limits;
mod mistreat;
mod moment;
mod new_order;
mod nonce;
mod order;
mod page;
mod post;
mod problem;
mod refusal;
mod renewal;
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
pub use crate::behaviour::{Behaviour, FinalizeRule, Profile, RenewalInfo, Window};
pub use crate::book::Record;
pub use crate::certificate::{Certificate, Revocation};
pub use crate::command::{Command, CommandError};
pub use crate::config::{
    Clock, Config, ConfigError, DEFAULT_CERTIFICATE_VALIDITY, DEFAULT_ORDER_LIFETIME, PreciseClock,
};
pub use crate::control::Control;
pub use crate::core::{Core, Policy};
pub use crate::csr::CertifiableKey;
pub use crate::endpoint::Endpoint;
pub use crate::entropy::{Entropy, SystemEntropy};
pub use crate::external::{ExternalAccount, ExternalAccounts};
pub use crate::fault::{ChainFault, Disruption, Fault, FaultReport, Mishap, RetryAfter, Spoil};
pub use crate::finalize::Finalization;
pub use crate::key::PublicKey;
pub use crate::ledger::{AccountEntry, CertificateEntry, Duplicate, Ledger, OrderEntry};
pub use crate::limits::{Limit, Limits};
pub use crate::moment::Moment;
pub use crate::order::{Order, OrderStatus, Stage};
pub use crate::post::Post;
pub use crate::problem::{Identifier, Kind, Problem, Subproblem};
pub use crate::routes::ChallengeKind;
pub use crate::server::{Error, Running, Server};
pub use crate::step::{Caller, Effect, Step, Validation};
pub use crate::store::StoreError;
pub use crate::timestamp::Timestamp;
pub use crate::validate::{
    Agreement, LookUpText, Loopback, NameServer, Probing, Reach, Resolve, SystemResolver, Vantage,
};
