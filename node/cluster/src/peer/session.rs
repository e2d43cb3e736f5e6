//! Which links are open, so that those of a removed member can be cut.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use state::NodeId;
use tokio_util::sync::CancellationToken;

/// The open links.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    next: u64,
    links: HashMap<u64, (NodeId, CancellationToken)>,
}

/// One open link; it is forgotten when this is dropped.
#[derive(Debug)]
pub(super) struct Session {
    sessions: Arc<Sessions>,
    id: u64,
    pub(super) cut: CancellationToken,
}

impl Sessions {
    pub(super) fn open(self: &Arc<Self>, node: NodeId) -> Session {
        let cut = CancellationToken::new();
        let mut open = self.lock();
        let id = open.next;
        open.next += 1;
        open.links.insert(id, (node, cut.clone()));
        drop(open);
        Session {
            sessions: self.clone(),
            id,
            cut,
        }
    }

    /// Cuts the links of those for whom `is_over` holds; says how many.
    pub fn cut(&self, is_over: impl Fn(NodeId) -> bool) -> usize {
        let open = self.lock();
        let over = open.links.values().filter(|(node, _)| is_over(*node));
        over.map(|(_, cut)| cut.cancel()).count()
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.sessions.lock().links.remove(&self.id);
    }
}
