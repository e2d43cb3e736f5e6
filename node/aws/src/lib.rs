//! What a node asks of AWS, where it runs there: KMS wraps its key-encryption key, the parameter
//! store is where nodes of a cluster meet before they know each other, and STS and EC2 say which
//! machine it is that asks to be let in.
//!
//! Requests are made and signed by AWS's own kit, with the credentials that the kit finds
//! (variables, a profile, a container's, the machine's). They leave by [`http`], as short
//! connections over our TLS, because the kit's own client would change what TLS prefers in the
//! whole program. Each is bounded in time and in attempts ([`Account`]).
//!
//! It never decides what follows from an answer, never reads a clock or draws a random number
//! beyond what the kit does to sign and to space its attempts, and nothing of it is needed to
//! serve: a node that runs has no use for it.

mod account;
mod http;
mod json;
mod kms;
mod machines;
mod parameters;
mod query;
mod said;
mod signed;

pub use account::{Account, NoRegion, environment};
pub use kms::Kms;
pub use machines::{Machine, Machines};
pub use parameters::Parameters;
