//! What the CA says when it refuses: problem documents (RFC 7807) of RFC 8555 section 6.7.

use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

/// The error types of RFC 8555 section 6.7 that this CA can give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Kind {
    /// No account has this key or id.
    #[serde(rename = "urn:ietf:params:acme:error:accountDoesNotExist")]
    AccountDoesNotExist,
    /// The certificate has a replacement, or an order for one (RFC 9773 section 7.4).
    #[serde(rename = "urn:ietf:params:acme:error:alreadyReplaced")]
    AlreadyReplaced,
    /// The certificate was revoked before.
    #[serde(rename = "urn:ietf:params:acme:error:alreadyRevoked")]
    AlreadyRevoked,
    /// The certificate signing request is unacceptable.
    #[serde(rename = "urn:ietf:params:acme:error:badCSR")]
    BadCsr,
    /// The nonce is unknown or spent.
    #[serde(rename = "urn:ietf:params:acme:error:badNonce")]
    BadNonce,
    /// The JWS was signed by a key this CA does not take.
    #[serde(rename = "urn:ietf:params:acme:error:badPublicKey")]
    BadPublicKey,
    /// The revocation reason is not one a subscriber may give.
    #[serde(rename = "urn:ietf:params:acme:error:badRevocationReason")]
    BadRevocationReason,
    /// The JWS uses an algorithm this CA does not take.
    #[serde(rename = "urn:ietf:params:acme:error:badSignatureAlgorithm")]
    BadSignatureAlgorithm,
    /// The validation target could not be reached.
    #[serde(rename = "urn:ietf:params:acme:error:connection")]
    Connection,
    /// The hostname could not be resolved.
    #[serde(rename = "urn:ietf:params:acme:error:dns")]
    Dns,
    /// The CA wants an account of its own customers to vouch (RFC 8555 section 7.3.4).
    #[serde(rename = "urn:ietf:params:acme:error:externalAccountRequired")]
    ExternalAccountRequired,
    /// The validation target answered something else than the challenge asks.
    #[serde(rename = "urn:ietf:params:acme:error:incorrectResponse")]
    IncorrectResponse,
    /// A contact URL is malformed.
    #[serde(rename = "urn:ietf:params:acme:error:invalidContact")]
    InvalidContact,
    /// No certificate profile has this name.
    #[serde(rename = "urn:ietf:params:acme:error:invalidProfile")]
    InvalidProfile,
    /// The request is malformed.
    #[serde(rename = "urn:ietf:params:acme:error:malformed")]
    Malformed,
    /// The order is not in the state that finalizing needs.
    #[serde(rename = "urn:ietf:params:acme:error:orderNotReady")]
    OrderNotReady,
    /// A limit of this CA is reached.
    #[serde(rename = "urn:ietf:params:acme:error:rateLimited")]
    RateLimited,
    /// The CA will not issue for this identifier.
    #[serde(rename = "urn:ietf:params:acme:error:rejectedIdentifier")]
    RejectedIdentifier,
    /// The CA failed.
    #[serde(rename = "urn:ietf:params:acme:error:serverInternal")]
    ServerInternal,
    /// The TLS handshake with the validation target failed.
    #[serde(rename = "urn:ietf:params:acme:error:tls")]
    Tls,
    /// The client may not do this.
    #[serde(rename = "urn:ietf:params:acme:error:unauthorized")]
    Unauthorized,
    /// A contact URL is of a scheme this CA does not use.
    #[serde(rename = "urn:ietf:params:acme:error:unsupportedContact")]
    UnsupportedContact,
    /// An identifier is of a type this CA does not know.
    #[serde(rename = "urn:ietf:params:acme:error:unsupportedIdentifier")]
    UnsupportedIdentifier,
    /// The client's operator must do something first.
    #[serde(rename = "urn:ietf:params:acme:error:userActionRequired")]
    UserActionRequired,
}

impl Kind {
    /// The HTTP status that usually goes with this type.
    fn status(self) -> u16 {
        match self {
            Self::Unauthorized
            | Self::OrderNotReady
            | Self::UserActionRequired
            | Self::ExternalAccountRequired
            | Self::RejectedIdentifier => 403,
            Self::AlreadyReplaced => 409,
            Self::RateLimited => 429,
            Self::ServerInternal => 500,
            _ => 400,
        }
    }
}

/// A refusal: type, HTTP status, and a sentence for people.
///
/// The detail names what was wrong with what; it never carries a key, and a token only
/// where the token is public (a challenge that was answered wrongly).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Problem {
    /// The error type, an URN on the wire.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The HTTP status code.
    pub status: u16,
    /// What went wrong, for people.
    pub detail: String,
    /// One entry for each identifier at fault (RFC 8555 section 6.7.1).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subproblems: Vec<Subproblem>,
    /// The accepted algorithms, with `badSignatureAlgorithm` (RFC 8555 section 6.2).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub algorithms: Vec<String>,
    /// A `Location` header to send along (RFC 8555 section 7.3.5, a key that is taken).
    #[serde(skip)]
    pub location: Option<String>,
    /// An `Allow` header to send along with status 405.
    #[serde(skip)]
    pub allow: Option<&'static str>,
    /// A `Retry-After` header to send along, in seconds.
    #[serde(skip)]
    pub retry_after: Option<NonZeroU32>,
}

/// The part of a problem that concerns one identifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subproblem {
    /// The error type.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What went wrong, for people.
    pub detail: String,
    /// The identifier at fault.
    pub identifier: Identifier,
}

/// An identifier on the wire (RFC 8555 section 9.7.7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identifier {
    /// Its type; this CA knows `dns`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The name itself.
    pub value: String,
}

impl Identifier {
    /// The identifier of a hostname.
    pub fn dns(hostname: &str) -> Self {
        Self {
            kind: "dns".into(),
            value: hostname.into(),
        }
    }
}

impl Problem {
    /// A problem with the status usual for its type.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            status: kind.status(),
            detail: detail.into(),
            subproblems: Vec::new(),
            algorithms: Vec::new(),
            location: None,
            allow: None,
            retry_after: None,
        }
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(Kind::Malformed, detail)
    }

    pub(crate) fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(Kind::Unauthorized, detail)
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::malformed(format!("{what} does not exist here")).with_status(404)
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn with_retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = u32::try_from(seconds).ok().and_then(NonZeroU32::new);
        self
    }

    pub(crate) fn with_location(mut self, url: String) -> Self {
        self.location = Some(url);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({}): {}", self.kind, self.status, self.detail)
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_is_that_of_rfc_8555() {
        let mut problem = Problem::new(Kind::BadCsr, "no names");
        problem.location = Some("never in the body".into());
        assert_eq!(
            serde_json::to_string(&problem).unwrap(),
            r#"{"type":"urn:ietf:params:acme:error:badCSR","status":400,"detail":"no names"}"#
        );
    }
}
