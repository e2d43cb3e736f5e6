//! An identity on disk: one file, replaced whole, opened by the node's own
//! key-encryption key. A restart needs nobody.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use state::{Actor, Change, codec};
use zeroize::Zeroizing;

use super::{
    Candidate, DataKeys, Identity, Invited, envelope::Envelope, file::PublicFile, secrets,
};
use crate::{
    directory::{Directory, DirectoryError},
    entropy::{Entropy, random},
    key_source::{Ikm, Kek, KeySource, KeySourceError},
};

/// Who this node is.
const IDENTITY: &str = "identity.json";

/// A newcomer's keys while it asks.
const CANDIDATE: &str = "joining.json";

/// What the key-encryption key protects.
const WRAPPED: [&str; 2] = [IDENTITY, CANDIDATE];

/// The first command of a cluster that is being formed: secrets in it are sealed.
const FOUNDING: &str = "founding.bin";

/// The node's own files.
pub struct IdentityStore {
    directory: Directory,
    kind: &'static str,
    ikm: Ikm,
    entropy: Arc<dyn Entropy>,
    /// Deriving a key from a passphrase takes a second: done once for each salt.
    derived: Mutex<Option<([u8; 16], Kek)>>,
}

/// Why an identity was not read or kept.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The disk, a mode or an owner.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// No key-encryption key.
    #[error(transparent)]
    KeySource(#[from] KeySourceError),
    /// Not ours, or damaged.
    #[error(
        "{} is damaged or was written by a newer program; restore it from a copy, or remove this \
         node from the cluster and join anew with an empty data directory", .0.display()
    )]
    Damaged(PathBuf),
    /// Wrapped by another key.
    #[error(
        "{} was wrapped by a key from the source `{was}` and does not open with the one from the \
         source `{now}`: is it the right key, and the right data directory?", path.display()
    )]
    WrongKey {
        /// Which file.
        path: PathBuf,
        /// The kind of source it was wrapped by.
        was: String,
        /// The kind of source at hand.
        now: &'static str,
    },
}

/// The clear part of a file, and the secret one.
type Unwrapped<T> = (T, Zeroizing<Vec<u8>>);

