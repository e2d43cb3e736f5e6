//! Who we are to each other: the identity of each node and the cluster's own CA,
//! entering by token or by what a cloud says of a machine, links between members, the operators' port, data keys, and
//! the serving set.
//!
//! How the parts meet, in the order in which a node needs them:
//! - [`startup`] decides, from the disk and the arguments, whether to wait for
//!   `init` ([`founding`]), to enter ([`join`]) or to resume; at a [`meeting`] nodes that
//!   know nobody yet claim the founding, find their tokens, and learn which cluster a machine
//!   that its cloud vouches for may enter;
//! - [`identity`] keeps one file, wrapped by a key from a [`key_source`] outside the
//!   data directory, or by one that a service opens ([`wrapped_key`]); [`upkeep`] keeps it
//!   as the state has it;
//! - [`keyring`] seals and opens secrets; [`identities`] makes certificates and data
//!   keys for the leader, who writes them into the log;
//! - [`roster`] knows members by committed key, [`peer`] links them, [`operators`]
//!   lets operators and newcomers in, [`door`] bounds both;
//! - [`serving`] tells what each member's edge has published.
//!
//! Certificates' dates bind the admin port and joins. Links
//! between members ask only for the committed key, so that a cluster that was off
//! for longer than its certificates lived comes back by itself.
//!
//! It never touches Raft, never decides what the leader does next, never writes a
//! private key in the clear, never sends anything to a server whose root is not
//! the pinned one, and never takes a name from a certificate request.

pub mod authority;
pub mod credential;
pub mod data_key;
pub mod directory;
pub mod door;
pub mod entropy;
pub mod facts;
pub mod founding;
pub mod hpke;
pub mod identities;
pub mod identity;
pub mod join;
pub mod key_source;
pub mod keyring;
pub mod meeting;
pub mod operators;
pub mod peer;
mod reach;
pub mod request;
pub mod roster;
pub mod serving;
pub mod startup;
mod tls;
pub mod upkeep;
pub mod wire;
pub mod wrapped_key;

pub use credential::NodeCredential;
pub use enroll::token;
pub use entropy::{Entropy, SystemEntropy};
pub use facts::NodeFacts;
pub use founding::Formation;
pub use identities::Certifier;
pub use identity::{Identity, IdentityStore};
pub use join::{Newcomer, Sponsor};
pub use key_source::KeySource;
pub use keyring::{Keyring, LeftKeyError, LeftKeys};
pub use operators::{AdminConnection, AdminPort};
pub use peer::{Channels, Links};
pub use roster::Roster;
pub use serving::{Serving, ServingService};
pub use startup::Startup;
pub use upkeep::Upkeep;
pub use wrapped_key::WrapKey;
