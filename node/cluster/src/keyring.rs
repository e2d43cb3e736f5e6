//! The data keys that this node holds: it seals and opens the cluster's secrets.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

use state::{
    ClusterId, KeyPurpose, NodeId, Sealed, Secret, State,
    ports::{Seal, SealError},
    sealed::SealContext,
};
use tokio::sync::watch;

use crate::{
    data_key::KeyBytes,
    entropy::Entropy,
    hpke::{KeyPair, Label},
    identity::{DataKeys, Identity},
};

/// All generations of the data keys that this node was given.
///
/// It takes up new ones from the published state by itself, whenever it meets a
/// generation that it does not hold. One that the cluster has dropped is wiped.
pub struct Keyring {
    cluster: ClusterId,
    node: NodeId,
    hpke: KeyPair,
    held: RwLock<DataKeys>,
    state: OnceLock<watch::Receiver<Arc<State>>>,
    entropy: Arc<dyn Entropy>,
}

impl Keyring {
    /// With the keys that the identity holds.
    pub fn new(identity: &Identity, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            cluster: identity.public.cluster,
            node: identity.public.node,
            hpke: identity.keys.hpke.clone(),
            held: RwLock::new(identity.data_keys.clone()),
            state: OnceLock::new(),
            entropy,
        }
    }

    /// From where to take new keys up, once the replica publishes. Only the first
    /// call counts.
    pub fn follow(&self, state: watch::Receiver<Arc<State>>) {
        let _ = self.state.set(state);
    }

    /// Which cluster's secrets these keys seal.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// All that it holds, to be kept on disk.
    pub fn held(&self) -> DataKeys {
        self.read(DataKeys::clone)
    }

    /// All data keys of `state`, for a backup that is to be read without this cluster.
    ///
    /// # Errors
    ///
    /// When this node was not given one of them: it is no voter.
    pub fn all_of(&self, state: &State) -> Result<Vec<(KeyPurpose, u32, Secret)>, SealError> {
        self.take_up(state);
        let keys = state.data_keys().map(|key| {
            let bytes = self.key(key.purpose, key.generation)?;
            let secret = Secret::new(bytes.expose().to_vec());
            Ok((key.purpose, key.generation, secret))
        });
        keys.collect()
    }

    /// Opens what `state` holds for this node and we did not have, and forgets what the
    /// cluster has dropped. True if there was any.
    pub fn take_up(&self, state: &State) -> bool {
        let forgotten = self.forget_dropped(state);
        let mut found = DataKeys::new();
        for key in state.data_keys() {
            let which = (key.purpose, key.generation);
            if self.read(|held| held.contains_key(&which)) {
                continue;
            }
            let Some(sealed) = key.sealed_for.get(&self.node) else {
                continue;
            };
            match self.hpke.open(self.label(which), sealed) {
                Ok(bytes) => {
                    found.insert(which, bytes);
                }
                Err(error) => {
                    let (purpose, generation) = which;
                    tracing::error!(%purpose, generation, %error, "a data key is of no use");
                }
            }
        }
        let any = !found.is_empty();
        if any {
            let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
            held.extend(found);
        }
        any || forgotten
    }

    /// A generation that is newer than all that `state` has is one that this replica has
    /// not heard of yet.
    fn forget_dropped(&self, state: &State) -> bool {
        let known: BTreeSet<_> = state
            .data_keys()
            .map(|key| (key.purpose, key.generation))
            .collect();
        let dropped = |which: &(KeyPurpose, u32)| {
            let newest = state.current_data_key(which.0);
            newest.is_some_and(|key| which.1 < key.generation) && !known.contains(which)
        };
        if !self.read(|held| held.keys().any(dropped)) {
            return false;
        }
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.retain(|which, _| !dropped(which));
        true
    }

    /// One of the keys, for sharing it.
    pub(crate) fn key(&self, purpose: KeyPurpose, generation: u32) -> Result<KeyBytes, SealError> {
        let find = |held: &DataKeys| held.get(&(purpose, generation)).cloned();
        if let Some(key) = self.read(find) {
            return Ok(key);
        }
        self.take_up_latest();
        self.read(find).ok_or(SealError::NoKey(purpose, generation))
    }

    /// The generation that seals: the newest that the cluster has. One that is out
    /// of use is never sealed under, even if it is all that we hold: a removed node
    /// may know it.
    pub(crate) fn current(&self, purpose: KeyPurpose) -> u32 {
        let agreed = self.state.get().and_then(|state| {
            let state = state.borrow();
            state.current_data_key(purpose).map(|key| key.generation)
        });
        agreed.unwrap_or_else(|| {
            let newest = |held: &DataKeys| {
                let mut range = held.range((purpose, 0)..=(purpose, u32::MAX));
                range.next_back().map(|((_, generation), _)| *generation)
            };
            self.read(newest).unwrap_or(1)
        })
    }

    fn take_up_latest(&self) {
        let latest = self.state.get().map(|state| state.borrow().clone());
        if let Some(state) = latest {
            self.take_up(&state);
        }
    }

    pub(crate) fn label(&self, (purpose, generation): (KeyPurpose, u32)) -> Label {
        Label {
            cluster: self.cluster,
            purpose,
            generation,
            node: self.node,
        }
    }

    fn read<T>(&self, look: impl FnOnce(&DataKeys) -> T) -> T {
        look(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Seal for Keyring {
    fn seal(
        &self,
        purpose: KeyPurpose,
        context: &SealContext,
        secret: &[u8],
    ) -> Result<Sealed, SealError> {
        let generation = self.current(purpose);
        let key = self.key(purpose, generation)?;
        let which = (purpose, generation);
        key.seal(which, self.cluster, context, secret, &*self.entropy)
    }

    fn open(&self, sealed: &Sealed, context: &SealContext) -> Result<Secret, SealError> {
        let key = self.key(sealed.purpose, sealed.generation)?;
        key.open(self.cluster, context, sealed)
    }
}

/// The data keys of a cluster that left a backup: they open what it had sealed.
pub struct LeftKeys {
    cluster: ClusterId,
    keys: DataKeys,
}

/// A key of a backup is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a data key of the backup has not 32 bytes, or no purpose that is known")]
pub struct LeftKeyError;

impl LeftKeys {
    /// Those of `cluster`: purposes by their names, generations and secrets.
    ///
    /// # Errors
    ///
    /// When one is no key.
    pub fn new<'a>(
        cluster: ClusterId,
        keys: impl Iterator<Item = (&'a str, u32, &'a [u8])>,
    ) -> Result<Self, LeftKeyError> {
        let key = |(purpose, generation, secret)| {
            let purpose = KeyPurpose::parse(purpose)?;
            Some(((purpose, generation), KeyBytes::from_slice(secret)?))
        };
        let keys = keys.map(key).collect::<Option<_>>();
        keys.map(|keys| Self { cluster, keys }).ok_or(LeftKeyError)
    }

    /// What was sealed for `context` in that cluster, sealed by `ours` for this one.
    ///
    /// # Errors
    ///
    /// When a key is missing on either side, or what was sealed is damaged.
    pub fn reseal(
        &self,
        ours: &dyn Seal,
        context: &SealContext,
        sealed: &Sealed,
    ) -> Result<Sealed, SealError> {
        let Sealed {
            purpose,
            generation,
            ..
        } = *sealed;
        let key = self.keys.get(&(purpose, generation));
        let key = key.ok_or(SealError::NoKey(purpose, generation))?;
        let secret = key.open(self.cluster, context, sealed)?;
        ours.seal(purpose, context, secret.expose())
    }
}

impl fmt::Debug for LeftKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeftKeys({:?})", self.keys.keys())
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held: Vec<_> = self.read(|held| held.keys().copied().collect());
        write!(f, "Keyring({held:?})")
    }
}
