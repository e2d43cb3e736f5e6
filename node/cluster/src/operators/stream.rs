//! A connection of the admin port as bytes: it ends when its certificate does, and
//! soon if it has none.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
    time::{Sleep, sleep},
};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::AdminConnection;
use crate::wire::Wire;

/// How long a caller without a certificate may stay: redeeming a token takes some
/// seconds, and the port must not fill with strangers.
const STRANGER_MAX: Duration = Duration::from_secs(60);

/// Longest that tokio can sleep is far above; an operator's certificate lasts 90 days.
const OPERATOR_MAX: Duration = Duration::from_secs(90 * 86_400);

/// A connection of an operator, or of somebody with a token.
pub struct AdminStream {
    tls: TlsStream<Wire>,
    connection: AdminConnection,
    end: Pin<Box<Sleep>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl AdminStream {
    pub(super) fn new(
        tls: TlsStream<Wire>,
        connection: AdminConnection,
        until: Option<Duration>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let length = until.map_or(STRANGER_MAX, |until| until.min(OPERATOR_MAX));
        Self {
            tls,
            connection,
            end: Box::pin(sleep(length)),
            _permit: permit,
        }
    }

    fn poll_end(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.end.as_mut().poll(context) {
            Poll::Pending => Ok(()),
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Connected for AdminStream {
    type ConnectInfo = AdminConnection;

    fn connect_info(&self) -> AdminConnection {
        self.connection.clone()
    }
}

impl AsyncRead for AdminStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_end(context)?;
        Pin::new(&mut self.tls).poll_read(context, buffer)
    }
}

impl AsyncWrite for AdminStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(context)
    }
}

impl std::fmt::Debug for AdminStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AdminStream({:?})", self.connection)
    }
}
