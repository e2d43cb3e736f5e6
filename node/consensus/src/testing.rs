//! A replica that only follows, for checks of real ones in `simulation`: it is given the
//! entries that another has applied, as they stand on that one's disk. The feature of this
//! name adds it and changes nothing.

use bytes::Bytes;
use openraft::{CommittedLeaderId, EntryPayload};
use state::State;

use crate::machine::apply;
use crate::store::{Database, StoreError, Tree};
use crate::types::{Entry, LogId, Proposal, StoredMembership};
use crate::wire;

/// The entry of `index` as it stands in `log`, if it has one.
///
/// # Errors
///
/// When the store fails.
pub fn stored_entry(log: &dyn Database, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
    log.get(Tree::Log, &index.to_be_bytes())
}

/// An entry with a batch of commands, as it stands on a disk.
///
/// # Errors
///
/// When it cannot be written.
pub fn to_stored(index: u64, batch: Bytes) -> Result<Vec<u8>, String> {
    let entry = Entry {
        log_id: LogId::new(CommittedLeaderId::new(1, 1), index),
        payload: EntryPayload::Normal(Proposal::new(batch).0),
    };
    wire::to_stored(&entry).map_err(|error| error.to_string())
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Follower {
    state: State,
}

impl Follower {
    /// One that goes on from `state`.
    #[must_use]
    pub const fn at(state: State) -> Self {
        Self { state }
    }

    /// What it holds.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Applies an entry of a log, as it stands on a disk.
    ///
    /// # Errors
    ///
    /// When its bytes mean nothing.
    pub fn apply(&mut self, stored: &[u8]) -> Result<(), String> {
        let entry: Entry = wire::from_stored(stored).map_err(|error| error.to_string())?;
        let applied = apply(&mut self.state, &mut StoredMembership::default(), &entry);
        applied.map(drop).map_err(|error| error.to_string())
    }
}
