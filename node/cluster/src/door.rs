//! From a listener to connections that have shaken hands. Handshakes run side by
//! side under one limit, so that a slow one delays none.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::Stream;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::wire::{Listen, Wire};

/// Longest handshake: three retransmissions, and nobody holds a place for longer.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// How long to wait after the system refused to accept: it is out of descriptors,
/// and asking again at once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that have shaken hands and wait to be taken.
const READY_MAX: usize = 16;

/// Shakes hands on a fresh stream.
pub trait Handshake: Send + Sync + 'static {
    /// A connection.
    type Connection: Send + 'static;
    /// Why there is none.
    type Error: std::error::Error + Send;

    /// Shakes hands. The connection keeps `permit` for as long as it lives.
    fn shake(
        &self,
        stream: Wire,
        from: SocketAddr,
        permit: OwnedSemaphorePermit,
    ) -> impl Future<Output = Result<Self::Connection, Self::Error>> + Send;
}

/// Connections from `listener`, at most `limit` at a time. Accepting ends when the
/// stream is dropped.
pub fn incoming<H: Handshake>(
    listener: Box<dyn Listen>,
    handshake: Arc<H>,
    limit: usize,
) -> impl Stream<Item = io::Result<H::Connection>> + Send + 'static {
    let (ready, taken) = mpsc::channel(READY_MAX);
    tokio::spawn(accept_until_dropped(listener, handshake, limit, ready));
    futures_util::stream::unfold(taken, |mut taken| async move {
        let connection = taken.recv().await?;
        Some((Ok(connection), taken))
    })
}

async fn accept_until_dropped<H: Handshake>(
    mut listener: Box<dyn Listen>,
    handshake: Arc<H>,
    limit: usize,
    ready: mpsc::Sender<H::Connection>,
) {
    let places = Arc::new(Semaphore::new(limit));
    let mut shaking = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = ready.closed() => return,
            // Those that ended are forgotten as they end.
            Some(_) = shaking.join_next() => continue,
            accepted = accept(&mut *listener, &places) => accepted,
        };
        match accepted {
            Ok((stream, from, permit)) => {
                shaking.spawn(shake(
                    handshake.clone(),
                    stream,
                    from,
                    permit,
                    ready.clone(),
                ));
            }
            // Its caller was gone before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A place before a connection: what cannot be served waits in the kernel's queue.
async fn accept(
    listener: &mut dyn Listen,
    places: &Arc<Semaphore>,
) -> io::Result<(Wire, SocketAddr, OwnedSemaphorePermit)> {
    let permit = places.clone().acquire_owned().await;
    let permit = permit.map_err(io::Error::other)?;
    let (stream, from) = listener.accept().await?;
    Ok((stream, from, permit))
}

async fn shake<H: Handshake>(
    handshake: Arc<H>,
    stream: Wire,
    from: SocketAddr,
    permit: OwnedSemaphorePermit,
    ready: mpsc::Sender<H::Connection>,
) {
    match timeout(HANDSHAKE_MAX, handshake.shake(stream, from, permit)).await {
        Ok(Ok(connection)) => {
            // Nobody takes it when the listener is being closed.
            let _ = ready.send(connection).await;
        }
        Ok(Err(error)) => tracing::debug!(%from, %error, "handshake refused"),
        Err(_) => tracing::debug!(%from, "handshake took too long"),
    }
}
