//! Many records into a state.

use super::{DecodeError, record::Pair};
use crate::State;

/// Records of a window.
const WINDOW: usize = 1024;

/// Loads records that come in the order of their keys ([`State::load`]), so that the state
/// takes little memory.
///
/// A node of a map into which keys come in their order splits behind the last of them and
/// stays half full. So records are taken a window at a time, and those of a window in the
/// order of their places with the bits reversed: always in the midst of those before.
#[derive(Debug, Default)]
pub struct Loader {
    state: State,
    window: Vec<Pair>,
}

impl Loader {
    /// Adds to what was loaded before.
    pub fn new(state: State) -> Self {
        Self {
            state,
            window: Vec::new(),
        }
    }

    /// Takes one in, or a window of them.
    pub fn take(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<(), DecodeError> {
        // What a hostname needs is derived from its certificates: kinds stay in their order.
        let other = |(first, _): &Pair| first.first() != key.first();
        if self.window.len() == WINDOW || self.window.first().is_some_and(other) {
            self.place()?;
        }
        self.window.push((key, value));
        Ok(())
    }

    /// The state with all that was taken.
    pub fn finish(mut self) -> Result<State, DecodeError> {
        self.place()?;
        Ok(self.state)
    }

    fn place(&mut self) -> Result<(), DecodeError> {
        let bits = usize::BITS - self.window.len().saturating_sub(1).leading_zeros();
        for turn in 0..1_usize << bits {
            let place = turn.reverse_bits().checked_shr(usize::BITS - bits);
            // Shifted out altogether: there is one record, or none.
            if let Some((key, value)) = self.window.get(place.unwrap_or(0)) {
                self.state.load(key, value)?;
            }
        }
        self.window.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Alone, ManualClock};

    #[test]
    fn what_is_loaded_is_the_state_that_it_was_however_many_records_there_are() {
        let alone = Alone::founded(std::sync::Arc::new(ManualClock::default()), |_| {});
        let mut authorized = 0;
        for count in [0, 1, 2, 3, 5, 700, WINDOW, WINDOW + 1, 2 * WINDOW + 3] {
            while authorized < count {
                alone.authorize(&format!("shop-{authorized}.client.example"));
                authorized += 1;
            }
            let expected: Vec<_> = alone.state().records().collect();
            let mut loader = Loader::default();
            for (key, value) in expected.clone() {
                loader.take(key, value).unwrap();
            }
            let loaded: Vec<_> = loader.finish().unwrap().records().collect();
            assert_eq!(loaded, expected, "{count}");
        }
    }
}
