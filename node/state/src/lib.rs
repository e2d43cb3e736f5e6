//! What the cluster agrees on.
//!
//! [`State`] is the replicated value: which hostnames are authorized, the ACME
//! account, every order in flight, every certificate, the members and the
//! invitations. It changes only by [`State::apply`], a function of the state, a
//! log index and a [`Command`]; it answers with an [`Outcome`] and the records to
//! write. Everything that is not derivable from the state (time, chance, keys) is
//! in the command before it enters the log, so that all replicas agree byte for
//! byte.
//!
//! Invariants, asserted where they are made:
//! - a hostname has at most one order in flight, and it is the one it names;
//! - an order's URL is written once, and a certificate is installed only for an
//!   open order whose finalization was intended;
//! - what is due is derived from the records and never stored;
//! - ids come from counters and are never used twice.
//!
//! This crate never reads a clock, a file or a socket, draws no random number and
//! has no runtime. The [`ports`] name what its neighbours offer each other.

pub mod account;
pub mod actor;
pub mod apply;
pub mod authority;
pub mod bodies;
pub mod certificate;
pub mod challenge;
pub mod cluster;
pub mod codec;
pub mod command;
pub mod data_key;
pub mod due;
pub mod event;
pub mod hostname;
pub mod id;
pub mod invitation;
pub mod machine;
pub mod member;
pub mod operator;
pub mod order;
pub mod outcome;
pub mod ports;
pub mod sealed;
#[cfg(feature = "testing")]
pub mod testing;
pub mod timestamp;
pub mod zone;

pub use account::{Account, Registration};
pub use actor::Actor;
pub use apply::{Changes, Write};
pub use authority::Authority;
pub use bodies::CertificateBody;
pub use certificate::{Certificate, CertificateId, ChainId};
pub use challenge::Challenge;
pub use cluster::{ClusterId, Epoch};
pub use command::{Batch, Change, Command};
pub use data_key::{DataKey, HpkeSealed, KeyPurpose};
pub use due::Due;
pub use event::{Event, EventKind};
pub use hostname::{Hostname, HostnameError, HostnameRecord, Standing};
pub use id::{Index, InvitationId, NodeId, OperatorId, OrderId, Term};
pub use invitation::{Invitation, Redemption, Role};
pub use machine::State;
pub use member::{IssuedCertificate, Member, Removed};
pub use operator::Operator;
pub use order::{Evidence, Failure, FailureClass, Order, Placed, Stage};
pub use outcome::{Done, Outcome, Refusal};
pub use sealed::{Sealed, Secret};
pub use timestamp::Timestamp;
pub use zone::{Origin, OriginError, OriginProtocol, OriginScheme, Zone};
