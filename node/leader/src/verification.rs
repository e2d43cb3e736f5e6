//! Whose a name is, and whether a certificate for it can be had: looked at before any order.

pub mod agreement;
pub mod answer;
pub mod egress;
pub mod name;
pub mod resolver;