impl IdentityStore {
    /// Opens the data directory and the key source. At the first start, when there
    /// is no identity yet, a missing key file is made.
    pub fn open(
        path: &Path,
        source: &KeySource,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, IdentityError> {
        let directory = Directory::open(path)?;
        let first = !WRAPPED.iter().any(|name| directory.file(name).exists());
        Self::of(directory, source, first, entropy)
    }

    /// The same where another source protected the files so far: [`IdentityStore::rewrap`]
    /// brings them under this one. A missing key file is made.
    pub fn open_replacing(
        path: &Path,
        source: &KeySource,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, IdentityError> {
        Self::of(Directory::open(path)?, source, true, entropy)
    }

    fn of(
        directory: Directory,
        source: &KeySource,
        may_create: bool,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, IdentityError> {
        let ikm = source.read(directory.path(), may_create, &*entropy)?;
        Ok(Self {
            directory,
            kind: source.kind(),
            ikm,
            entropy,
            derived: Mutex::new(None),
        })
    }

    /// True if all files open with this store's source.
    pub fn opens(&self) -> Result<bool, IdentityError> {
        for opened in [self.load().map(|_| ()), self.candidate().map(|_| ())] {
            match opened {
                Ok(()) => {}
                Err(IdentityError::WrongKey { .. }) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Brings the files that `before` protects under this store's source, each at once: what a
    /// crash leaves undone is done by another call.
    ///
    /// # Errors
    ///
    /// A file opens with neither, or the disk failed.
    pub fn rewrap(&self, before: &KeySource) -> Result<(), IdentityError> {
        let before = Self::of(self.directory.clone(), before, false, self.entropy.clone())?;
        if matches!(self.load(), Err(IdentityError::WrongKey { .. }))
            && let Some(identity) = before.load()?
        {
            self.save(&identity)?;
        }
        if matches!(self.candidate(), Err(IdentityError::WrongKey { .. }))
            && let Some(candidate) = before.candidate()?
        {
            self.save_candidate(&candidate)?;
        }
        Ok(())
    }

    /// The data directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The identity; `None` if this node belongs to no cluster yet.
    pub fn load(&self) -> Result<Option<Identity>, IdentityError> {
        let Some((public, secret)) = self.read::<PublicFile>(IDENTITY)? else {
            return Ok(None);
        };
        let damaged = || IdentityError::Damaged(self.directory.file(IDENTITY));
        let (keys, data_keys) = secrets::read(&secret).ok_or_else(damaged)?;
        Ok(Some(Identity {
            public: public.into_public().ok_or_else(damaged)?,
            keys,
            data_keys,
        }))
    }

    /// Keeps the identity in place of any earlier one.
    pub fn save(&self, identity: &Identity) -> Result<(), IdentityError> {
        let secret = secrets::write(&identity.keys, &identity.data_keys);
        self.write(IDENTITY, PublicFile::from(&identity.public), &secret)
    }

    /// The keys of a join that has had no answer yet.
    pub fn candidate(&self) -> Result<Option<Candidate>, IdentityError> {
        let Some((for_token, secret)) = self.read::<Invited>(CANDIDATE)? else {
            return Ok(None);
        };
        let damaged = || IdentityError::Damaged(self.directory.file(CANDIDATE));
        let (keys, _) = secrets::read(&secret).ok_or_else(damaged)?;
        Ok(Some(Candidate { for_token, keys }))
    }

    /// Keeps a newcomer's keys before it asks.
    pub fn save_candidate(&self, candidate: &Candidate) -> Result<(), IdentityError> {
        let secret = secrets::write(&candidate.keys, &DataKeys::new());
        self.write(CANDIDATE, candidate.for_token, &secret)
    }

    /// The cluster answered: the candidate has become a member.
    pub fn save_joined(&self, identity: &Identity) -> Result<(), IdentityError> {
        self.save(identity)?;
        Ok(self.directory.remove(CANDIDATE)?)
    }

    /// Keeps the first command and then the identity of a cluster to be formed: once
    /// the identity is there, a restart can finish what a crash cut off.
    pub fn save_founding(&self, identity: &Identity, found: &Change) -> Result<(), IdentityError> {
        let bytes = codec::proposal_to(&Actor::socket(), found);
        self.directory.write(FOUNDING, &bytes)?;
        self.save(identity)
    }

    /// The first command, if this node's cluster is not known to have it yet.
    pub fn founding(&self) -> Result<Option<Change>, IdentityError> {
        let Some(bytes) = self.directory.read(FOUNDING)? else {
            return Ok(None);
        };
        match codec::proposal_from(&bytes) {
            Ok((_, found)) => Ok(Some(found)),
            Err(_) => Err(IdentityError::Damaged(self.directory.file(FOUNDING))),
        }
    }

    /// Somebody else founded the cluster: this node is nobody again.
    pub fn discard_founding(&self) -> Result<(), IdentityError> {
        // In this order, so that what a crash leaves counts for nothing.
        self.directory.remove(IDENTITY)?;
        self.forget_founding()
    }

    /// The first command was applied.
    pub fn forget_founding(&self) -> Result<(), IdentityError> {
        Ok(self.directory.remove(FOUNDING)?)
    }

    fn read<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Option<Unwrapped<T>>, IdentityError> {
        let Some(bytes) = self.directory.read(name)? else {
            return Ok(None);
        };
        let path = self.directory.file(name);
        let Some(envelope) = Envelope::<T>::parse(&bytes) else {
            return Err(IdentityError::Damaged(path));
        };
        let Ok(salt) = <[u8; 16]>::try_from(&envelope.salt[..]) else {
            return Err(IdentityError::Damaged(path));
        };
        match envelope.open(&self.kek(salt)?) {
            Some(secret) => Ok(Some((envelope.public, secret))),
            None => Err(IdentityError::WrongKey {
                path,
                was: envelope.source,
                now: self.kind,
            }),
        }
    }

    fn write<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        public: T,
        secret: &[u8],
    ) -> Result<(), IdentityError> {
        let salt = self.known_salt().unwrap_or_else(|| random(&*self.entropy));
        let kek = self.kek(salt)?;
        let bytes = Envelope::seal(public, self.kind, salt, &kek, secret, &*self.entropy);
        let bytes = bytes.ok_or_else(|| IdentityError::Damaged(self.directory.file(name)))?;
        Ok(self.directory.write(name, &bytes)?)
    }

    fn known_salt(&self) -> Option<[u8; 16]> {
        let derived = self.derived.lock().unwrap_or_else(PoisonError::into_inner);
        derived.as_ref().map(|(salt, _)| *salt)
    }

    fn kek(&self, salt: [u8; 16]) -> Result<Kek, KeySourceError> {
        let mut derived = self.derived.lock().unwrap_or_else(PoisonError::into_inner);
        match &*derived {
            Some((known, kek)) if *known == salt => Ok(kek.clone()),
            _ => {
                let kek = self.ikm.derive(&salt)?;
                *derived = Some((salt, kek.clone()));
                Ok(kek)
            }
        }
    }
}

/// Which of this node's files is wrapped, and by a key from which kind of source, if that can be
/// read; `None` if nothing is wrapped yet.
pub(crate) fn wrapped_by(
    directory: &Directory,
) -> Result<Option<(PathBuf, Option<String>)>, DirectoryError> {
    #[derive(Deserialize)]
    struct Source {
        source: String,
    }
    for name in WRAPPED {
        if let Some(bytes) = directory.read(name)? {
            let read = serde_json::from_slice::<Source>(&bytes).ok();
            return Ok(Some((directory.file(name), read.map(|read| read.source))));
        }
    }
    Ok(None)
}

impl std::fmt::Debug for IdentityStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IdentityStore({}, {})", self.path().display(), self.kind)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use state::{ClusterId, NodeId};

    use super::*;
    use crate::identity::{NodeKeys, Public};
    use crate::{data_key::KeyBytes, entropy::SystemEntropy};
    use state::{KeyPurpose, Secret};

    fn contains(content: &[u8], part: &[u8]) -> bool {
        content.windows(part.len()).any(|window| window == part)
    }

    fn identity() -> Identity {
        let data_key = KeyBytes::generate(&SystemEntropy);
        Identity {
            public: Public {
                cluster: ClusterId([1; 16]),
                node: NodeId(3),
                name: "a".to_owned(),
                root: Bytes::from_static(b"root"),
                chain: vec![Bytes::from_static(b"leaf")],
                seeds: Vec::new(),
                took_part: false,
            },
            keys: NodeKeys::generate().unwrap(),
            data_keys: [((KeyPurpose::Serving, 1), data_key)].into(),
        }
    }

    #[test]
    fn another_source_takes_over_and_the_one_before_opens_nothing_any_more() {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("data");
        let open = |source: &KeySource| IdentityStore::open(&data, source, Arc::new(SystemEntropy));
        let replacing = |source: &KeySource| {
            IdentityStore::open_replacing(&data, source, Arc::new(SystemEntropy)).unwrap()
        };
        let sources = [
            KeySource::Value(Secret::new("a7".repeat(32).into_bytes())),
            KeySource::File(root.path().join("one.key")),
            KeySource::Passphrase(Secret::new(b"correct horse battery".to_vec())),
            KeySource::File(root.path().join("two.key")),
            KeySource::Value(Secret::new("b8".repeat(32).into_bytes())),
        ];
        let (identity, keys) = (identity(), NodeKeys::generate().unwrap());
        let first = open(&sources[0]).unwrap();
        first.save(&identity).unwrap();
        let for_token = Invited {
            cluster: [2; 4],
            invitation: Some(3),
        };
        first
            .save_candidate(&Candidate { for_token, keys })
            .unwrap();
        for pair in sources.windows(2) {
            let [before, now] = pair else { panic!("two") };
            let store = replacing(now);
            assert!(!store.opens().unwrap());
            // Somebody else's key opens nothing, and spoils nothing.
            let stranger = KeySource::Value(Secret::new("c9".repeat(32).into_bytes()));
            let error = store.rewrap(&stranger).unwrap_err();
            assert!(matches!(error, IdentityError::WrongKey { .. }), "{error}");
            store.rewrap(before).unwrap();
            store.rewrap(before).unwrap();
            assert!(store.opens().unwrap());
            let store = open(now).unwrap();
            let kept = store.load().unwrap().unwrap();
            assert_eq!(kept.data_keys, identity.data_keys);
            assert!(store.candidate().unwrap().is_some());
            assert!(!open(before).unwrap().opens().unwrap());
        }
    }

    #[test]
    fn keys_for_receiving_keys_rest_wrapped() {
        let root = tempfile::tempdir().unwrap();
        let source = KeySource::Value(Secret::new("a7".repeat(32).into_bytes()));
        let store =
            IdentityStore::open(&root.path().join("data"), &source, Arc::new(SystemEntropy))
                .unwrap();
        let identity = identity();
        let data_key = &identity.data_keys[&(KeyPurpose::Serving, 1)];
        store.save(&identity).unwrap();
        let content = std::fs::read(store.directory.file(IDENTITY)).unwrap();
        for secret in [identity.keys.hpke.expose_private(), data_key.expose()] {
            assert!(!contains(&content, secret));
            let hex = data_encoding::HEXLOWER.encode(secret);
            assert!(!contains(&content, hex.as_bytes()));
        }
        let kept = store.load().unwrap().unwrap();
        assert_eq!(
            kept.keys.hpke.expose_private(),
            identity.keys.hpke.expose_private()
        );
        assert_eq!(kept.data_keys, identity.data_keys);
        assert_eq!(kept.public, identity.public);
    }
}
