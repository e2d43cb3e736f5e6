//! What a machine or a person needs to enter a cluster, on the outside of it:
//! the token as text, the pin of the cluster's root, the proof that a token is
//! held, what a cloud's word for a machine is bound to, a key with its request, and the connection over which an operator speaks
//! afterwards.
//!
//! It is a crate of its own because both the daemon (as a newcomer) and the
//! command line need it, and the command line must not carry the daemon.
//!
//! It never sends anything before the server's root is the pinned one, never
//! writes a file but a context, never lets a private key leave the process, and never shows a
//! token's secret in an error.

pub mod certificate;
pub mod chain;
pub mod channel;
pub mod context;
pub mod key;
pub mod names;
pub mod proof;
pub mod session;
pub mod token;
pub mod trust;

pub use certificate::Leaf;
pub use channel::Credential;
pub use context::{Context, ContextError};
pub use key::PrivateKey;
pub use names::{ClusterId, OperatorRole, Subject};
pub use session::{EnrollError, Login, Session};
pub use token::{RootPin, Secret, Token, TokenError};
pub use trust::Trust;
