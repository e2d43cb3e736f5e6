//! The simulated network between nodes: streams, and who is at their other end.
//!
//! A machine cannot lie about its address here, so the address stands for the proof
//! that mutual TLS is in production. As there, who was removed is told so once.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use cluster::roster::Standing;
use cluster::{Channels, Roster, ServingService};
use consensus::{Dial, Halt, PeerIdentity, PeerStream, Replica};
use futures_util::stream;
use hyper_util::rt::TokioIo;
use state::NodeId;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::watch;
use tonic::transport::server::{Connected, Server};
use tonic::transport::{Channel, Endpoint};
use turmoil::net::{TcpListener, TcpStream};

use crate::post::Post;
use crate::roll::Roll;

const PEER_PORT: u16 = 7443;

/// The acceptor's first byte: the caller is a member, or may be one that we have not
/// heard of.
const WELCOME: u8 = 1;

/// Or: it was removed.
const EXPELLED: u8 = 2;

/// What the simulation calls `node`'s machine.
pub(crate) fn host(node: NodeId) -> String {
    format!("node-{node}")
}

/// Whose machine has that address, if it is a node's.
pub(crate) fn owner(address: std::net::SocketAddr) -> Option<NodeId> {
    let name = turmoil::reverse_lookup(address.ip())?;
    name.strip_prefix("node-")?.parse().ok().map(NodeId)
}

fn stranger(address: std::net::SocketAddr) -> io::Error {
    io::Error::other(format!("{address} is no node's"))
}

/// Dials other machines.
pub(crate) struct Dialer {
    pub(crate) roll: Arc<Roll>,
    pub(crate) roster: Arc<Roster>,
    /// Turns to true when another says that this node was removed.
    pub(crate) expelled: watch::Sender<bool>,
}

impl Dialer {
    async fn connect(&self, node: NodeId) -> io::Result<TcpStream> {
        if self.roster.standing(node) == Standing::Removed || !self.roll.has(node) {
            return Err(io::Error::other(format!("node {node} is no member")));
        }
        let mut stream = TcpStream::connect((host(node), PEER_PORT)).await?;
        match stream.read_u8().await? {
            WELCOME => Ok(stream),
            _ => {
                self.expelled.send_replace(true);
                Err(io::ErrorKind::PermissionDenied.into())
            }
        }
    }
}

#[async_trait]
impl Dial for Dialer {
    async fn dial(&self, node: NodeId, _: &str) -> io::Result<Box<dyn PeerStream>> {
        Ok(Box::new(self.connect(node).await?))
    }
}

impl Channels for Dialer {
    fn channel(self: Arc<Self>, node: NodeId) -> Channel {
        let connector = tower::service_fn(move |_| {
            let dialer = Arc::clone(&self);
            async move { dialer.connect(node).await.map(TokioIo::new) }
        });
        // The address is never dialed: the connector brings the stream.
        Endpoint::from_static("http://peer.simulation").connect_with_connector_lazy(connector)
    }
}

/// Begins to listen for peers.
pub(crate) async fn listen() -> io::Result<TcpListener> {
    TcpListener::bind(("0.0.0.0", PEER_PORT)).await
}

/// Serves a replica's peers until it is shut down.
pub(crate) async fn serve(
    listener: TcpListener,
    replica: Arc<Replica>,
    serving: ServingService,
    roster: Arc<Roster>,
    post: Post,
) {
    let mut halted = replica.halted();
    let service = replica.peer_service();
    drop(replica);
    let incoming = stream::unfold((listener, roster), |(listener, roster)| async {
        let accepted = accept(&listener, &roster).await;
        Some((accepted, (listener, roster)))
    });
    let server = Server::builder()
        .layer(post)
        .add_service(service)
        .add_service(serving.server());
    // As they come, or as the seed says: never in an order of the machine's choice.
    tokio::select! {
        biased;
        _ = halted.wait_for(|halt| *halt == Some(Halt::Shutdown)) => {}
        _ = server.serve_with_incoming(incoming) => {}
    }
}

/// The next caller that may be a member.
async fn accept(listener: &TcpListener, roster: &Arc<Roster>) -> io::Result<Accepted> {
    loop {
        let (mut stream, origin) = listener.accept().await?;
        let owner = owner(origin).ok_or_else(|| stranger(origin))?;
        let removed = roster.standing(owner) == Standing::Removed;
        let word = if removed { EXPELLED } else { WELCOME };
        // Whoever hung up already needs no answer.
        if stream.write_u8(word).await.is_ok() && !removed {
            return Ok(Accepted {
                stream,
                owner: PeerIdentity(owner),
                roster: Arc::clone(roster),
            });
        }
    }
}

/// A connection whose owner is known. As in production, it is cut when its owner is
/// removed.
struct Accepted {
    stream: TcpStream,
    owner: PeerIdentity,
    roster: Arc<Roster>,
}

impl Connected for Accepted {
    type ConnectInfo = PeerIdentity;

    fn connect_info(&self) -> PeerIdentity {
        self.owner
    }
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let PeerIdentity(owner) = self.owner;
        if self.roster.standing(owner) == Standing::Removed {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
