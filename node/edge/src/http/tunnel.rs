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

use crate::{connection::Client, worker::Worker};

/// Begins the tunnel as soon as the client has been sent the 101.
pub(super) fn open(worker: &Arc<Worker>, client: Arc<Client>, ours: OnUpgrade, origins: OnUpgrade) {
    let worker = Arc::clone(worker);
    let tasks = worker.tasks.clone();
    tasks.spawn(async move {
        let (client_side, origin_side) = match tokio::try_join!(ours, origins) {
            Ok(sides) => sides,
            Err(error) => {
                tracing::debug!(hostname = %client.name, %error, "no tunnel");
                return;
            }
        };
        worker.counters.tunnels.add();
        worker.counters.tunnels_open.add();
        carry(client_side, origin_side, worker.limits.tunnel_idle).await;
        worker.counters.tunnels_open.sub();
        drop(client); // and with it the connection's place
    });
}

async fn carry(client: Upgraded, origin: Upgraded, idle: Duration) {
    let moved = Moved {
        begun: Instant::now(),
        at: Arc::default(),
    };
    let mut client = Noted {
        inner: TokioIo::new(client),
        moved: moved.clone(),
    };
    let mut origin = Noted {
        inner: TokioIo::new(origin),
        moved: moved.clone(),
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

/// When either side last sent something.
#[derive(Clone, Debug)]
struct Moved {
    begun: Instant,
    at: Arc<AtomicU64>,
}

impl Moved {
    fn note(&self) {
        self.at.store(
            u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            Relaxed,
        );
    }

    async fn rests(&self, idle: Duration) {
        loop {
            let until = self.begun + Duration::from_millis(self.at.load(Relaxed)) + idle;
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
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.inner).poll_read(cx, buf);
        if poll.is_ready() {
            self.moved.note();
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
