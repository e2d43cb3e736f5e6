//! What the cluster agrees on.
//!
//! [`State`] is the replicated value: which hostnames are authorized and
//! proven, the CAs with our accounts and what they allow, every order in flight, every certificate, the members and the
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
//! - no order begins for a hostname that is not proven, or that a limit forbids;
//! - only a proof that names the tenant moves a hostname from another, and nothing is
//!   served anew before its claim is proven or after it was revoked;
//! - what is promised under a limit are the orders in flight;
//! - what is due is derived from the records and never stored;
//! - ids come from counters and are never used twice.
//!
//! This crate never reads a clock, a file or a socket, draws no random number and
//! has no runtime. The [`ports`] name what its neighbours offer each other.

pub mod actor;
pub mod apply;
pub mod authority;
pub mod backup;
pub mod bodies;
pub mod ca;
pub mod certificate;
pub mod challenge;
pub mod cluster;
pub mod codec;
pub mod command;
pub mod data_key;
pub mod due;
pub mod event;
pub mod forecast;
pub mod hostname;
pub mod id;
pub mod invitation;
pub mod ledger;
pub mod level;
pub mod machine;
pub mod member;
pub mod operator;
pub mod order;
pub mod outcome;
pub mod ownership;
pub mod ports;
pub mod reach;
pub mod reseal;
pub mod sealed;
pub mod tenant;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tickets;
pub mod timestamp;
pub mod traffic;
pub mod wants;
pub mod zone;

pub use actor::Actor;
pub use apply::{Changes, Write};
pub use authority::Authority;
pub use bodies::CertificateBody;
pub use ca::{AccountKey, Ca, CaName, CaSettings, ExternalAccount, Preset, Registration};
pub use certificate::{
    Certificate, CertificateId, ChainId, Reissue, Revocation, RevocationState, Source, Window,
};
pub use challenge::Challenge;
pub use cluster::{BackupOf, ClusterId, Epoch, Pause, Restored, Restoring};
pub use command::{Batch, Change, Command};
pub use data_key::{DataKey, HpkeSealed, KeyPurpose, Rotation};
pub use due::Due;
pub use event::{Event, EventKind};
pub use hostname::{CertificateRequest, Extra, Hostname, HostnameError, HostnameRecord, Standing};
pub use id::{Index, InvitationId, NodeId, OperatorId, OrderId, Term};
pub use invitation::{Invitation, Redemption, Role};
pub use ledger::{
    BLOCK_LONGEST, Bucket, BucketKey, Budget, Limit, LimitKind, LimitOverride, Share,
};
pub use level::FeatureLevel;
pub use machine::State;
pub use member::{IssuedCertificate, Member, Removed};
pub use operator::Operator;
pub use order::{Evidence, Failure, FailureClass, Order, Placed, Stage};
pub use outcome::{Done, Outcome, Refusal};
pub use ownership::{Contest, Ownership, OwnershipToken, Proof, ProofMethod, Tombstone};
pub use reseal::Holder;
pub use sealed::{Sealed, Secret};
pub use tenant::Tenant;
pub use tickets::TicketSecrets;
pub use timestamp::Timestamp;
pub use traffic::Traffic;
pub use wants::{Algorithms, ChallengeKind, KeyAlgorithm, Wants};
pub use zone::{
    DnsZone, Nameserver, Origin, OriginError, OriginProtocol, OriginScheme, OwnershipPolicy, Zone,
    ZoneSettings,
};
