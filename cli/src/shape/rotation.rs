//! What was replaced.

use serde::Serialize;

use crate::output::Shape;

/// Keys of the cluster's own that were or will be replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Rotated {
    pub(crate) what: Vec<String>,
    /// The log index of the change.
    pub(crate) index: u64,
    /// The old ones are gone; else the leader is about to replace them.
    pub(crate) done: bool,
}

impl Shape for Rotated {
    fn table(&self) -> String {
        let (what, index) = (self.what.join(", "), self.index);
        if self.done {
            format!("{what}: replaced, and nothing is under the old one any more")
        } else {
            format!(
                "{what}: agreed on at index {index}; the leader replaces it (see `hostquorum \
                 cluster status`)"
            )
        }
    }
}
