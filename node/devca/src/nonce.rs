//! Anti-replay nonces (RFC 8555 section 6.5): each is good for one request.

use std::collections::{HashSet, VecDeque};

use data_encoding::BASE64URL_NOPAD;

use crate::entropy::Entropy;

/// How many unspent nonces are remembered; the oldest is forgotten first. A client that
/// comes back with a forgotten one gets `badNonce` and a new one, so the limit costs a
/// retry and bounds memory at about 2 MB.
const LIMIT: usize = 16_384;

/// 128 bits cannot be guessed within the life of a nonce.
const NONCE_BYTES: usize = 16;

/// The nonces given out and not yet spent.
///
/// They live in memory only: after a restart every client is told `badNonce` once.
#[derive(Debug, Default)]
pub(crate) struct Nonces {
    unspent: HashSet<[u8; NONCE_BYTES]>,
    /// Oldest first; also holds spent ones until they reach the front.
    order: VecDeque<[u8; NONCE_BYTES]>,
}

impl Nonces {
    /// A new nonce, remembered until it is spent or forgotten.
    pub(crate) fn draw(&mut self, entropy: &mut dyn Entropy) -> String {
        let mut nonce = [0; NONCE_BYTES];
        entropy.fill(&mut nonce);
        if self.order.len() >= LIMIT
            && let Some(oldest) = self.order.pop_front()
        {
            self.unspent.remove(&oldest);
        }
        self.unspent.insert(nonce);
        self.order.push_back(nonce);
        BASE64URL_NOPAD.encode(&nonce)
    }

    /// Spends a nonce; false when it was never given out, was spent, or is forgotten.
    pub(crate) fn spend(&mut self, nonce: &str) -> bool {
        BASE64URL_NOPAD
            .decode(nonce.as_bytes())
            .ok()
            .and_then(|bytes| <[u8; NONCE_BYTES]>::try_from(bytes).ok())
            .is_some_and(|bytes| self.unspent.remove(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    #[test]
    fn each_nonce_is_spent_once() {
        let mut nonces = Nonces::default();
        let nonce = nonces.draw(&mut SystemEntropy);
        assert!(nonces.spend(&nonce));
        assert!(!nonces.spend(&nonce));
    }

    #[test]
    fn unknown_and_misshapen_nonces_are_refused() {
        let mut nonces = Nonces::default();
        for nonce in ["", "AAAAAAAAAAAAAAAAAAAAAA", "not base64!", "AAAA"] {
            assert!(!nonces.spend(nonce), "{nonce:?}");
        }
    }

    #[test]
    fn the_oldest_is_forgotten_at_the_limit() {
        let mut nonces = Nonces::default();
        let first = nonces.draw(&mut SystemEntropy);
        let second = nonces.draw(&mut SystemEntropy);
        for _ in 0..LIMIT - 1 {
            nonces.draw(&mut SystemEntropy);
        }
        assert!(!nonces.spend(&first));
        assert!(nonces.spend(&second));
        assert!(nonces.order.len() <= LIMIT);
    }
}
