//! Answers that every edge must be able to give.

use std::sync::Arc;

use crate::{Hostname, OrderId};

/// An http-01 challenge (RFC 8555 section 8.3) of an order in flight. Derived
/// from the order; never stored by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Whose order.
    pub order: OrderId,
    /// The only hostname that may be asked for it.
    pub hostname: Hostname,
    /// `token.thumbprint`.
    pub key_authorization: Arc<str>,
}

/// True if `token` has the shape of one: base64url, 1 to 128 characters
/// (RFC 8555 section 8.3 asks for at least 128 bits, CAs give 43 characters).
pub fn is_token(token: &str) -> bool {
    (1..=128).contains(&token.len())
        && token
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
