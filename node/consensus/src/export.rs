//! A point of the log, held for a backup.

use std::sync::Arc;

use bytes::Bytes;
use state::State;
use state::ports::{BodiesError, Export, Held};

use crate::fence::chain;
use crate::replica::Replica;
use crate::store::{Database, Tree};

/// See [`Export::hold`].
struct Holding {
    state: Arc<State>,
    database: Arc<dyn Database>,
    /// While it lives, no body is deleted.
    _pin: Arc<()>,
}

impl Export for Replica {
    fn hold(&self) -> Result<Box<dyn Held>, BodiesError> {
        let published = &self.life.outward.published;
        let closed = || BodiesError::Store("this node's own store is closed at present".into());
        let generation = published.generation().ok_or_else(closed)?;
        // The pin comes first: what is deleted before it, no later state names.
        let pin = Arc::clone(&generation.pin);
        Ok(Box::new(Holding {
            state: published.state(),
            database: Arc::clone(&generation.database),
            _pin: pin,
        }))
    }
}

impl Held for Holding {
    fn state(&self) -> &State {
        &self.state
    }

    fn body(&self, key: &[u8]) -> Result<Bytes, BodiesError> {
        match self.database.get(Tree::Bodies, key) {
            Ok(Some(body)) => Ok(body.into()),
            // A snapshot was installed at this very moment, or the disk lost it.
            Ok(None) => Err(BodiesError::Store(
                "a body that the state names is not in this node's store; try again".into(),
            )),
            Err(error) => Err(BodiesError::Store(chain(&error))),
        }
    }
}
