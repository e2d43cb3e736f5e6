//! What others see of the state machine. It outlives the machine: a replica that opens
//! its store anew publishes here again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use state::State;
use tokio::sync::{Notify, watch};

use super::Generation;
use crate::snapshot::SnapshotError;
use crate::store::Tree;

/// The state as last applied, and the generation on disk that holds its bodies.
pub(crate) struct Published {
    state: watch::Sender<Arc<State>>,
    /// What is read of a state before anything is shown.
    reading: Mutex<Option<Arc<State>>>,
    /// Told when that begins.
    begun: Notify,
    /// None while the store is not open.
    generation: ArcSwapOption<Generation>,
    /// The index of what the open generation holds.
    held: watch::Sender<u64>,
}

impl Published {
    /// Nothing is applied yet.
    pub(crate) fn new() -> Self {
        Self {
            state: watch::Sender::new(Arc::default()),
            reading: Mutex::default(),
            begun: Notify::new(),
            generation: ArcSwapOption::empty(),
            held: watch::Sender::new(0),
        }
    }

    /// The state now.
    pub(crate) fn state(&self) -> Arc<State> {
        self.state.borrow().clone()
    }

    /// The index up to which the open generation holds the state, on its disk.
    pub(crate) fn held(&self) -> watch::Receiver<u64> {
        self.held.subscribe()
    }

    /// Follows it.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<State>> {
        self.state.subscribe()
    }

    /// `generation` is open, of whose state `few` records were read (see
    /// [`state::codec::record::kind::FEW`]). If nothing was shown yet, single hostnames can
    /// be looked up in it until the whole is.
    pub(crate) fn begin(&self, generation: Arc<Generation>, few: &State) {
        self.held.send_replace(few.index().0);
        self.open(generation);
        if self.state.borrow().index() < few.index() {
            *self.reading() = Some(Arc::new(few.clone()));
        }
        self.begun.notify_one();
    }

    /// Returns once a generation is open. For one who waits.
    pub(crate) async fn begun(&self) {
        self.begun.notified().await;
    }

    /// What is known of the state: the whole, once it is read.
    pub(crate) fn so_far(&self) -> Arc<State> {
        let reading = self.reading().clone();
        reading.unwrap_or_else(|| self.state())
    }

    /// Reads what `name` is served with, unless all is read. Blocks.
    pub(crate) fn look_up(&self, name: &str) -> Result<(), SnapshotError> {
        let (reading, generation) = (self.reading().clone(), self.generation());
        let (Some(mut apart), Some(generation)) = (reading, generation) else {
            return Ok(());
        };
        // Apart, so that others need not wait for this one's disk.
        let mut read = Vec::new();
        Arc::make_mut(&mut apart).load_served(name, |key| {
            let value = generation.database.get(Tree::Records, key)?;
            read.extend(value.iter().map(|value| (key.to_vec(), value.clone())));
            Ok::<_, SnapshotError>(value)
        })?;
        if let Some(state) = &mut *self.reading() {
            for (key, value) in read {
                Arc::make_mut(state).load(&key, &value)?;
            }
        }
        Ok(())
    }

    fn reading(&self) -> MutexGuard<'_, Option<Arc<State>>> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bodies are read from `generation` from now on.
    pub(crate) fn open(&self, generation: Arc<Generation>) {
        self.generation.store(Some(generation));
    }

    /// Shows `state`, unless a later one was shown: who saw that one must not see the
    /// hostnames of an earlier one again, whatever a disk came back with.
    pub(crate) fn show(&self, state: &State) {
        self.held.send_replace(state.index().0);
        self.state.send_if_modified(|shown| {
            let later = state.index() >= shown.index();
            if later {
                *shown = Arc::new(state.clone());
            }
            later
        });
        *self.reading() = None;
    }

    /// The generation that is open.
    pub(crate) fn generation(&self) -> Option<Arc<Generation>> {
        self.generation.load_full()
    }

    /// Whether the open generation lacks what was shown: a body that is not there may
    /// yet come.
    pub(crate) fn is_behind(&self) -> bool {
        *self.held.borrow() < self.state.borrow().index().0
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
