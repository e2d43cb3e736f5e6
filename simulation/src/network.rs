//! The simulated network: streams between machines, and who is at their other end.
//!
//! A machine cannot lie about its address here, so the address stands for the proof
//! that mutual TLS is in production.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use consensus::{Dial, Halt, PeerIdentity, PeerStream, Replica};
use futures_util::stream;
use state::NodeId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::{Connected, Server};
use turmoil::net::{TcpListener, TcpStream};

const PEER_PORT: u16 = 7443;

/// What the simulation calls `node`'s machine.
pub(crate) fn machine(node: NodeId) -> String {
    format!("node-{node}")
}

/// Where `node` listens for its peers.
pub(crate) fn address(node: NodeId) -> String {
    format!("{}:{PEER_PORT}", machine(node))
}

/// Whose machine has that address.
fn owner(address: std::net::SocketAddr) -> io::Result<NodeId> {
    let name = turmoil::reverse_lookup(address.ip());
    let number = name
        .as_deref()
        .and_then(|name| name.strip_prefix("node-")?.parse().ok());
    number
        .map(NodeId)
        .ok_or_else(|| io::Error::other(format!("{address} is no node's")))
}

/// Dials other machines.
pub(crate) struct Dialer;

#[async_trait]
impl Dial for Dialer {
    async fn dial(&self, node: NodeId, address: &str) -> io::Result<Box<dyn PeerStream>> {
        let stream = TcpStream::connect(address).await?;
        let found = owner(stream.peer_addr()?)?;
        if found != node {
            return Err(io::Error::other(format!(
                "{address} is node {found}, not node {node}"
            )));
        }
        Ok(Box::new(stream))
    }
}

/// Begins to listen for peers.
pub(crate) async fn listen() -> io::Result<TcpListener> {
    TcpListener::bind(("0.0.0.0", PEER_PORT)).await
}

/// Serves a replica's peers until it is shut down.
pub(crate) async fn serve(listener: TcpListener, replica: Arc<Replica>) {
    let mut halted = replica.halted();
    let service = replica.peer_service();
    drop(replica);
    let incoming = stream::unfold(listener, |listener| async {
        let accepted = accept(&listener).await;
        Some((accepted, listener))
    });
    // As they come, or as the seed says: never in an order of the machine's choice.
    tokio::select! {
        biased;
        _ = halted.wait_for(|halt| *halt == Some(Halt::Shutdown)) => {}
        _ = Server::builder().add_service(service).serve_with_incoming(incoming) => {}
    }
}

async fn accept(listener: &TcpListener) -> io::Result<Accepted> {
    let (stream, origin) = listener.accept().await?;
    Ok(Accepted {
        stream,
        owner: PeerIdentity(owner(origin)?),
    })
}

/// A connection whose owner is known.
struct Accepted {
    stream: TcpStream,
    owner: PeerIdentity,
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
