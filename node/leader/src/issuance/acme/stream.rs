//! A TLS stream that asks the fence at each write: the last place where a request can be
//! held back, on an open connection, above the encryption and below HTTP.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::fence::{Fence, Permit, Shut};

/// What the request on this connection may do, and what became of it.
#[derive(Debug)]
pub(super) struct Gate {
    fence: Fence,
    passage: Mutex<Passage>,
}

#[derive(Debug, Default)]
struct Passage {
    /// Absent: the request only reads.
    permit: Option<Permit>,
    /// Some of the request left.
    left: bool,
    /// Some of it may wait above the socket, encrypted.
    waiting: bool,
    /// The fence was shut.
    shut: Option<Shut>,
}

impl Gate {
    pub(super) fn new(fence: Fence) -> Self {
        Self {
            fence,
            passage: Mutex::default(),
        }
    }

    /// A new request begins on this connection.
    pub(super) fn arm(&self, permit: Option<Permit>) {
        *self.passage() = Passage {
            permit,
            ..Passage::default()
        };
    }

    /// Whether some of the present request left this machine.
    pub(super) fn left(&self) -> bool {
        self.passage().left
    }

    /// Why the present request was held back.
    pub(super) fn shut(&self) -> Option<Shut> {
        self.passage().shut
    }

    fn check(&self) -> io::Result<()> {
        let mut passage = self.passage();
        let Some(permit) = passage.permit else {
            return Ok(());
        };
        let answer = match passage.shut {
            Some(shut) => Err(shut),
            None => self.fence.check(&permit),
        };
        answer.map_err(|shut| {
            passage.shut = Some(shut);
            io::Error::new(io::ErrorKind::PermissionDenied, shut)
        })
    }

    /// Before bytes that have not left yet are pushed on. What has left, has left: an
    /// answer may take longer than a permission lasts.
    fn check_waiting(&self) -> io::Result<()> {
        if self.passage().waiting {
            self.check()
        } else {
            Ok(())
        }
    }

    /// Said before the write: what may have left counts as left.
    fn writes(&self) {
        let mut passage = self.passage();
        passage.left = true;
        passage.waiting = true;
    }

    fn flushed(&self) {
        self.passage().waiting = false;
    }

    fn passage(&self) -> MutexGuard<'_, Passage> {
        self.passage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream behind a [`Gate`].
pub(super) struct FencedStream<S> {
    inner: S,
    gate: Arc<Gate>,
}

impl<S> FencedStream<S> {
    pub(super) fn new(inner: S, gate: Arc<Gate>) -> Self {
        Self { inner, gate }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FencedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FencedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.gate.check()?;
        self.gate.writes();
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    /// Encrypted bytes that the socket did not take at once leave here: asked again. A
    /// refusal ends the connection with what it still holds.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.gate.check_waiting()?;
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        if let Poll::Ready(Ok(())) = flushed {
            self.gate.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.gate.check_waiting()?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
