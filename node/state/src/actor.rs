//! Who asked for a change, as the audit shows it.

use std::{fmt, sync::Arc};

/// The name of whoever asked: `operator:alice`, `node:2`, `on-demand:2`,
/// `leader`, `socket`, `socket:2`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Actor(Arc<str>);

/// Longest name kept; longer ones are cut.
const LENGTH_MAX: usize = 80;

impl Actor {
    /// The leader's own duties.
    pub fn leader() -> Self {
        Self("leader".into())
    }

    /// Whoever holds the machine of the first node.
    pub fn socket() -> Self {
        Self("socket".into())
    }

    /// Whoever holds the machine of this member.
    pub fn local(id: crate::NodeId) -> Self {
        Self(format!("socket:{id}").into())
    }

    /// A member.
    pub fn node(id: crate::NodeId) -> Self {
        Self(format!("node:{id}").into())
    }

    /// Whoever was asked about a hostname that a client named to this member.
    pub fn on_demand(id: crate::NodeId) -> Self {
        Self(format!("on-demand:{id}").into())
    }

    /// An operator by name.
    pub fn operator(name: &str) -> Self {
        Self::parse(&format!("operator:{name}"))
    }

    /// From its text; control characters are dropped and the length is bounded.
    pub fn parse(text: &str) -> Self {
        let clean: String = text
            .chars()
            .filter(|c| !c.is_control())
            .take(LENGTH_MAX)
            .collect();
        Self(clean.into())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
