//! Certificates and keys that operators bring, as text.

use admin::fuzzing::upload;
use state::{Hostname, Timestamp};
use x509_parser::prelude::{FromDer, X509Certificate};

/// For whom.
const HOSTNAME: &str = "shop.client.example";
/// When: the certificates of the corpus are valid then.
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
/// A line of base64 so long may be a part of a key.
const SECRET: usize = 32;

/// Reads a text that holds both, a chain and its key, in any order.
pub fn target(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let hostname = Hostname::parse(HOSTNAME).unwrap();
    match upload(&hostname, &text, text.as_bytes(), NOW) {
        Ok(uploaded) => {
            let (_, leaf) = X509Certificate::from_der(&uploaded.leaf).unwrap();
            let public = uploaded.public.expect("the key that is kept can be opened");
            assert_eq!(leaf.public_key().raw, public);
            assert!(uploaded.validity.1 > NOW);
            for warning in &uploaded.warnings {
                crate::is_fit_to_show(warning);
            }
        }
        Err(error) => {
            crate::is_fit_to_show(&error);
            for line in text.lines().filter(|line| line.len() >= SECRET) {
                let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
                let secret = line.bytes().all(plain) && error.contains(line);
                assert!(!secret, "the error quotes what may be a key");
            }
        }
    }
}
