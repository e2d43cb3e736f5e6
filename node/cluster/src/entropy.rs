//! Chance, as an argument.

use std::fmt;

/// A source of random bytes fit for keys.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// The system's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        #[expect(
            clippy::expect_used,
            reason = "AWS-LC's RAND_bytes ends the process when the system has no entropy; it \
                      does not return a failure"
        )]
        aws_lc_rs::rand::fill(bytes).expect("AWS-LC's generator does not fail");
    }
}

/// An array of random bytes.
pub(crate) fn random<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}
