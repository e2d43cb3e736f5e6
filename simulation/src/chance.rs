//! All chance of a run, from its seed.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A source of chance. Each part of a run has one of its own, so that one part's
/// drawing more or less does not change what another draws.
#[derive(Debug, Clone)]
pub(crate) struct Chance(ChaCha8Rng);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A seed for somebody else.
    pub(crate) fn seed(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A source for another part.
    pub(crate) fn fork(&mut self) -> Self {
        Self::new(self.seed())
    }

    /// Both bounds included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0.random_range(low..=high.max(low))
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.between(1, count) == 1
    }

    /// Fills `bytes`.
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// `None` if there is nothing to pick from.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let last = (from.len() as u64).checked_sub(1)?;
        from.get(usize::try_from(self.between(0, last)).unwrap_or_default())
    }
}
