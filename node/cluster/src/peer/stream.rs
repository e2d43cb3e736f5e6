//! A link as bytes: it ends at once when its member is removed.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use state::ports::PeerIdentity;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
};
use tokio_rustls::TlsStream;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::transport::server::Connected;

use super::session::{Session, Sessions};
use crate::wire::Wire;

type Cut = Pin<Box<WaitForCancellationFutureOwned>>;

/// A link to a member, by whoever it was opened.
pub struct PeerStream {
    tls: TlsStream<Wire>,
    peer: PeerIdentity,
    /// One for each direction: two tasks may hold the halves, and each is woken.
    cut_reading: Cut,
    cut_writing: Cut,
    _session: Session,
    _permit: Option<OwnedSemaphorePermit>,
}

impl PeerStream {
    pub(super) fn new(
        tls: TlsStream<Wire>,
        peer: PeerIdentity,
        sessions: &Arc<Sessions>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let session = sessions.open(peer.node);
        Self {
            tls,
            peer,
            cut_reading: Box::pin(session.cut.clone().cancelled_owned()),
            cut_writing: Box::pin(session.cut.clone().cancelled_owned()),
            _session: session,
            _permit: permit,
        }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> PeerIdentity {
        self.peer
    }
}

fn poll_cut(cut: &mut Cut, context: &mut Context<'_>) -> io::Result<()> {
    match cut.as_mut().poll(context) {
        Poll::Pending => Ok(()),
        Poll::Ready(()) => Err(io::Error::new(
            io::ErrorKind::ConnectionAborted,
            "the link was cut: one of its ends is a member no more, or stops",
        )),
    }
}

impl Connected for PeerStream {
    type ConnectInfo = PeerIdentity;

    fn connect_info(&self) -> PeerIdentity {
        self.peer
    }
}

impl AsyncRead for PeerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        poll_cut(&mut self.cut_reading, context)?;
        Pin::new(&mut self.tls).poll_read(context, buffer)
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        poll_cut(&mut self.cut_writing, context)?;
        Pin::new(&mut self.tls).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        poll_cut(&mut self.cut_writing, context)?;
        Pin::new(&mut self.tls).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(context)
    }
}

impl std::fmt::Debug for PeerStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PeerStream(node {})", self.peer.node)
    }
}
