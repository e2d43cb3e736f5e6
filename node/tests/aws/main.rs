//! Real daemons in AWS, as far as moto is that.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on must stop where it is"
)]

mod daemon;
mod kms;
mod machines;
mod parameters;
