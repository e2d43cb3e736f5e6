//! Opening what a replica left on its disk, before anything runs.

use std::path::PathBuf;
use std::sync::Arc;

use crate::fence::chain;
use crate::identity::{self, Identity};
use crate::log::Log;
use crate::machine::Stored;
use crate::replica::StartError;
use crate::snapshot::Snapshots;
use crate::store::{Database, Store};
use crate::types::LogId;

/// What was opened on disk.
pub(crate) struct Opened {
    pub(crate) log: Arc<dyn Database>,
    pub(crate) state: Arc<dyn Database>,
    pub(crate) generation: u64,
}

/// Opens both databases and checks that they are this node's and whole. Blocks.
pub(crate) fn open(
    store: &dyn Store,
    identity: Identity,
    took_part: bool,
) -> Result<Opened, StartError> {
    let log = store.open_log()?;
    let current = store.current_generation()?;
    let generation = current.unwrap_or(0);
    let state = store.open_generation(generation)?;
    if current.is_none() && store.identity()?.is_none() {
        store.switch_generation(generation)?;
    }
    identity::verify(store, &*log, &*state, identity, took_part)?;
    // What an interrupted install, or a replaced generation, left behind. Not before
    // the check: a lost pointer must not take the state along.
    store.remove_other_generations(generation)?;
    Ok(Opened {
        log,
        state,
        generation,
    })
}

/// A snapshot is of use only if it reaches to where the log begins; openraft moves
/// that beginning to the applied index at start if the log lacks it.
pub(crate) fn open_snapshots(
    directory: PathBuf,
    log: &Log,
    stored: &Stored,
) -> Result<Snapshots, StartError> {
    let (purged, last) = log.ends();
    if purged > stored.applied {
        let index = |id: Option<LogId>| id.map_or(0, |id| id.index);
        return Err(StartError::State(format!(
            "the log was purged up to entry {}, and the state on disk is of entry {}: what lies \
             between is lost. Remove this node, and let it join anew with an empty data directory",
            index(purged),
            index(stored.applied)
        )));
    }
    let floor = if last < stored.applied {
        stored.applied
    } else {
        purged
    };
    Snapshots::open(&directory, floor).map_err(|error| StartError::State(chain(&error)))
}
