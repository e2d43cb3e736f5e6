//! What can be wrong with what an operator brings.

use state::{Hostname, Timestamp};
use tonic::Code;

use crate::{
    explain::words::moment,
    pem::{NoCertificates, NoKey},
    problem::{Detail, Problem},
};

/// Why a certificate is not served. Never quotes a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the certificate cannot be read: {0}")]
    Unreadable(#[from] NoCertificates),
    #[error("the private key cannot be used: {0}")]
    Key(#[from] NoKey),
    #[error("the first certificate is a CA's: put the hostname's own first, then its issuers")]
    CaFirst,
    #[error("the private key is not the certificate's")]
    KeyMismatch,
    #[error(
        "the certificate is not for the key of the hostname's request: was it signed for an \
         earlier request, or has it a key of its own to be given with it?"
    )]
    RequestMismatch,
    #[error("the hostname's own request cannot be read: make another")]
    OwnRequest,
    #[error(
        "the private key is that of certificate {0}: put that one first, then its issuers in \
         their order"
    )]
    KeyOfAnother(usize),
    #[error("the certificate's key has {0} bits of RSA: browsers ask for 2048 at least")]
    WeakKey(usize),
    #[error("the certificate's key is neither of RSA nor of ECDSA")]
    KeyKind,
    #[error("certificate {0} ({1}) is signed with SHA-1 or MD5, which no browser accepts")]
    WeakSignature(usize, String),
    #[error(
        "the certificate does not cover {hostname}: it is for {}",
        or_nothing(names)
    )]
    Name {
        hostname: Hostname,
        /// As many as can be told.
        names: String,
    },
    #[error("the certificate is not for servers: its extended key usage lacks serverAuth")]
    Usage,
    #[error("the certificate ended at {}", moment(*.0))]
    Expired(Timestamp),
    #[error("the certificate is not valid before {}", moment(*.0))]
    NotYetValid(Timestamp),
    #[error("the chain does not hold together: {0}")]
    Chain(String),
}

fn or_nothing(names: &str) -> &str {
    if names.is_empty() {
        "no DNS name (the common name counts for nothing)"
    } else {
        names
    }
}

impl Fault {
    /// Stable, for programs.
    fn reason(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "CERTIFICATE_UNREADABLE",
            Self::Key(_) => "KEY_UNREADABLE",
            Self::CaFirst | Self::Chain(_) => "CERTIFICATE_CHAIN",
            Self::KeyMismatch
            | Self::RequestMismatch
            | Self::OwnRequest
            | Self::KeyOfAnother(_) => "KEY_MISMATCH",
            Self::WeakKey(_) | Self::KeyKind | Self::WeakSignature(..) => "CERTIFICATE_WEAK",
            Self::Name { .. } => "CERTIFICATE_NAME",
            Self::Usage => "CERTIFICATE_USAGE",
            Self::Expired(_) => "CERTIFICATE_EXPIRED",
            Self::NotYetValid(_) => "CERTIFICATE_NOT_YET_VALID",
        }
    }

    fn field(&self) -> &'static str {
        match self {
            Self::Key(_) | Self::KeyMismatch | Self::KeyOfAnother(_) => "private_key_pem",
            _ => "chain_pem",
        }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self {
            detail: Detail::Field(fault.field()),
            ..Self::new(Code::InvalidArgument, fault.reason(), fault.to_string())
        }
    }
}
