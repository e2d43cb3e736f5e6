//! The answer by which nodes of this cluster are known over the public road.
//!
//! ```text
//! hostquorum-reach=<base64url(HMAC-SHA256(key, "hostquorum reach" 0x00 host 0x00 nonce))>
//! ```
//!
//! The key is derived from the serving key, which every member has, so that neither a server
//! that repeats what it is asked nor another cluster at a borrowed address is taken for us.

use std::fmt;

use aws_lc_rs::{hkdf, hmac};
use data_encoding::BASE64URL_NOPAD;
use state::{ClusterId, KeyPurpose, ports::Reach, reach::Nonce};
use zeroize::Zeroizing;

use crate::{data_key::KeyBytes, keyring::Keyring};

/// What stands before the code in an answer.
const PREFIX: &str = "hostquorum-reach=";
/// Keeps the key's other uses apart.
const CONTEXT: &[u8] = b"hostquorum reach";

/// For nothing but these answers.
struct ReachKey(hmac::Key);

impl ReachKey {
    fn derived(serving: &KeyBytes, cluster: ClusterId) -> Option<Self> {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, &cluster.0);
        let extracted = salt.extract(serving.expose());
        let mut bytes = Zeroizing::new([0; 32]);
        let expanded = extracted.expand(&[CONTEXT], hkdf::HKDF_SHA256);
        expanded.and_then(|okm| okm.fill(&mut *bytes)).ok()?;
        Some(Self::new(&bytes))
    }

    fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    fn answer(&self, host: &str, nonce: &Nonce) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [CONTEXT, b"\0", host.as_bytes(), b"\0"] {
            context.update(part);
        }
        context.update(nonce.as_str().as_bytes());
        let code = BASE64URL_NOPAD.encode(context.sign().as_ref());
        format!("{PREFIX}{code}")
    }
}

impl fmt::Debug for ReachKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReachKey")
    }
}

/// By the present serving key, and by the one before it: a rotation reaches one member after
/// the other.
impl Reach for Keyring {
    fn answers(&self, host: &str, nonce: &Nonce) -> Vec<String> {
        let newest = self.current(KeyPurpose::Serving);
        let both = [newest, newest.saturating_sub(1)].into_iter();
        let both = both.filter(|generation| *generation > 0);
        let held = both.filter_map(|generation| self.key(KeyPurpose::Serving, generation).ok());
        held.filter_map(|key| ReachKey::derived(&key, self.cluster()))
            .map(|key| key.answer(host, nonce))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_for_one_host_one_nonce_and_one_cluster() {
        let nonce = Nonce::new([7; 16]);
        let key = KeyBytes::from_slice(&[1; 32]).unwrap();
        let cluster = ClusterId([3; 16]);
        let derived = |key: &KeyBytes, cluster| ReachKey::derived(key, cluster).unwrap();
        let answer = derived(&key, cluster).answer("shop.client.example", &nonce);
        // Nodes of different versions must understand each other.
        assert_eq!(
            answer,
            "hostquorum-reach=ZF1AM-DODOdTYH-2mXtGisttzRMc2VzKiI7RBYNDdVo"
        );
        let others = [
            derived(&key, cluster).answer("other.client.example", &nonce),
            derived(&key, cluster).answer("shop.client.example", &Nonce::new([8; 16])),
            derived(&key, ClusterId([4; 16])).answer("shop.client.example", &nonce),
            derived(&KeyBytes::from_slice(&[2; 32]).unwrap(), cluster)
                .answer("shop.client.example", &nonce),
        ];
        assert!(!others.contains(&answer), "{others:?}");
    }

    #[test]
    fn the_code_is_hmac_sha256_of_host_and_nonce() {
        let answer = ReachKey::new(&[1; 32]).answer("shop.client.example", &Nonce::new([7; 16]));
        // printf 'hostquorum reach\0shop.client.example\0BwcHBwcHBwcHBwcHBwcHBw' |
        //   openssl dgst -sha256 -mac HMAC -macopt hexkey:0101... -binary | basenc --base64url
        assert_eq!(
            answer,
            "hostquorum-reach=qyoBqg44hEZ8YBz3sOhVhqL0zUiziVRbo9D0eE8Qw8Y"
        );
    }
}
