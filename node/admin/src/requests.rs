//! Keys for requests that somebody else's CA is to sign. They are made elsewhere: here
//! they pass through, and are sealed before anything is agreed on.

use bytes::Bytes;
use state::{Hostname, KeyAlgorithm, Secret};

/// Makes keys and the requests that they sign.
pub trait Requests: Send + Sync {
    /// A new key of that kind and a request for `hostname`, and for every name one label
    /// below it if `wildcard` says so. Blocks, for RSA up to a second: called where that
    /// holds up nobody.
    ///
    /// # Errors
    /// When the system gave no key.
    fn request(
        &self,
        hostname: &Hostname,
        wildcard: bool,
        algorithm: KeyAlgorithm,
    ) -> Result<Requested, RequestError>;
}

/// A private key and the request that it signed.
#[derive(Debug)]
pub struct Requested {
    /// PKCS #8.
    pub key: Secret,
    /// PKCS #10 (DER).
    pub csr: Bytes,
}

/// Why no key was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no key could be made: {0}")]
pub struct RequestError(pub String);
