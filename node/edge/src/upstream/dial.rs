//! Opening a connection to an origin.

use std::{io, net::SocketAddr, sync::Arc};

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use state::{Origin, OriginProtocol, OriginScheme, ports::Seal};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    sync::OwnedSemaphorePermit,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{Failure, RootsError, destination::Destination, trust};
use crate::{
    http::body::RequestBody,
    limits::{self, Limits},
};

/// Opens connections; shared by all cores.
pub(crate) struct Dialer {
    provider: Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    /// Opens the keys of certificates that we show to origins.
    seal: Arc<dyn Seal>,
    any: Arc<ClientConfig>,
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

/// The right to hold one connection to an origin.
#[derive(Debug)]
pub(super) enum Slot {
    /// Of those of a pool, and of those that this node may hold to all origins.
    Pooled {
        _pool: OwnedSemaphorePermit,
        _node: OwnedSemaphorePermit,
    },
    /// A short one that asks whether the origin is well; there are few.
    Check,
}

/// A connection just opened; its task runs.
pub(super) enum Dialed {
    Http1(http1::SendRequest<RequestBody>),
    Http2(http2::SendRequest<RequestBody>),
}

impl Dialer {
    /// Trusts the system's roots and those of `pem`.
    ///
    /// # Errors
    ///
    /// `pem` holds what is no certificate.
    pub(crate) fn new(
        provider: &Arc<CryptoProvider>,
        pem: Option<&[u8]>,
        seal: Arc<dyn Seal>,
    ) -> Result<Self, RootsError> {
        let roots = Arc::new(roots(pem)?);
        let config = |alpn: &[&[u8]]| {
            let builder = ClientConfig::builder_with_provider(Arc::clone(provider));
            let builder = builder
                .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
                .map_err(RootsError::Setup)?;
            let mut config = builder
                .with_root_certificates(Arc::clone(&roots))
                .with_no_client_auth();
            config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
            Ok(Arc::new(config))
        };
        Ok(Self {
            provider: Arc::clone(provider),
            seal,
            any: config(&[b"h2", b"http/1.1"])?,
            http1: config(&[b"http/1.1"])?,
            http2: config(&[b"h2"])?,
            roots,
        })
    }

    /// Opens a connection. `http1_only`: whatever the origin would prefer.
    /// `slot` is held until the connection has ended.
    pub(super) async fn dial(
        &self,
        destination: &Destination,
        http1_only: bool,
        limits: &Limits,
        slot: Slot,
    ) -> Result<Dialed, Failure> {
        let stream = timeout(limits.connect, connect(&destination.origin, limits))
            .await
            .map_err(|_| Failure::ConnectTimeout)??;
        let shaken = timeout(
            limits.origin_handshake,
            self.shake_hands(destination, http1_only, stream, slot),
        );
        shaken.await.map_err(|_| Failure::HandshakeTimeout)?
    }

    async fn shake_hands(
        &self,
        destination: &Destination,
        http1_only: bool,
        stream: TcpStream,
        slot: Slot,
    ) -> Result<Dialed, Failure> {
        let origin = &destination.origin;
        let protocol = if http1_only {
            OriginProtocol::Http1
        } else {
            origin.protocol
        };
        if origin.scheme == OriginScheme::Http {
            return match protocol {
                OriginProtocol::Http2 => http2(stream, slot).await,
                OriginProtocol::Auto | OriginProtocol::Http1 => http1(stream, slot).await,
            };
        }
        let (config, name) = self.tls(destination, protocol)?;
        let name = ServerName::try_from(name.to_owned()).map_err(|_| Failure::Name)?;
        let connector = TlsConnector::from(Arc::clone(config));
        let stream = connector
            .connect(name, stream)
            .await
            .map_err(Failure::Tls)?;
        match (stream.get_ref().1.alpn_protocol() == Some(b"h2"), protocol) {
            (true, _) => http2(stream, slot).await,
            (false, OriginProtocol::Http2) => Err(Failure::NoHttp2),
            (false, _) => http1(stream, slot).await,
        }
    }
}

impl Dialer {
    /// How TLS is spoken to a destination, and the name that it must prove.
    fn tls<'a>(
        &'a self,
        destination: &'a Destination,
        protocol: OriginProtocol,
    ) -> Result<(&'a Arc<ClientConfig>, &'a str), Failure> {
        let host = destination.origin.host.as_str();
        let Some(tls) = &destination.tls else {
            let config = match protocol {
                OriginProtocol::Auto => &self.any,
                OriginProtocol::Http1 => &self.http1,
                OriginProtocol::Http2 => &self.http2,
            };
            return Ok((config, host));
        };
        let made = tls
            .configs
            .get_or_init(|| trust::configs(&self.provider, &self.roots, &*self.seal, tls));
        let configs = made.as_ref().map_err(|why| Failure::Setup(why.clone()))?;
        let config = match protocol {
            OriginProtocol::Auto => &configs.any,
            OriginProtocol::Http1 => &configs.http1,
            OriginProtocol::Http2 => &configs.http2,
        };
        Ok((config, tls.name.as_deref().unwrap_or(host)))
    }
}

