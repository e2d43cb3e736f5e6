//! Listening sockets: one pair a core on the same two addresses
//! (SO_REUSEPORT), accepted from under a permit.

use std::{
    future::Future,
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use futures_util::FutureExt;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};

use crate::{
    limits::{ACCEPT_PAUSE, BACKLOG},
    metrics::Counters,
    worker::Worker,
};

/// One core's listeners.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) https: TcpListener,
    pub(crate) http: TcpListener,
}

/// Binds `cores` listeners to one address. With port 0 the first draws a port
/// and the others take the same.
///
/// # Errors
///
/// The address is in use, not ours, or needs a privilege.
pub(crate) fn bind(address: SocketAddr, cores: usize) -> io::Result<Vec<TcpListener>> {
    let first = bind_one(address)?;
    let address = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..cores {
        listeners.push(bind_one(address)?);
    }
    Ok(listeners)
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts until the core drains, then takes what the kernel has queued already
/// and closes the listener: those clients were told that they are connected.
pub(crate) async fn accept<F, Fut>(
    worker: Arc<Worker>,
    listener: TcpListener,
    connections: usize,
    serve: F,
) where
    F: Fn(Arc<Worker>, TcpStream, Admitted) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "a listener cannot be used");
            return;
        }
    };
    let permits = Arc::new(Semaphore::new(connections));
    loop {
        let permit = tokio::select! {
            biased;
            () = worker.draining.cancelled() => break,
            permit = Arc::clone(&permits).acquire_owned() => permit,
        };
        let Ok(permit) = permit else { break };
        let accepted = tokio::select! {
            biased;
            () = worker.draining.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => spawn(&worker, stream, address, permit, &serve),
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                worker.counters.accept_failures.add();
                tracing::warn!(%error, "cannot accept");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    while let Some(Ok((stream, address))) = listener.accept().now_or_never() {
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            break;
        };
        spawn(&worker, stream, address, permit, &serve);
    }
}

fn spawn<F, Fut>(
    worker: &Arc<Worker>,
    stream: TcpStream,
    address: SocketAddr,
    permit: OwnedSemaphorePermit,
    serve: &F,
) where
    F: Fn(Arc<Worker>, TcpStream, Admitted) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    if stream.set_nodelay(true).is_err() {
        return; // it has gone already
    }
    worker.counters.connections.add();
    worker.counters.connections_open.add();
    let admitted = Admitted {
        address,
        counters: Arc::clone(&worker.counters),
        _permit: permit,
    };
    worker
        .tasks
        .spawn(serve(Arc::clone(worker), stream, admitted));
}

/// A connection's place among those that a core may hold, until it and its
/// tunnel have ended.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// The client: the other end of the socket, or who that says it is.
    pub(crate) address: SocketAddr,
    counters: Arc<Counters>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.counters.connections_open.sub();
    }
}

/// The connection went away between its arrival and `accept`.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}
