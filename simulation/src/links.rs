//! Which messages pass between which machines.

use std::collections::{BTreeMap, BTreeSet};

use state::NodeId;

use crate::ca;
use crate::network::host;

/// From one node to another.
pub(crate) type Way = (NodeId, NodeId);

/// What passes between two machines; the order of the two is that of their names here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passage {
    /// There, and back.
    Open(bool, bool),
    /// All is held back, and delivered later.
    Held,
}

/// All links: what is wanted of them, and what was told to the network.
#[derive(Debug, Default)]
pub(crate) struct Links {
    nodes: BTreeSet<NodeId>,
    up: BTreeSet<NodeId>,
    /// By the number of the trouble.
    cuts: BTreeMap<usize, BTreeSet<Way>>,
    stalls: BTreeMap<usize, NodeId>,
    ca_gone: BTreeSet<usize>,
    told: BTreeMap<(String, String), Passage>,
}

impl Links {
    /// `node` is new, and up.
    pub(crate) fn add(&mut self, node: NodeId) {
        self.nodes.insert(node);
        self.up.insert(node);
    }

    /// `node` is up, or not. A machine without power says no goodbye.
    pub(crate) fn set_up(&mut self, node: NodeId, up: bool) {
        if up {
            self.up.insert(node);
        } else {
            self.up.remove(&node);
        }
    }

    pub(crate) fn cut(&mut self, trouble: usize, ways: BTreeSet<Way>) {
        self.cuts.insert(trouble, ways);
    }

    pub(crate) fn stall(&mut self, trouble: usize, node: NodeId) {
        self.stalls.insert(trouble, node);
    }

    /// Nothing passes to the CA or from it.
    pub(crate) fn cut_ca(&mut self, trouble: usize) {
        self.ca_gone.insert(trouble);
    }

    /// What a trouble did to links is over.
    pub(crate) fn end(&mut self, trouble: usize) {
        self.cuts.remove(&trouble);
        self.stalls.remove(&trouble);
        self.ca_gone.remove(&trouble);
    }

    /// Tells the network what has changed.
    pub(crate) fn apply(&mut self, world: &turmoil::Sim<'_>) {
        for (one, other, wanted) in self.wanted() {
            let present = self.told.get(&(one.clone(), other.clone()));
            if present.copied().unwrap_or(Passage::Open(true, true)) == wanted {
                continue;
            }
            if present == Some(&Passage::Held) {
                world.release(one.as_str(), other.as_str());
            }
            match wanted {
                Passage::Held => world.hold(one.as_str(), other.as_str()),
                Passage::Open(there, back) => {
                    way(world, &one, &other, there);
                    way(world, &other, &one, back);
                }
            }
            self.told.insert((one, other), wanted);
        }
    }

    fn wanted(&self) -> Vec<(String, String, Passage)> {
        let mut wanted = Vec::new();
        for one in &self.nodes {
            for other in self.nodes.range(*one..).skip(1) {
                let passage = self.between(*one, *other);
                wanted.push((host(*one), host(*other), passage));
            }
            let up = self.up.contains(one);
            let open = up && self.ca_gone.is_empty();
            let passage = if up && self.stalls.values().any(|node| node == one) {
                Passage::Held
            } else {
                Passage::Open(open, open)
            };
            wanted.push((host(*one), ca::NAME.to_owned(), passage));
        }
        wanted
    }

    fn between(&self, one: NodeId, other: NodeId) -> Passage {
        let up = self.up.contains(&one) && self.up.contains(&other);
        let cut = |way: Way| self.cuts.values().any(|ways| ways.contains(&way));
        if up
            && self
                .stalls
                .values()
                .any(|node| *node == one || *node == other)
        {
            return Passage::Held;
        }
        Passage::Open(up && !cut((one, other)), up && !cut((other, one)))
    }
}

fn way(world: &turmoil::Sim<'_>, from: &str, to: &str, open: bool) {
    if open {
        world.repair_oneway(from, to);
    } else {
        world.partition_oneway(from, to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn troubles_overlap_and_end_by_themselves() {
        let mut links = Links::default();
        let (a, b) = (NodeId(1), NodeId(2));
        links.add(a);
        links.add(b);
        assert_eq!(links.between(a, b), Passage::Open(true, true));
        links.cut(1, BTreeSet::from([(a, b)]));
        links.cut(2, BTreeSet::from([(a, b), (b, a)]));
        assert_eq!(links.between(a, b), Passage::Open(false, false));
        links.end(2);
        assert_eq!(links.between(a, b), Passage::Open(false, true));
        links.stall(3, b);
        assert_eq!(links.between(a, b), Passage::Held);
        links.set_up(a, false);
        assert_eq!(links.between(a, b), Passage::Open(false, false));
    }
}
