//! What becomes of an exchange that both sides made a WebSocket: bytes, until
//! one side ends or both rest too long.
//!
//! A tunnel is opened only after the origin's 101. Until then the client's bytes
//! belong to HTTP and are read by hyper alone (CVE-2026-2833).

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional},
    time::{Instant, sleep_until},
};

use crate::{connection::Client, observe::Observed, worker::Worker};

/// Begins the tunnel as soon as the client has been sent the 101.
pub(super) fn open(
    worker: &Arc<Worker>,
    client: Arc<Client>,
    (ours, origins): (OnUpgrade, OnUpgrade),
    observed: Option<Observed>,
) {
    let worker = Arc::clone(worker);
    let tasks = worker.tasks.clone();
    tasks.spawn(async move {
        let carried = Arc::new(Carried::default());
        // Ended whatever becomes of the tunnel, and if it is cut off.
        let _ended = Ended {
            observed,
            carried: Arc::clone(&carried),
        };
        let (client_side, origin_side) = match tokio::try_join!(ours, origins) {
            Ok(sides) => sides,
            Err(error) => {
                tracing::debug!(hostname = %client.name, %error, "no tunnel");
                return;
            }
        };
        worker.counters.tunnels.add();
        worker.counters.tunnels_open.add();
        carry(client_side, origin_side, worker.limits.tunnel_idle, carried).await;
        worker.counters.tunnels_open.sub();
        drop(client); // and with it the connection's place
    });
}

async fn carry(client: Upgraded, origin: Upgraded, idle: Duration, carried: Arc<Carried>) {
    let moved = Moved {
        begun: Instant::now(),
        carried,
    };
    let mut client = Noted {
        inner: TokioIo::new(client),
        moved: moved.clone(),
        bytes: |carried| &carried.from_client,
    };
    let mut origin = Noted {
        inner: TokioIo::new(origin),
        moved: moved.clone(),
        bytes: |carried| &carried.to_client,
    };
    tokio::select! {
        result = copy_bidirectional(&mut client, &mut origin) => {
            if let Err(error) = result {
                tracing::debug!(%error, "tunnel broke off");
            }
        }
        () = moved.rests(idle) => tracing::debug!("tunnel rested too long"),
    }
}

/// What a tunnel has carried so far. Written on one core.
#[derive(Debug, Default)]
struct Carried {
    /// When either side last sent something, in milliseconds since the beginning.
    at: AtomicU64,
    from_client: AtomicU64,
    to_client: AtomicU64,
}

/// Ends what is noted down of the request that became a tunnel, when it is dropped.
struct Ended {
    observed: Option<Observed>,
    carried: Arc<Carried>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(mut observed) = self.observed.take() {
            let Carried {
                from_client,
                to_client,
                ..
            } = &*self.carried;
            observed.carried(from_client.load(Relaxed), to_client.load(Relaxed));
            observed.end(Instant::now());
        }
    }
}

/// When either side last sent something.
#[derive(Clone, Debug)]
struct Moved {
    begun: Instant,
    carried: Arc<Carried>,
}

impl Moved {
    fn note(&self) {
        self.carried.at.store(
            u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            Relaxed,
        );
    }

    async fn rests(&self, idle: Duration) {
        loop {
            let at = Duration::from_millis(self.carried.at.load(Relaxed));
            let until = self.begun + at + idle;
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }
}

struct Noted<S> {
    inner: S,
    moved: Moved,
    /// Where what it sends is added up.
    bytes: fn(&Carried) -> &AtomicU64,
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.inner).poll_read(cx, buf);
        if poll.is_ready() {
            self.moved.note();
            let read = buf.filled().len() - before;
            (self.bytes)(&self.moved.carried).fetch_add(read as u64, Relaxed);
        }
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
