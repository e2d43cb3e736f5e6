//! The look from outside: is it one of our nodes that answers at the name's addresses?
//!
//! Before an order the leader asks port 80 of each of the cluster's addresses for
//! `/.well-known/hostquorum/reach/<nonce>` with the hostname as `Host`, over the public
//! road that a CA would take. Every node answers, before routes and redirects:
//!
//! ```text
//! hostquorum-reach=<base64url(HMAC-SHA256(key, "hostquorum reach" 0x00 host 0x00 nonce))>
//! ```
//!
//! The key is the cluster's, so that neither a server that repeats what it is asked nor
//! another cluster at a borrowed address is taken for us. The host is in it as it was asked
//! for, in lower case without port. The answer says nothing of whether the host is known.

use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;
use state::Hostname;

/// Where nodes answer; the nonce follows.
pub const PATH: &str = "/.well-known/hostquorum/reach/";
/// What stands before the code in an answer.
const PREFIX: &str = "hostquorum-reach=";
/// Keeps the key's other uses apart.
const CONTEXT: &[u8] = b"hostquorum reach";

/// What all nodes know and nobody else.
#[derive(Clone)]
pub struct ReachKey(hmac::Key);

/// A random name for one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce(String);

impl ReachKey {
    /// From 32 bytes that are derived from the cluster's serving key and used for nothing
    /// else.
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// What a node answers.
    pub fn answer(&self, host: &Hostname, nonce: &Nonce) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [CONTEXT, b"\0", host.as_str().as_bytes(), b"\0"] {
            context.update(part);
        }
        context.update(nonce.0.as_bytes());
        format!(
            "{PREFIX}{}",
            BASE64URL_NOPAD.encode(context.sign().as_ref())
        )
    }
}

impl std::fmt::Debug for ReachKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReachKey")
    }
}

impl Nonce {
    /// From 16 random bytes.
    pub fn new(random: [u8; 16]) -> Self {
        Self(BASE64URL_NOPAD.encode(&random))
    }

    /// The nonce in a request's path; `None` if it asks for something else.
    pub fn in_path(path: &str) -> Option<Self> {
        let text = path.strip_prefix(PATH)?;
        let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let good = text.len() == 22 && text.bytes().all(letter);
        good.then(|| Self(text.to_owned()))
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
    fn a_node_answers_what_the_leader_expects_and_no_other_cluster_does() {
        let nonce = Nonce::new([7; 16]);
        assert_eq!(
            nonce.path(),
            "/.well-known/hostquorum/reach/BwcHBwcHBwcHBwcHBwcHBw"
        );
        assert_eq!(Nonce::in_path(&nonce.path()), Some(nonce.clone()));
        let host = Hostname::parse("shop.client.example").unwrap();
        let answer = ReachKey::new(&[1; 32]).answer(&host, &nonce);
        // Whoever else implements this holds itself to these bytes.
        assert_eq!(
            answer,
            "hostquorum-reach=qyoBqg44hEZ8YBz3sOhVhqL0zUiziVRbo9D0eE8Qw8Y"
        );
        assert_ne!(ReachKey::new(&[2; 32]).answer(&host, &nonce), answer);
        let other = Hostname::parse("other.client.example").unwrap();
        assert_ne!(ReachKey::new(&[1; 32]).answer(&other, &nonce), answer);
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
