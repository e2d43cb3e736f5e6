//! Why an origin gave no answer.

use std::io;

use crate::http::answer::Reason;

/// Why an origin gave no answer. For our log; the client is told the
/// [`Reason`] alone.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the origin's name was not found: {0}")]
    Lookup(io::Error),
    #[error("the origin's name has no address")]
    NoAddress,
    #[error("no connection to the origin: {0}")]
    Connect(io::Error),
    #[error("the origin did not accept a connection in time")]
    ConnectTimeout,
    #[error("the origin's name cannot stand in a certificate")]
    Name,
    #[error("no TLS with the origin: {0}")]
    Tls(io::Error),
    #[error("the settings of TLS with the origin cannot be used: {0}")]
    Setup(String),
    #[error("the origin did not agree to HTTP/2")]
    NoHttp2,
    #[error("no HTTP handshake with the origin: {0}")]
    Http(hyper::Error),
    #[error("the handshake with the origin took too long")]
    HandshakeTimeout,
    #[error("another request has just failed to connect to the origin: {}", .0.code())]
    Elsewhere(Reason),
    #[error("all connections to the origin are in use")]
    Busy,
    #[error("the origin speaks HTTP/2 only, which has no WebSocket upgrade")]
    NoUpgrade,
    #[error("the host cannot be written in a request")]
    Host,
    #[error("the exchange with the origin failed: {0}")]
    Exchange(hyper::Error),
    #[error("the origin did not answer in time")]
    ResponseTimeout,
}

impl Failure {
    /// True if it is the origin's, and not of the request or of ours.
    pub(super) const fn blames_the_origin(&self) -> bool {
        !matches!(
            self,
            Self::Busy | Self::NoUpgrade | Self::Host | Self::Setup(_) | Self::Name
        )
    }

    /// What the client is told.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::Lookup(_) | Self::NoAddress | Self::Connect(_) => Reason::OriginUnreachable,
            Self::ConnectTimeout | Self::HandshakeTimeout => Reason::OriginConnectTimeout,
            Self::Name | Self::Tls(_) | Self::Setup(_) | Self::NoHttp2 | Self::Http(_) => {
                Reason::OriginHandshake
            }
            Self::Elsewhere(reason) => *reason,
            Self::Busy => Reason::OriginBusy,
            Self::NoUpgrade => Reason::UpgradeUnsupported,
            Self::Host => Reason::HostInvalid,
            Self::Exchange(error) if error.is_parse() => Reason::OriginInvalid,
            Self::Exchange(_) => Reason::OriginClosed,
            Self::ResponseTimeout => Reason::OriginResponseTimeout,
        }
    }
}

/// Why the roots for origins' certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// Not PEM, or no certificate in it.
    #[error("the trust roots are no PEM certificates: {0}")]
    Pem(rustls::pki_types::pem::Error),
    /// PEM, but no certificate inside.
    #[error("trust root {place} cannot be used: {error}")]
    Root {
        /// Counted from 1.
        place: usize,
        /// What rustls says of it.
        error: rustls::Error,
    },
    /// The provider lacks TLS 1.2 or 1.3.
    #[error("TLS towards origins cannot be set up: {0}")]
    Setup(rustls::Error),
}
