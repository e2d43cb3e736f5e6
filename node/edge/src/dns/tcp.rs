//! Streams (RFC 7766): who comes by TCP is who it says, so what is bounded is
//! how many come and how long they stay.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    Server,
    limits::{CONNECTION, PAUSE, QUERIES_PER_CONNECTION, QUERY},
    query,
    rate::Network,
    respond::{Transport, respond},
};

/// Accepts until its task is ended; its connections end with it.
pub(crate) async fn serve(server: Arc<Server>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&server.places.all).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, from)) => {
                if let Some(place) = Place::take(&server, from, permit) {
                    connections.spawn(connection(place, stream));
                }
            }
            Err(error) => {
                server.counters.socket_failures.add();
                tracing::debug!(%error, "cannot accept queries by TCP");
                sleep(PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(place: Place, stream: TcpStream) {
    // However it ends, there is nobody to tell.
    let _ = timeout(CONNECTION, converse(&place.server, stream)).await;
}

async fn converse(server: &Server, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    for _ in 0..QUERIES_PER_CONNECTION {
        timeout(server.limits.idle, receive(&mut stream, &mut buffer)).await??;
        server.pace.take(&server.counters).await;
        let heard = query::read(&buffer);
        let answer = respond(&heard, Transport::Tcp, &*server.answers, &server.counters);
        let Some(answer) = answer else {
            return Ok(()); // who sends no queries is not what it seems
        };
        timeout(server.limits.idle, send(&mut stream, &answer)).await??;
    }
    Ok(())
}

async fn receive(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    let length = usize::from(stream.read_u16().await?);
    if length > QUERY {
        return Err(io::ErrorKind::InvalidData.into());
    }
    buffer.resize(length, 0);
    stream.read_exact(buffer).await?;
    Ok(())
}

async fn send(stream: &mut TcpStream, answer: &[u8]) -> io::Result<()> {
    // Length and answer in one write, or clients see two segments.
    let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
    let mut framed = Vec::with_capacity(answer.len() + 2);
    framed.extend(length.to_be_bytes());
    framed.extend_from_slice(answer);
    stream.write_all(&framed).await
}

/// Who has connections, and how many.
#[derive(Debug)]
pub(crate) struct Places {
    all: Arc<Semaphore>,
    each: Mutex<HashMap<Network, usize>>,
}

impl Places {
    pub(crate) fn new(connections: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(connections)),
            each: Mutex::default(),
        }
    }

    fn each(&self) -> MutexGuard<'_, HashMap<Network, usize>> {
        // Every change is a single step.
        self.each.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place, until it has ended.
struct Place {
    server: Arc<Server>,
    network: Network,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    fn take(server: &Arc<Server>, from: SocketAddr, permit: OwnedSemaphorePermit) -> Option<Self> {
        let network = from.ip().into();
        let mut each = server.places.each();
        let held = each.entry(network).or_default();
        if *held >= server.limits.connections_each {
            server.counters.connections_refused.add();
            return None;
        }
        *held += 1;
        drop(each);
        server.counters.connections.add();
        server.counters.connections_open.add();
        Some(Self {
            server: Arc::clone(server),
            network,
            _permit: permit,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.server.counters.connections_open.sub();
        let mut each = self.server.places.each();
        if let Some(held) = each.get_mut(&self.network) {
            *held -= 1;
            if *held == 0 {
                each.remove(&self.network);
            }
        }
    }
}
