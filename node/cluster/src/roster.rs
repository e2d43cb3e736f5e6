//! Who is a member, by committed key. Links between members ask only this: no
//! dates, no chain. A renewal needs a leader and a leader needs links, so dates
//! here would end a cluster that was off for a week.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use enroll::{
    Leaf, Subject,
    chain::{self, Usage},
};
use rustls::pki_types::{CertificateDer, UnixTime};
use state::{ClusterId, NodeId, State};
use tokio::sync::watch;

use crate::identity::{Identity, SeedPeer};

/// Members as this node knows them.
pub struct Roster {
    cluster: ClusterId,
    me: NodeId,
    root: CertificateDer<'static>,
    seeds: Vec<SeedPeer>,
    state: OnceLock<watch::Receiver<Arc<State>>>,
    nothing: Arc<State>,
}

/// How a node stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A member.
    Member(SeedPeer),
    /// It was one.
    Removed,
    /// Its id is beyond all that we have heard of: it may have been admitted while
    /// we were away.
    Later,
    /// None of ours.
    Unknown,
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAMember {
    /// It was one.
    #[error("it was removed from the cluster")]
    Removed,
    /// Its key is nobody's.
    #[error("the key is not that of a member")]
    Unknown,
    /// Another member than the one called.
    #[error("node {found} answered where node {expected} was called")]
    Other {
        /// Who was called.
        expected: NodeId,
        /// Who answered.
        found: NodeId,
    },
}

impl Roster {
    /// With the members that the identity was told of.
    pub fn new(identity: &Identity) -> Self {
        let public = &identity.public;
        Self {
            cluster: public.cluster,
            me: public.node,
            root: public.root(),
            seeds: public.seeds.clone(),
            state: OnceLock::new(),
            nothing: Arc::default(),
        }
    }

    /// From where to learn of members, once the replica publishes. Only the first
    /// call counts.
    pub fn follow(&self, state: watch::Receiver<Arc<State>>) {
        let _ = self.state.set(state);
    }

    /// The cluster.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// This node.
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// The cluster's root.
    pub fn root(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// The state as last published; empty before the first.
    pub fn state(&self) -> Arc<State> {
        let state = self.state.get().map(|state| state.borrow().clone());
        state.unwrap_or_else(|| self.nothing.clone())
    }

    /// To wait for the next state; `None` before [`Self::follow`].
    pub fn changes(&self) -> Option<watch::Receiver<Arc<State>>> {
        self.state.get().cloned()
    }

    /// How `node` stands.
    pub fn standing(&self, node: NodeId) -> Standing {
        let state = self.state();
        if state.is_removed(node) {
            return Standing::Removed;
        }
        if let Some(member) = state.member(node) {
            return Standing::Member(SeedPeer::from(&**member));
        }
        let seed = self.seeds(&state).iter().find(|seed| seed.node == node);
        match seed {
            Some(seed) => Standing::Member(seed.clone()),
            None if node > self.newest(&state) => Standing::Later,
            None => Standing::Unknown,
        }
    }

    /// Whom this node speaks to: the other members, and until the state knows this node,
    /// those that it was told of.
    pub(crate) fn others(&self, state: &State) -> BTreeSet<NodeId> {
        let members = state.members().map(|member| member.id);
        let seeds = self.seeds(state).iter().map(|seed| seed.node);
        let others = members.chain(seeds);
        others
            .filter(|node| *node != self.me && !state.is_removed(*node))
            .collect()
    }

    /// Whose certificate that is, if a member's. TLS has proven that its key is held.
    pub fn identify(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<NodeId, NotAMember> {
        let read = Leaf::read(leaf).map_err(|_| NotAMember::Unknown)?;
        let Some((cluster, Subject::Node(id))) = read.subject() else {
            return Err(NotAMember::Unknown);
        };
        let node = NodeId(id);
        if cluster != self.cluster.0 || node == self.me {
            return Err(NotAMember::Unknown);
        }
        match self.standing(node) {
            Standing::Member(member) if member.public_key == read.public_key => Ok(node),
            Standing::Removed => Err(NotAMember::Removed),
            // Whoever was admitted while this node was away may be all that is left
            // to tell it so. Such a certificate must hold by itself, dates included.
            Standing::Later => chain::verify(leaf, others, &self.root, now, Usage::Client)
                .map(|()| node)
                .map_err(|_| NotAMember::Unknown),
            Standing::Member(_) | Standing::Unknown => Err(NotAMember::Unknown),
        }
    }

    /// Those that the identity was told of count until the state knows this node
    /// itself: before that, the state is older than they are.
    fn seeds(&self, state: &State) -> &[SeedPeer] {
        let knows_us = state.member(self.me).is_some() || state.is_removed(self.me);
        if knows_us { &[] } else { &self.seeds }
    }

    fn newest(&self, state: &State) -> NodeId {
        let members = state.members().map(|member| member.id);
        let removed = state.removed().map(|removed| removed.id);
        let seeds = self.seeds.iter().map(|seed| seed.node);
        let all = members.chain(removed).chain(seeds).chain([self.me]);
        all.max().unwrap_or_default()
    }
}

impl std::fmt::Debug for Roster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Roster(node {} of {})", self.me, self.cluster)
    }
}
