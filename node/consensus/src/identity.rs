//! Who this disk belongs to, written down where a lost database cannot take it
//! along.
//!
//! A replica that forgot its votes and its log must not take part again under its
//! old id: it could vote twice in a term, or acknowledge what it no longer has, and
//! so lose committed entries. Databases have come back empty after a power cut. So
//! both databases hold a **birth record**, and a **marker** file beside them is
//! written once they are durable. Marker without birth record means amnesia: the
//! replica does not start, and the node may rejoin under a new id only. A disk that was
//! lost whole takes the marker along; so whoever owns the replica keeps its own note that
//! it took part ([`crate::Parts::took_part`]), and no marker then means the same.

use state::{ClusterId, NodeId};

use crate::store::{Batch, Database, Store, StoreError, Tree};

/// Under this key each database holds the identity; records of kind 0 are ours.
const BIRTH_KEY: &[u8] = b"\0birth";

/// A member's name for life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its id there, never used by another and never used again.
    pub node: NodeId,
}

impl Identity {
    /// The marker's text.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("hostquorum 1 {} {}\n", self.cluster, self.node)
    }

    /// Reads the marker's text.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut words = text.split_ascii_whitespace();
        if (words.next(), words.next()) != (Some("hostquorum"), Some("1")) {
            return None;
        }
        let (cluster, node) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        words.next().is_none().then_some(Self {
            cluster,
            node: NodeId(node),
        })
    }
}

/// Why a disk was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// It belongs to another cluster or node.
    #[error("the data directory belongs to node {} of cluster {}, not to node {} of cluster {}",
        found.node, found.cluster, expected.node, expected.cluster)]
    Foreign {
        /// What the disk says.
        found: Identity,
        /// What the node was started as.
        expected: Identity,
    },
    /// What was durable is gone.
    #[error(
        "the {database} of node {} is empty although this node has taken part before: its disk lost data. \
         The replica stays down, because a replica that forgot its votes could lose what others rely on. \
         Remove the node from the cluster, clear its data directory and join again; it gets a new id", identity.node
    )]
    Amnesia {
        /// Which database.
        database: &'static str,
        /// Whose.
        identity: Identity,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Checks marker and birth records against `expected`, or writes them on the very
/// first start, which is none if the node `took_part` before. `state` is the current
/// generation, which at a first start was just created.
pub(crate) fn verify(
    store: &dyn Store,
    log: &dyn Database,
    state: &dyn Database,
    expected: Identity,
    took_part: bool,
) -> Result<(), IdentityError> {
    let marker = store.identity()?;
    if marker.is_none() && took_part {
        return Err(IdentityError::Amnesia {
            database: "store",
            identity: expected,
        });
    }
    if let Some(found) = marker
        && found != expected
    {
        return Err(IdentityError::Foreign { found, expected });
    }
    for (database, tree, name) in [(log, Tree::Hard, "log"), (state, Tree::Records, "state")] {
        match birth(database, tree)? {
            Some(found) if found != expected => {
                return Err(IdentityError::Foreign { found, expected });
            }
            Some(_) => {}
            None if marker.is_some() => {
                return Err(IdentityError::Amnesia {
                    database: name,
                    identity: expected,
                });
            }
            None => bear(database, tree, expected)?,
        }
    }
    if marker.is_none() {
        store.write_identity(&expected)?;
    }
    Ok(())
}

/// The birth record as it stands in `tree`.
fn birth(database: &dyn Database, tree: Tree) -> Result<Option<Identity>, StoreError> {
    let Some(bytes) = database.get(tree, BIRTH_KEY)? else {
        return Ok(None);
    };
    Identity::parse(&bytes)
        .map(Some)
        .ok_or_else(|| StoreError::Damaged {
            what: "the birth record".into(),
            reason: "it names no cluster and node".into(),
        })
}

fn bear(database: &dyn Database, tree: Tree, identity: Identity) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    put_birth(&mut batch, identity);
    database.write_atomic(tree, &batch)?;
    database.flush_durable()
}

/// Adds the birth record to the first batch of a new generation.
pub(crate) fn put_birth(batch: &mut Batch, identity: Identity) {
    batch.put(BIRTH_KEY, identity.to_text());
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::{DiskStore, Engine};

    const IDENTITY: Identity = Identity {
        cluster: ClusterId([0xa5; 16]),
        node: NodeId(7),
    };

    fn start(directory: &std::path::Path, engine: Engine) -> Result<(), IdentityError> {
        start_as(directory, engine, false)
    }

    fn start_as(
        directory: &std::path::Path,
        engine: Engine,
        took_part: bool,
    ) -> Result<(), IdentityError> {
        let store = DiskStore::new(directory, engine)?;
        let log: Arc<dyn Database> = store.open_log()?;
        let state = store.open_generation(0)?;
        verify(&store, log.as_ref(), state.as_ref(), IDENTITY, took_part)
    }

    #[test]
    fn text_and_identity_are_the_same() {
        assert_eq!(
            Identity::parse(IDENTITY.to_text().as_bytes()),
            Some(IDENTITY)
        );
        for bad in [
            "",
            "hostquorum 1",
            "hostquorum 1 a5 7",
            "hostquorum 2 00000000000000000000000000000000 1",
        ] {
            assert_eq!(Identity::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_database_that_came_back_empty_halts_the_replica() {
        for engine in [Engine::Sled, Engine::Redb] {
            for lost in ["raft", "state"] {
                let directory = tempfile::tempdir().unwrap();
                start(directory.path(), engine).unwrap();
                start(directory.path(), engine).unwrap();
                std::fs::remove_dir_all(directory.path().join(lost)).unwrap();
                let error = start(directory.path(), engine).unwrap_err();
                assert!(
                    matches!(error, IdentityError::Amnesia { .. }),
                    "{engine:?} {lost}: {error}"
                );
            }
        }
    }

    #[test]
    fn a_disk_that_came_back_empty_as_a_whole_halts_the_replica_every_time() {
        for engine in [Engine::Sled, Engine::Redb] {
            let directory = tempfile::tempdir().unwrap();
            // An empty directory, as the mount point of a new disk, is no first start either.
            for _ in 0..2 {
                let error = start_as(directory.path(), engine, true).unwrap_err();
                let amnesia = matches!(error, IdentityError::Amnesia { .. });
                assert!(amnesia, "{engine:?}: {error}");
            }
            let kept = tempfile::tempdir().unwrap();
            start(kept.path(), engine).unwrap();
            start_as(kept.path(), engine, true).unwrap();
        }
    }

    #[test]
    fn a_disk_of_another_node_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        start(directory.path(), Engine::Redb).unwrap();
        let other = Identity {
            node: NodeId(8),
            ..IDENTITY
        };
        std::fs::write(directory.path().join("identity"), other.to_text()).unwrap();
        let error = start(directory.path(), Engine::Redb).unwrap_err();
        assert!(matches!(error, IdentityError::Foreign { .. }), "{error}");
    }

    #[test]
    fn a_crash_before_the_marker_starts_over() {
        let directory = tempfile::tempdir().unwrap();
        start(directory.path(), Engine::Sled).unwrap();
        std::fs::remove_file(directory.path().join("identity")).unwrap();
        start(directory.path(), Engine::Sled).unwrap();
        assert!(directory.path().join("identity").exists());
    }
}
