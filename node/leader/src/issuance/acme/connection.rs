//! One HTTP/1.1 connection to the CA.

use std::{io, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::stream::{FencedStream, Gate};
use crate::fence::{Fence, USER_TIMEOUT};

/// Largest answer taken: a chain of ten RSA certificates is 20 KB.
const BODY_MAX: usize = 256 * 1024;

/// A stream of bytes in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Opens streams to a CA, before TLS.
#[async_trait]
pub trait Dial: Send + Sync {
    /// To a name or an address without brackets.
    ///
    /// # Errors
    /// Nobody answers there.
    async fn dial(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>>;
}

/// TCP, as the fence needs it: nothing that was written outlives its permit for long.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

#[async_trait]
impl Dial for Tcp {
    async fn dial(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>> {
        let tcp = TcpStream::connect((host, port)).await?;
        tcp.set_nodelay(true)?;
        let socket = SockRef::from(&tcp);
        socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
        // From the first byte on, and not only when we abandon a request: a killed process
        // abandons all of them, and its kernel must send a reset and not what is left.
        socket.set_linger(Some(Duration::ZERO))?;
        Ok(Box::new(tcp))
    }
}

/// An open connection. Dropping it closes it at once, by a reset if anything is unsent.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    pub(super) gate: Arc<Gate>,
    _driver: AbortOnDropHandle<()>,
}

impl Connection {
    /// Resolves, connects and shakes hands.
    pub(super) async fn open(
        uri: &Uri,
        dial: &dyn Dial,
        tls: &TlsConnector,
        fence: Fence,
    ) -> io::Result<Self> {
        let host = uri.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let stream = dial.dial(bare, uri.port_u16().unwrap_or(443)).await?;
        let name = ServerName::try_from(bare.to_owned()).map_err(io::Error::other)?;
        let stream = tls.connect(name, stream).await?;
        let gate = Arc::new(Gate::new(fence));
        let stream = TokioIo::new(FencedStream::new(stream, gate.clone()));
        let (sender, connection) = http1::handshake(stream).await.map_err(io::Error::other)?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection to the CA ended");
            }
        });
        Ok(Self {
            sender,
            gate,
            _driver: AbortOnDropHandle::new(driver),
        })
    }

    /// Whether another request can be sent.
    pub(super) async fn is_usable(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Sends a request and reads the whole answer.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> io::Result<Response<Bytes>> {
        let response = self.sender.send_request(request).await;
        let (parts, body) = response.map_err(io::Error::other)?.into_parts();
        let body = Limited::new(body, BODY_MAX).collect().await;
        let body = body.map_err(io::Error::other)?.to_bytes();
        Ok(Response::from_parts(parts, body))
    }
}
