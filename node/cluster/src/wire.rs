//! How bytes travel, as arguments: TCP in production, a simulated network in
//! simulation.

use std::{io, net::SocketAddr, time::Duration};

use async_trait::async_trait;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// Longest wait for a connection: two retransmissions of a SYN.
const CONNECT_MAX: Duration = Duration::from_secs(4);

/// Unacknowledged bytes end a connection after this: above three retransmissions in
/// one region, and far below the kernel's quarter of an hour.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(10);

/// An idle connection is probed after, and then every.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(3);

/// A stream of bytes in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Any stream.
pub type Wire = Box<dyn Stream>;

/// Opens streams.
#[async_trait]
pub trait Connect: Send + Sync {
    /// To `address` (host:port).
    async fn connect(&self, address: &str) -> io::Result<Wire>;
}

/// Takes streams.
#[async_trait]
pub trait Listen: Send {
    /// The next one and where it came from.
    async fn accept(&mut self) -> io::Result<(Wire, SocketAddr)>;
}

/// TCP, without delay, noticing a dead other end within [`UNACKNOWLEDGED_MAX`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

#[async_trait]
impl Connect for Tcp {
    async fn connect(&self, address: &str) -> io::Result<Wire> {
        let connecting = timeout(CONNECT_MAX, TcpStream::connect(address)).await;
        let stream = connecting.map_err(|_| io::ErrorKind::TimedOut)??;
        tune(&stream)?;
        Ok(Box::new(stream))
    }
}

#[async_trait]
impl Listen for TcpListener {
    async fn accept(&mut self) -> io::Result<(Wire, SocketAddr)> {
        loop {
            let (stream, from) = Self::accept(self).await?;
            // It was reset between the two calls: its own trouble, not the listener's.
            if tune(&stream).is_ok() {
                return Ok((Box::new(stream), from));
            }
        }
    }
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_EVERY);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))
}
