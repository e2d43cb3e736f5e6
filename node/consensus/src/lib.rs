//! Agreement: openraft behind the ports of `state`.
//!
//! A [`Replica`] keeps this node's copy of the log and the state, takes part in
//! electing a leader, and is the door through which changes enter. What comes out is a
//! watched [`state::State`], a watched leadership and the bodies on disk. One that is only
//! begun ([`Replica::begin`]) lets single hostnames be looked up while it reads the rest.
//!
//! # The order of durability
//!
//! A vote, an entry or an applied batch is fdatasynced before anybody is told of it
//! ([`store`]). An entry is acknowledged by a follower when it is on the follower's
//! disk; a proposal is answered when a quorum has it, this node has applied it, and the
//! applied batch is on this node's disk. A snapshot is complete when its file has its
//! final name, and installed when the pointer to the new generation is switched.
//!
//! # How it stops, and goes on
//!
//! A disk that fails, fills or hangs for 2 s, a log entry that this version does not
//! know, a database that came back empty: each stops the replica ([`Halt`]), never
//! the process. Its links fall silent at once, so that the others elect; the last
//! published state stays, and bodies that its own store cannot give are read from
//! another member. Once the disk takes writes again, the store is opened anew and the
//! same [`Replica`] runs on (`reopening` says why that is safe); what another version
//! or an operator must mend stays down.
//!
//! # What it never does
//!
//! It decides nothing of the domain, knows no key and no certificate, authenticates no
//! connection (see [`Dial`] and [`PeerIdentity`]), and forms no cluster by itself. No
//! type of openraft, sled, redb or tonic's client leaves it.

mod acks;
mod blocking;
mod bodies;
mod compaction;
mod config;
mod elsewhere;
mod export;
mod fence;
mod forward;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod guard;
mod handover;
mod identity;
mod leadership;
mod life;
mod log;
mod machine;
mod members;
mod queue;
mod recovery;
mod reopening;
mod replica;
mod run;
mod runtime;
mod snapshot;
mod snapshot_receiver;
mod startup;
pub mod store;
#[cfg(test)]
mod suite;
#[cfg(feature = "testing")]
pub mod testing;
mod transport;
mod types;
mod wire;
mod writer;

pub use config::Config;
pub use fence::Halt;
pub use identity::{Identity, IdentityError};
pub use recovery::{Survey, Survivor};
pub use replica::{Figures, FormError, Opening, Parts, Replica, StartError};
pub use runtime::seed_thread;
pub use transport::server::{PeerService, Receiver};
pub use transport::{Dial, PeerIdentity, PeerStream};
