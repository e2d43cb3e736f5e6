//! When each certificate is asked about next: this leader's memory, some fifty bytes each.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use imbl::{OrdMap, ordmap::DiffItem};
use state::{Certificate, CertificateId, State, Timestamp};

use super::{first_look, is_followed};

/// The next look at each certificate.
#[derive(Debug, Default)]
pub(crate) struct Polls(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    next: BinaryHeap<Reverse<(Timestamp, CertificateId)>>,
    /// As of the state that was followed last.
    seen: OrdMap<CertificateId, Arc<Certificate>>,
}

impl Polls {
    /// Takes in the certificates that are new since the last call; the first call reads all.
    pub(crate) fn follow(&self, state: &State, now: Timestamp) {
        let mut inner = self.inner();
        let present = state.certificates_by_id();
        let before = std::mem::replace(&mut inner.seen, present.clone());
        let first = |certificate: &Arc<Certificate>| {
            is_followed(certificate)
                .then(|| Reverse((first_look(certificate, now), certificate.id)))
        };
        if before.is_empty() {
            inner.next = present.values().filter_map(first).collect();
            return;
        }
        for change in before.diff(present) {
            // One that was kept and is served again counts as new.
            let begins = match change {
                DiffItem::Add(_, certificate) => first(certificate),
                DiffItem::Update {
                    old: (_, old),
                    new: (_, new),
                } if !is_followed(old) => first(new),
                DiffItem::Update { .. } | DiffItem::Remove(..) => None,
            };
            inner.next.extend(begins);
        }
    }

    /// Takes out those that are to be asked about now, at most so many. Those that are of
    /// no concern any more are dropped.
    pub(crate) fn take(&self, state: &State, now: Timestamp, most: usize) -> Vec<CertificateId> {
        let mut inner = self.inner();
        let mut due = Vec::new();
        while due.len() < most
            && let Some(Reverse((at, id))) = inner.next.peek().copied()
            && at <= now
        {
            inner.next.pop();
            let certificate = state.certificate(&id);
            if certificate.is_some_and(|certificate| is_followed(certificate)) {
                due.push(id);
            }
        }
        due
    }

    /// Asks about one again then.
    pub(crate) fn again(&self, id: CertificateId, at: Timestamp) {
        self.inner().next.push(Reverse((at, id)));
    }

    /// How many are followed.
    pub(crate) fn len(&self) -> usize {
        self.inner().next.len()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
