//! Bodies, from this node's own store, or else from another member's; and records, before
//! all are read.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use bytes::Bytes;
use state::State;
use state::ports::{Bodies, BodiesError, Reading};
use tokio::time::timeout;

use crate::elsewhere::FOUND_WITHIN;
use crate::fence::chain;
use crate::life::Life;
use crate::machine::Published;
use crate::replica::Replica;
use crate::store::Tree;

/// How long a store whose disk has failed may take: its reads may hang as its writes do.
const OWN_WITHIN: Duration = Duration::from_millis(300);

/// Reads of a store whose disk has failed that may hang at once; each holds a thread.
pub(crate) const HUNG_MAX: usize = 16;

/// How long the caller waits in all; a little more than the question's own limits.
const WITHIN: Duration = OWN_WITHIN
    .saturating_add(FOUND_WITHIN)
    .saturating_add(Duration::from_millis(200));

impl Bodies for Replica {
    fn blocks(&self) -> bool {
        self.blocks
    }

    /// A store that cannot be read, is closed at present, or lacks what was already
    /// published is no reason not to serve: another member has the same body.
    fn read(&self, key: &[u8]) -> Result<Option<Bytes>, BodiesError> {
        let healthy = self.life.outward.standstill.borrow().is_none();
        // A store in memory does not hang, and must not be waited for.
        if healthy || !self.blocks {
            match self.life.outward.published.body(key) {
                Ok(found) => return Ok(found),
                Err(why) if !self.blocks => return Err(BodiesError::Store(why)),
                Err(_) => {}
            }
        }
        let (answer, answered) = sync_channel(1);
        let (life, key) = (Arc::clone(&self.life), Bytes::copy_from_slice(key));
        self.runtime.spawn(async move {
            // Whoever asked has given up if this fails.
            let _ = answer.send(find(&life, key).await);
        });
        let found = answered.recv_timeout(WITHIN);
        found
            .unwrap_or_else(|_| Err("it took too long".into()))
            .map_err(BodiesError::Store)
    }
}

impl Reading for Replica {
    fn so_far(&self) -> Arc<State> {
        self.life.outward.published.so_far()
    }

    fn look_up(&self, name: &str) -> Result<(), BodiesError> {
        let looked = self.life.outward.published.look_up(name);
        looked.map_err(|error| BodiesError::Store(chain(&error)))
    }
}

impl Published {
    /// The body under `key` in the open generation. Blocks.
    pub(crate) fn body(&self, key: &[u8]) -> Result<Option<Bytes>, String> {
        let generation = self.generation();
        let generation = generation.ok_or("this node's own store is closed at present")?;
        match generation.database.get(Tree::Bodies, key) {
            Ok(Some(body)) => Ok(Some(body.into())),
            Ok(None) if self.is_behind() => Err("this node's own store is behind".into()),
            Ok(None) => Ok(None),
            Err(error) => Err(chain(&error)),
        }
    }
}

/// Looks here, for a moment, and then elsewhere.
async fn find(life: &Arc<Life>, key: Bytes) -> Result<Option<Bytes>, String> {
    let own = match own(life, key.clone()).await {
        Ok(found) => return Ok(found),
        Err(why) => why,
    };
    let found = life.elsewhere.find(life.outward.members(), key).await;
    found.map_err(|elsewhere| format!("{own}; nor from another member: {elsewhere}"))
}

async fn own(life: &Arc<Life>, key: Bytes) -> Result<Option<Bytes>, String> {
    let Ok(place) = Arc::clone(&life.reading).try_acquire_owned() else {
        return Err("too many reads of this node's own store hang".into());
    };
    let published = Arc::clone(&life.outward.published);
    let reading = tokio::task::spawn_blocking(move || {
        let _place = place;
        published.body(&key)
    });
    match timeout(OWN_WITHIN, reading).await {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("this node's own disk does not answer".into()),
    }
}
