//! From a leaf to the cluster's root, within dates.

use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::certificate::Leaf;

/// What a certificate must be good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// To be called.
    Server,
    /// To call.
    Client,
}

/// Why a chain is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The leaf or an issuer is over.
    #[error("a certificate of the chain has expired, or this machine's clock is ahead")]
    Expired,
    /// The leaf or an issuer has not begun.
    #[error("a certificate of the chain is not valid yet, or this machine's clock is behind")]
    NotYetValid,
    /// It does not lead to the root.
    #[error("the certificate does not lead to the cluster's root: {0}")]
    Untrusted(webpki::Error),
    /// No certificate at all.
    #[error("a certificate of the chain could not be read")]
    Unreadable,
}

/// Verifies that `leaf` leads to `root` over `intermediates` at `now`, and is good
/// for `usage`. Names are the caller's to check.
pub fn verify(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    root: &CertificateDer<'_>,
    now: UnixTime,
    usage: Usage,
) -> Result<(), ChainError> {
    let anchor = anchor_from_trusted_cert(root).map_err(|_| ChainError::Unreadable)?;
    // webpki takes an anchor as it is; ours ends some day like any certificate.
    let dates = Leaf::read(root).map_err(|_| ChainError::Unreadable)?;
    let now_secs = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now_secs > dates.not_after {
        return Err(ChainError::Expired);
    }
    if now_secs < dates.not_before {
        return Err(ChainError::NotYetValid);
    }
    let leaf = EndEntityCert::try_from(leaf).map_err(|_| ChainError::Unreadable)?;
    let usage = match usage {
        Usage::Server => KeyUsage::server_auth(),
        Usage::Client => KeyUsage::client_auth(),
    };
    let algorithms = webpki::ALL_VERIFICATION_ALGS;
    leaf.verify_for_usage(algorithms, &[anchor], intermediates, now, usage, None, None)
        .map(|_| ())
        .map_err(|error| match error {
            webpki::Error::CertExpired { .. } => ChainError::Expired,
            webpki::Error::CertNotValidYet { .. } => ChainError::NotYetValid,
            other => ChainError::Untrusted(other),
        })
}
