//! A client's stream that notes down what moves on it, and looks at what hyper hides.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::activity::Activity;
use crate::{
    http::{frames::Frames, lines::Lines},
    metrics::Counters,
};

/// `inner`, observed for [`Activity`].
#[derive(Debug)]
pub(crate) struct Watched<S> {
    inner: S,
    activity: Arc<Activity>,
    reader: Reader,
}

/// Looks at what comes in, as hyper will read it.
#[derive(Debug)]
enum Reader {
    Http1(Lines),
    /// HTTP/1.1 that came to a broken chunk: what stood before it was handed out.
    Broken,
    Http2(Frames, Arc<Counters>),
}

impl<S> Watched<S> {
    /// Carries HTTP/1.1.
    pub(crate) fn http1(inner: S, activity: Arc<Activity>) -> Self {
        Self {
            inner,
            activity,
            reader: Reader::Http1(Lines::default()),
        }
    }

    /// Carries HTTP/2.
    pub(crate) fn http2(inner: S, activity: Arc<Activity>, counters: Arc<Counters>) -> Self {
        Self {
            inner,
            activity,
            reader: Reader::Http2(Frames::new(Instant::now()), counters),
        }
    }

    /// How many of these bytes are to be handed out. A fault in a head is told to whoever serves
    /// its request; what else is wrong ends the connection.
    fn read(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.reader {
            Reader::Http1(lines) => {
                if self.activity.is_tunnel() {
                    lines.end();
                }
                match lines.read(bytes) {
                    Ok(None) => {}
                    Ok(Some((request, fault))) => self.activity.found(request, fault),
                    Err(broken) => {
                        self.reader = Reader::Broken;
                        return match broken.before {
                            0 => Err(invalid(broken)),
                            before => Ok(before),
                        };
                    }
                }
            }
            Reader::Broken => return Err(io::ErrorKind::InvalidData.into()),
            Reader::Http2(frames, counters) => frames.read(bytes).map_err(|flood| {
                counters.floods.add();
                invalid(flood)
            })?,
        }
        Ok(bytes.len())
    }

    fn wrote<T>(&self, poll: Poll<T>) -> Poll<T> {
        self.activity.wrote(poll.is_pending());
        poll
    }

    fn wrote_bytes(&mut self, poll: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let (Reader::Http2(frames, _), Poll::Ready(Ok(bytes))) = (&mut self.reader, &poll) {
            frames.wrote(*bytes);
        }
        self.wrote(poll)
    }
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.inner).poll_read(cx, buf);
        if poll.is_ready() {
            self.activity.received();
            // Nothing where it ended or failed.
            let taken = self.read(&buf.filled()[before..])?;
            buf.set_filled(before + taken);
        }
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.wrote_bytes(poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.wrote_bytes(poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.inner).poll_flush(cx);
        self.wrote(poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