/// The system's roots and those of `pem`.
///
/// # Errors
///
/// `pem` holds what is no certificate.
pub fn roots(pem: Option<&[u8]>) -> Result<RootCertStore, RootsError> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::warn!(%error, "a root of the system cannot be read");
    }
    roots.add_parsable_certificates(native.certs);
    for (place, der) in CertificateDer::pem_slice_iter(pem.unwrap_or_default()).enumerate() {
        let der = der.map_err(RootsError::Pem)?;
        roots.add(der).map_err(|error| RootsError::Root {
            place: place + 1,
            error,
        })?;
    }
    Ok(roots)
}

/// Tries the origin's addresses in order; each gets an equal part of the time,
/// so that one that swallows packets cannot hide the next.
async fn connect(origin: &Origin, limits: &Limits) -> Result<TcpStream, Failure> {
    let found = lookup_host((origin.host.as_str(), origin.port))
        .await
        .map_err(Failure::Lookup)?;
    let addresses: Vec<SocketAddr> = found.take(limits::ORIGIN_ADDRESSES).collect();
    let mut last = Failure::NoAddress;
    for address in &addresses {
        let part = limits.connect / u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        match timeout(part, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return no_delay(stream),
            Ok(Err(error)) => last = Failure::Connect(error),
            Err(_) => last = Failure::ConnectTimeout,
        }
    }
    Err(last)
}

fn no_delay(stream: TcpStream) -> Result<TcpStream, Failure> {
    let set: io::Result<()> = stream.set_nodelay(true);
    set.map_err(Failure::Connect)?;
    Ok(stream)
}

async fn http1<S>(stream: S, slot: Slot) -> Result<Dialed, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut settings = http1::Builder::new();
    settings
        .max_headers(limits::FIELDS)
        .max_header_size(limits::H1_BUFFER)
        .max_buf_size(limits::H1_BUFFER);
    let (sender, connection) = settings
        .handshake(TokioIo::new(stream))
        .await
        .map_err(Failure::Http)?;
    tokio::spawn(async move {
        let _held = slot;
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "connection to an origin failed");
        }
    });
    Ok(Dialed::Http1(sender))
}

async fn http2<S>(stream: S, slot: Slot) -> Result<Dialed, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let streams = u32::try_from(limits::ORIGIN_STREAMS).unwrap_or(u32::MAX);
    let mut settings = http2::Builder::new(TokioExecutor::new());
    settings
        .timer(TokioTimer::new())
        .initial_stream_window_size(limits::ORIGIN_STREAM_WINDOW)
        .initial_connection_window_size(limits::ORIGIN_STREAM_WINDOW.saturating_mul(streams))
        .initial_max_send_streams(limits::ORIGIN_STREAMS)
        .max_header_list_size(limits::ORIGIN_H2_HEADER_LIST)
        .max_send_buf_size(limits::H2_SEND_BUFFER)
        .keep_alive_interval(limits::ORIGIN_PING)
        .keep_alive_timeout(limits::ORIGIN_PING);
    let (sender, connection) = settings
        .handshake(TokioIo::new(stream))
        .await
        .map_err(Failure::Http)?;
    tokio::spawn(async move {
        let _held = slot;
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection to an origin failed");
        }
    });
    Ok(Dialed::Http2(sender))
}
