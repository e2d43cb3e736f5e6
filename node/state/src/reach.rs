//! How a node is told apart from a stranger over the public road.
//!
//! Before an order somebody of the cluster asks port 80 of the addresses that a hostname has
//! for `/.well-known/hostquorum/reach/<nonce>`. A node answers, before routes and redirects,
//! what only holders of the cluster's keys can say ([`crate::ports::Reach`]). The answer does
//! not tell whether the hostname is known.

use data_encoding::BASE64URL_NOPAD;

/// Where nodes answer; the nonce follows.
pub const PATH: &str = "/.well-known/hostquorum/reach/";

/// Characters of 16 octets in base64url.
const NONCE_LENGTH: usize = 22;

/// A random name for one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce(String);

impl Nonce {
    /// From 16 random bytes.
    pub fn new(random: [u8; 16]) -> Self {
        Self(BASE64URL_NOPAD.encode(&random))
    }

    /// The nonce in a request's path; `None` if it asks for something else.
    pub fn in_path(path: &str) -> Option<Self> {
        let text = path.strip_prefix(PATH)?;
        let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let good = text.len() == NONCE_LENGTH && text.bytes().all(letter);
        good.then(|| Self(text.to_owned()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path to ask for.
    pub fn path(&self) -> String {
        format!("{PATH}{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_found_in_its_path() {
        let nonce = Nonce::new([7; 16]);
        let path = "/.well-known/hostquorum/reach/BwcHBwcHBwcHBwcHBwcHBw";
        assert_eq!(nonce.path(), path);
        assert_eq!(Nonce::in_path(path), Some(nonce));
    }

    #[test]
    fn only_nonces_are_answered() {
        for path in [
            "/.well-known/hostquorum/reach/",
            "/.well-known/hostquorum/reach/short",
            "/.well-known/hostquorum/reach/BwcHBwcHBwcHBwcHBwcHB/",
            "/.well-known/hostquorum/reach/BwcHBwcHBwcHBwcHBwcHBwx",
            "/.well-known/hostquorum/BwcHBwcHBwcHBwcHBwcHBw",
        ] {
            assert_eq!(Nonce::in_path(path), None, "{path}");
        }
    }
}
