//! The handshake with a client.

use std::{io, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    server::NoServerSessionStorage,
    sign::{CertifiedKey, SingleCertAndKey},
};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{replay::Replay, turns::Turns};

/// What ALPN (RFC 7301) agreed on. Never guessed from the bytes that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Also when the client offered no ALPN at all.
    Http1,
    /// `h2`.
    Http2,
}

/// HTTP/2 in ALPN.
pub(crate) const H2: &[u8] = b"h2";
/// HTTP/1.1 in ALPN.
pub(crate) const HTTP_1_1: &[u8] = b"http/1.1";

/// What connections of one certificate are served with: TLS 1.2 and 1.3, `h2`
/// before `http/1.1`, no early data, no client certificates.
///
/// No sessions are kept: one on one core of one node is worth little behind an anycast
/// address. What is resumed is in tickets, see [`super::tickets`].
///
/// # Errors
///
/// The provider lacks the protocol versions; never with ours.
pub(crate) fn config(
    provider: &Arc<CryptoProvider>,
    key: CertifiedKey,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    config.alpn_protocols = vec![H2.to_vec(), HTTP_1_1.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

/// Why there was no handshake.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("the handshake took too long")]
    Timeout,
    #[error("the handshake failed: {0}")]
    Failed(io::Error),
    #[error("rustls read another server name or protocol than we did")]
    Disagreement,
}

/// Completes the handshake for `name`, of which the hello was read already.
///
/// # Errors
///
/// The client's fault or patience; rustls has sent the alert.
pub(crate) async fn handshake(
    config: Arc<ServerConfig>,
    stream: Replay<TcpStream>,
    name: &str,
    turns: &Turns,
    deadline: Instant,
) -> Result<(TlsStream<Replay<TcpStream>>, Protocol), HandshakeError> {
    let accepted = timeout_at(deadline, turns.run(accept(config, stream, name)));
    let stream = accepted.await.map_err(|_| HandshakeError::Timeout)??;
    let protocol = if stream.get_ref().1.alpn_protocol() == Some(H2) {
        Protocol::Http2
    } else {
        Protocol::Http1
    };
    Ok((stream, protocol))
}

/// The same, whatever the protocol and for as long as it takes.
///
/// # Errors
///
/// See [`handshake`].
pub(super) async fn accept(
    config: Arc<ServerConfig>,
    stream: Replay<TcpStream>,
    name: &str,
) -> Result<TlsStream<Replay<TcpStream>>, HandshakeError> {
    let accepted = TlsAcceptor::from(config).accept(stream).await;
    let stream = accepted.map_err(HandshakeError::Failed)?;
    // Two parsers read the same bytes; should they ever differ, the certificate
    // and the Host rule would be for different names.
    let read = stream.get_ref().1.server_name();
    if read.is_some_and(|read| read.trim_end_matches('.').eq_ignore_ascii_case(name)) {
        Ok(stream)
    } else {
        Err(HandshakeError::Disagreement)
    }
}
