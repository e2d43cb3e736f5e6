//! Bodies that no record names any more.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::Instant;

/// How long a body stays at least: somebody may be about to read it by a record that was
/// the latest a moment ago, a handshake for example.
pub(crate) const KEPT: Duration = Duration::from_secs(60);

/// Their keys, by how long they have been garbage.
pub(crate) struct Garbage {
    fresh: BTreeSet<Vec<u8>>,
    waiting: BTreeSet<Vec<u8>>,
    ripe: BTreeSet<Vec<u8>>,
    turned: Instant,
}

impl Garbage {
    /// What was found at a start: nobody has read yet.
    pub(crate) fn found(ripe: BTreeSet<Vec<u8>>) -> Self {
        Self {
            fresh: BTreeSet::new(),
            waiting: BTreeSet::new(),
            ripe,
            turned: Instant::now(),
        }
    }

    /// `key` is garbage from now on.
    pub(crate) fn note(&mut self, key: Vec<u8>) {
        self.fresh.insert(key);
    }

    /// `key` is named again; true if it was garbage.
    pub(crate) fn take_back(&mut self, key: &[u8]) -> bool {
        let ages = [&mut self.fresh, &mut self.waiting, &mut self.ripe];
        ages.into_iter().any(|keys| keys.remove(key))
    }

    /// Called before anything is noted: what has waited for long enough may go.
    pub(crate) fn ripen(&mut self) {
        let passed = self.turned.elapsed();
        if passed < KEPT {
            return;
        }
        self.ripe.append(&mut self.waiting);
        std::mem::swap(&mut self.waiting, &mut self.fresh);
        if passed >= 2 * KEPT {
            self.ripe.append(&mut self.waiting);
        }
        self.turned = Instant::now();
    }

    /// One that may go.
    pub(crate) fn pop(&mut self) -> Option<Vec<u8>> {
        self.ripe.pop_first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_stays_for_a_minute_and_not_for_three() {
        let mut garbage = Garbage::found([b"old".to_vec()].into());
        assert_eq!(garbage.pop(), Some(b"old".to_vec()));
        tokio::time::advance(KEPT - Duration::from_secs(1)).await;
        garbage.ripen();
        garbage.note(b"a".to_vec());
        garbage.note(b"b".to_vec());
        tokio::time::advance(Duration::from_secs(1)).await;
        garbage.ripen();
        assert_eq!(garbage.pop(), None, "a second old");
        assert!(garbage.take_back(b"b"));
        assert!(!garbage.take_back(b"b"));
        tokio::time::advance(KEPT).await;
        garbage.ripen();
        assert_eq!(garbage.pop(), Some(b"a".to_vec()));
        garbage.note(b"c".to_vec());
        tokio::time::advance(2 * KEPT).await;
        garbage.ripen();
        assert_eq!(garbage.pop(), Some(b"c".to_vec()));
        assert_eq!(garbage.pop(), None);
    }
}
