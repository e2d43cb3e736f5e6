//! Chance as an argument: ids, tokens, nonces and serial numbers come from here.

use data_encoding::{BASE32_DNSSEC, BASE64URL_NOPAD};

/// A source of unpredictable bytes.
///
/// The core draws every id, token, nonce and serial number from it, so that a
/// simulation with a seeded source repeats itself. Key generation and the blinding of
/// signatures stay with aws-lc and are not drawn from here.
pub trait Entropy: Send {
    /// Fills `out` with unpredictable bytes.
    fn fill(&mut self, out: &mut [u8]);
}

/// The process-wide generator of aws-lc.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(
        clippy::expect_used,
        reason = "aws-lc's RAND_bytes aborts the process rather than return a failure"
    )]
    fn fill(&mut self, out: &mut [u8]) {
        aws_lc_rs::rand::fill(out).expect("aws-lc always fills");
    }
}

/// A fresh id for an account, order or authorization: 80 bits, sixteen characters that
/// need no escaping in a URL.
pub(crate) fn draw_id(entropy: &mut dyn Entropy) -> String {
    let mut bytes = [0; 10];
    entropy.fill(&mut bytes);
    BASE32_DNSSEC.encode(&bytes)
}

/// A fresh challenge token: 256 bits, where RFC 8555 section 8.3 asks for 128.
pub(crate) fn draw_token(entropy: &mut dyn Entropy) -> String {
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes);
    BASE64URL_NOPAD.encode(&bytes)
}

/// A fresh serial number: positive, 127 bits, never a zero first byte, so that its DER
/// form and its hex form have one spelling.
pub(crate) fn draw_serial(entropy: &mut dyn Entropy) -> [u8; 16] {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    bytes
}
