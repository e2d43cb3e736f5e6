//! How replicas talk: gRPC over streams that somebody else authenticates.
//!
//! [`Dial`] opens a stream to a member and vouches for who is at the other end; the
//! listener that hands requests to [`crate::Replica::peer_service`] vouches for the
//! caller by a [`PeerIdentity`] in each request's extensions. Neither is believed
//! alone: every message names cluster, sender and receiver again.
//!
//! Three connections to each peer, so that none waits behind another: one for
//! appends and votes, which are small and urgent; one for what callers ask; one for
//! snapshots. After any timeout the connection is dropped, for a new one is the only
//! way to learn whether the old one was dead.

pub(crate) mod client;
pub(crate) mod links;
pub(crate) mod server;

use std::time::Duration;

use async_trait::async_trait;
use state::NodeId;
use tokio::io::{AsyncRead, AsyncWrite};

/// Largest message read: a whole append of 1 MiB with room for one large entry.
pub(crate) const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// Bytes of a snapshot in one message.
pub(crate) const CHUNK_BYTES: usize = 256 * 1024;

/// A snapshot whose other end is silent for so long is given up.
pub(crate) const SNAPSHOT_IDLE: Duration = Duration::from_secs(10);

/// A received snapshot must be loaded within this; a million hostnames take about
/// a minute.
pub(crate) const SNAPSHOT_INSTALL: Duration = Duration::from_secs(900);

/// A stream of bytes to an authenticated member.
pub trait PeerStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> PeerStream for T {}

/// Opens streams to members.
#[async_trait]
pub trait Dial: Send + Sync + 'static {
    /// Connects to `node` at `address` (host:port). When it returns, the other end
    /// has proven to be `node` of this cluster.
    ///
    /// # Errors
    ///
    /// When nobody answers, or somebody else.
    async fn dial(&self, node: NodeId, address: &str) -> std::io::Result<Box<dyn PeerStream>>;
}

/// Who is at the other end of a connection, as the listener has authenticated it.
/// Stands in the extensions of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerIdentity(pub NodeId);
