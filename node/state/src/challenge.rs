//! Answers that every edge must be able to give. Derived from orders in flight; never
//! stored by themselves.

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};

use crate::{Hostname, OrderId};

/// An http-01 challenge (RFC 8555 section 8.3) of an order in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Whose order.
    pub order: OrderId,
    /// The only hostname that may be asked for it.
    pub hostname: Hostname,
    /// `token.thumbprint`.
    pub key_authorization: Arc<str>,
}

/// A key authorization (RFC 8555 section 8.1).
pub fn key_authorization(token: &str, thumbprint: &str) -> String {
    format!("{token}.{thumbprint}")
}

/// The digest that a tls-alpn-01 certificate carries (RFC 8737 section 3).
pub fn alpn_digest(key_authorization: &str) -> [u8; 32] {
    Sha256::digest(key_authorization.as_bytes()).into()
}

/// The text of a dns-01 record (RFC 8555 section 8.4).
pub fn dns_value(key_authorization: &str) -> String {
    BASE64URL_NOPAD.encode(&alpn_digest(key_authorization))
}

/// True if `token` has the shape of one: base64url, 1 to 128 characters
/// (RFC 8555 section 8.3 asks for at least 128 bits, CAs give 43 characters).
pub fn is_token(token: &str) -> bool {
    (1..=128).contains(&token.len())
        && token
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_and_text_are_those_of_the_rfcs() {
        let authorization = key_authorization("token", "thumbprint");
        assert_eq!(authorization, "token.thumbprint");
        // printf token.thumbprint | openssl dgst -sha256 -binary | basenc --base64url
        assert_eq!(
            dns_value(&authorization),
            "61rBZ_4knHblO0MNoxFsXZ_eTFUHum0B6IVRbhvUn5I"
        );
    }
}
