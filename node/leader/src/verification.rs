//! Whose a name is, and whether a certificate for it can be had: looked at before any order.
//!
//! The looks ([`probe`], on the ports [`resolver`] and [`fetch`]) make one value,
//! [`seen::Seen`]; the rules judge it and do nothing else:
//! - [`ownership`]: whether a claim is proven, and by what;
//! - [`preflight`]: whether an order can succeed, with [`caa`] and [`method`];
//! - [`check`]: both for a person, record by record;
//! - [`records`]: what is to be published.
//!
//! The leader looks at claims that are not proven (`duty`), and before each order (`before`):
//! none begins but for a name that is proven, points here and may be issued for. A name whose
//! owner has left is looked at less and less (`parking`), and resumes by itself.
//!
//! A name is looked at from several resolvers and at its own servers, for a CA looks from
//! several places too. Nothing that was looked at is kept for the next look.

pub mod agreement;
pub mod answer;
mod before;
pub mod caa;
pub mod check;
pub mod claim;
mod duty;
pub mod egress;
pub mod fetch;
pub mod method;
pub mod name;
pub mod ownership;
pub mod page;
mod parking;
pub mod preflight;
pub mod probe;
pub mod records;
pub mod report;
pub mod resolver;
mod schedule;
pub mod seen;
pub mod situation;
pub mod survey;
mod told;

pub(crate) use before::{Deferral, before_order, methods};
pub(crate) use duty::{Look, Rota, act};
pub use survey::Config;

#[cfg(test)]
mod sketch;
