//! SHA-256 of what must be alike.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::HEXLOWER;
use state::State;

/// SHA-256; shown by its first 8 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// What was fed to `hash`.
    pub(crate) fn of(hash: Context) -> Self {
        let mut digest = [0; 32];
        digest.copy_from_slice(hash.finish().as_ref());
        Self(digest)
    }

    /// Of these bytes.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        let mut hash = Context::new(&SHA256);
        hash.update(bytes);
        Self::of(hash)
    }

    /// Of where `state` stands, who takes part in it, and all its records in their order.
    pub(crate) fn of_state(state: &State) -> Self {
        let mut hash = Context::new(&SHA256);
        let place = (state.index(), state.voters(), state.learners());
        feed(&mut hash, format!("{place:?}").as_bytes());
        for (key, value) in state.records() {
            feed(&mut hash, &key);
            feed(&mut hash, &value);
        }
        Self::of(hash)
    }
}

/// Feeds `bytes` after their length, so that no two sequences feed alike.
pub(crate) fn feed(hash: &mut Context, bytes: &[u8]) {
    hash.update(&(bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shown, _) = self.0.split_at(8);
        f.write_str(&HEXLOWER.encode(shown))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
