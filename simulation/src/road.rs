//! The road from nodes to the CA, and a witness beside it: when what a connection says last
//! had begun to leave its machine, whenever it comes. A request that was held back on its way
//! is not its sender's fault; one that left late is.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use leader::issuance::acme::{Dial, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::TcpStream;

use crate::clock::elapsed;

/// No request to the CA is as short, for each is signed; what ends a connection is shorter.
const REQUEST_MIN: usize = 200;

/// Since when each connection has spoken without hearing an answer, in milliseconds of
/// virtual time; by the caller's address.
#[derive(Debug, Clone, Default)]
pub(crate) struct Witness(Arc<Mutex<BTreeMap<SocketAddr, u64>>>);

impl Witness {
    /// When the request that came from `caller` had begun to leave.
    pub(crate) fn left(&self, caller: SocketAddr) -> Option<u64> {
        self.seen().get(&caller).copied()
    }

    fn speaks(&self, caller: SocketAddr) {
        let now = u64::try_from(elapsed().as_millis()).unwrap_or(u64::MAX);
        self.seen().entry(caller).or_insert(now);
    }

    fn heard(&self, caller: SocketAddr) {
        self.seen().remove(&caller);
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, u64>> {
        // One thread only; each holder leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See the module.
pub(crate) struct Road(pub(crate) Witness);

#[async_trait]
impl Dial for Road {
    async fn dial(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>> {
        let inner = TcpStream::connect((host, port)).await?;
        let caller = inner.local_addr()?;
        self.0.heard(caller);
        Ok(Box::new(Seen {
            inner,
            caller,
            witness: self.0.clone(),
        }))
    }
}

struct Seen {
    inner: TcpStream,
    caller: SocketAddr,
    witness: Witness,
}

impl AsyncRead for Seen {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if read.is_ready() {
            self.witness.heard(self.caller);
        }
        read
    }
}

impl AsyncWrite for Seen {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.len() >= REQUEST_MIN {
            self.witness.speaks(self.caller);
        }
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
