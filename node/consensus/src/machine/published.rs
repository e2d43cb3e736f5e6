//! What others see of the state machine. It outlives the machine: a replica that opens
//! its store anew publishes here again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use state::State;
use tokio::sync::watch;

use super::Generation;

/// The state as last applied, and the generation on disk that holds its bodies.
pub(crate) struct Published {
    state: watch::Sender<Arc<State>>,
    /// None while the store is not open.
    generation: ArcSwapOption<Generation>,
    /// The index of what the open generation holds.
    held: AtomicU64,
}

impl Published {
    /// Nothing is applied yet.
    pub(crate) fn new() -> Self {
        Self {
            state: watch::Sender::new(Arc::default()),
            generation: ArcSwapOption::empty(),
            held: AtomicU64::new(0),
        }
    }

    /// The state now.
    pub(crate) fn state(&self) -> Arc<State> {
        self.state.borrow().clone()
    }

    /// Follows it.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<State>> {
        self.state.subscribe()
    }

    /// Bodies are read from `generation` from now on.
    pub(crate) fn open(&self, generation: Arc<Generation>) {
        self.generation.store(Some(generation));
    }

    /// Shows `state`, unless a later one was shown: who saw that one must not see the
    /// hostnames of an earlier one again, whatever a disk came back with.
    pub(crate) fn show(&self, state: &State) {
        self.held.store(state.index().0, Ordering::Release);
        self.state.send_if_modified(|shown| {
            let later = state.index() >= shown.index();
            if later {
                *shown = Arc::new(state.clone());
            }
            later
        });
    }

    /// The generation that is open.
    pub(crate) fn generation(&self) -> Option<Arc<Generation>> {
        self.generation.load_full()
    }

    /// Whether the open generation lacks what was shown: a body that is not there may
    /// yet come.
    pub(crate) fn is_behind(&self) -> bool {
        self.held.load(Ordering::Acquire) < self.state.borrow().index().0
    }

    /// Nothing is open any more; what was shown stays.
    pub(crate) fn close(&self) {
        self.generation.store(None);
    }
}

#[cfg(test)]
mod tests {
    use state::{Index, NodeId};

    use super::*;

    fn at(index: u64) -> State {
        let mut state = State::default();
        state.set_membership(Index(index), [NodeId(1)].into(), Default::default());
        state
    }

    #[test]
    fn what_was_shown_never_goes_back() {
        let published = Published::new();
        let seen = published.subscribe();
        for (index, shown, behind) in [(5, 5, false), (3, 5, true), (5, 5, false), (6, 6, false)] {
            published.show(&at(index));
            assert_eq!(seen.borrow().index(), Index(shown));
            assert_eq!(published.is_behind(), behind, "at {index}");
        }
    }
}
