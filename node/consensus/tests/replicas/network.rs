//! Links that can be cut like real ones: nothing comes through and nobody is told.

use std::collections::BTreeSet;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use consensus::{Dial, PeerIdentity, PeerStream};
use state::NodeId;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tonic::transport::server::Connected;

/// Who is cut off from all others.
#[derive(Clone)]
pub(crate) struct Gates(Arc<watch::Sender<BTreeSet<u64>>>);

impl Gates {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(BTreeSet::new())))
    }

    pub(crate) fn isolate(&self, node: u64) {
        self.0.send_modify(|cut| {
            cut.insert(node);
        });
    }

    pub(crate) fn heal(&self) {
        self.0.send_replace(BTreeSet::new());
    }
}

/// Dials plain TCP and says who it is.
pub(crate) struct TcpDial {
    pub(crate) me: u64,
    pub(crate) gates: Gates,
}

#[async_trait]
impl Dial for TcpDial {
    async fn dial(&self, node: NodeId, address: &str) -> io::Result<Box<dyn PeerStream>> {
        let mut cut = self.gates.0.subscribe();
        let ends = [self.me, node.0];
        open(&mut cut, ends).await;
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        stream.write_u64(self.me).await?;
        let (near, far) = tokio::io::duplex(64 * 1024);
        let (near_read, near_write) = tokio::io::split(near);
        let (read, write) = stream.into_split();
        tokio::spawn(relay(near_read, write, cut.clone(), ends));
        tokio::spawn(relay(read, near_write, cut, ends));
        Ok(Box::new(far))
    }
}

async fn open(cut: &mut watch::Receiver<BTreeSet<u64>>, ends: [u64; 2]) {
    let _ = cut
        .wait_for(|cut| !ends.iter().any(|end| cut.contains(end)))
        .await;
}

/// Carries bytes while the gate is open; holds them back while it is not.
async fn relay(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut cut: watch::Receiver<BTreeSet<u64>>,
    ends: [u64; 2],
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count) = from.read(&mut buffer).await {
        open(&mut cut, ends).await;
        if count == 0 || to.write_all(&buffer[..count]).await.is_err() || to.flush().await.is_err()
        {
            break;
        }
    }
    let _ = to.shutdown().await;
}

/// An accepted connection whose owner has said who it is.
pub(crate) struct Accepted {
    stream: TcpStream,
    owner: u64,
}

impl Accepted {
    pub(crate) async fn greet(mut stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let owner = stream.read_u64().await?;
        Ok(Self { stream, owner })
    }
}

impl Connected for Accepted {
    type ConnectInfo = PeerIdentity;

    fn connect_info(&self) -> PeerIdentity {
        PeerIdentity(NodeId(self.owner))
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
