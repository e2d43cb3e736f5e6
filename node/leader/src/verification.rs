//! Whose a name is, and whether a certificate for it can be had: looked at before any order.
//!
//! The looks ([`probe`], on the ports [`resolver`] and [`fetch`]) make one value,
//! [`seen::Seen`]; the rules judge it and do nothing else:
//! - [`ownership`]: whether a claim is proven, and by what;
//! - [`preflight`]: whether an order can succeed, with [`caa`] and [`method`];
//! - [`check`]: both for a person, record by record;
//! - [`parking`]: when a name is left alone;
//! - [`records`]: what is to be published.
//!
//! A name is looked at from several resolvers and at its own servers, for a CA looks from
//! several places too. Nothing that was looked at is kept for the next look.

pub mod agreement;
pub mod answer;
#[allow(dead_code, reason = "issuance asks before each order from its next change on")]
mod before;
pub mod caa;
pub mod check;
pub mod claim;
pub mod egress;
pub mod fetch;
pub mod method;
pub mod name;
pub mod ownership;
pub mod page;
pub mod parking;
pub mod preflight;
pub mod probe;
pub mod reach;
pub mod records;
pub mod resolver;
pub mod seen;

#[allow(unused_imports, reason = "issuance asks before each order from its next change on")]
pub(crate) use before::{Approach, Deferral, before_order, methods};

#[cfg(test)]
mod sketch;
