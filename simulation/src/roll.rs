//! Which machine is which node, known to all machines as a name server would tell it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use state::NodeId;

/// Each machine has a number of its own, and becomes a node when it is admitted.
#[derive(Debug, Default)]
pub(crate) struct Roll(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    nodes: BTreeMap<u64, NodeId>,
    fresh: Vec<(u64, NodeId)>,
    hosts: BTreeSet<NodeId>,
}

impl Roll {
    /// The machine was admitted as `node`; it is switched on at the next step.
    pub(crate) fn enrol(&self, machine: u64, node: NodeId) {
        let mut entries = self.lock();
        if entries.nodes.insert(machine, node).is_none() {
            entries.fresh.push((machine, node));
        }
    }

    /// Those that were enrolled since the last call. From now on they can be reached.
    pub(crate) fn take_fresh(&self) -> Vec<(u64, NodeId)> {
        let mut entries = self.lock();
        let fresh = std::mem::take(&mut entries.fresh);
        entries.hosts.extend(fresh.iter().map(|(_, node)| *node));
        fresh
    }

    /// `node` is gone for good.
    pub(crate) fn strike(&self, node: NodeId) {
        self.lock().hosts.remove(&node);
    }

    /// Whether `node` has a machine.
    pub(crate) fn has(&self, node: NodeId) -> bool {
        self.lock().hosts.contains(&node)
    }

    /// All that have one.
    pub(crate) fn nodes(&self) -> Vec<NodeId> {
        self.lock().hosts.iter().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // One thread only; each holder leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
