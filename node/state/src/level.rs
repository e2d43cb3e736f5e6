//! What all members of a cluster understand.
//!
//! During an upgrade members run different programs, and all of them must apply what the leader
//! writes into the log. Whatever a program writes that its predecessor would not understand, or
//! would do something else with, is of a higher level: it is written only once the cluster is
//! at that level. The leader raises it ([`Change::RaiseLevel`]) when every member has
//! said that it knows it; nothing lowers it. A program that is older than the level of its
//! cluster refuses to read what it stored.
//!
//! A release that adds a command, a field that is written, or another way to apply
//! makes the next level: [`FeatureLevel::NEWEST`] rises, [`Change::level`] says what needs it.
//! `tests/frozen/logs` holds that what a log of a lower level came to stays as it is.

use std::fmt;

use crate::Change;

/// Counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeatureLevel(pub u32);

impl FeatureLevel {
    /// Where every cluster begins.
    pub const FIRST: Self = Self(1);
    /// The highest that this program knows.
    pub const NEWEST: Self = Self(2);
}

impl Default for FeatureLevel {
    fn default() -> Self {
        Self::FIRST
    }
}

impl fmt::Display for FeatureLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Change {
    /// The level that a cluster must have for it to be written.
    pub fn level(&self) -> FeatureLevel {
        match self {
            Self::AdmitMachine { .. } => FeatureLevel(2),
            _ => FeatureLevel::FIRST,
        }
    }
}
