//! Links between members: mutual TLS 1.3 in which each end pins the other's
//! committed key.

mod session;
mod stream;
mod verifier;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use enroll::names::node_host;
use hyper_util::rt::TokioIo;
use rustls::{AlertDescription, pki_types::ServerName};
use state::{
    NodeId,
    ports::{Clock, PeerIdentity},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{OwnedSemaphorePermit, watch},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tonic::transport::{Channel, Endpoint};

use self::verifier::{PeerVerifier, not_a_member};
pub use self::{session::Sessions, stream::PeerStream};
use crate::{
    credential::NodeCredential,
    door::{HANDSHAKE_MAX, Handshake},
    roster::{NotAMember, Roster, Standing},
    tls::{self, Signatures},
    wire::{Connect, Wire},
};

/// What the two ends speak; another version gets another name.
const PROTOCOL: &[u8] = b"hostquorum-peer/1";

/// Connections to the peer port: every other member has a handful, and a cluster
/// has at most some dozens of members.
pub const CONNECTIONS_MAX: usize = 512;

/// The acceptor's first byte: the caller was accepted. In TLS 1.3 a caller is done
/// before its certificate was looked at, so that without this a refusal would show
/// only at the first call.
const WELCOME: u8 = 1;

/// How often an idle channel is asked whether the other end still lives.
const PING_EVERY: Duration = Duration::from_secs(5);

/// Makes channels to members: [`Links`], or what stands for them in a simulation.
pub trait Channels: Send + Sync {
    /// A channel for calls to a member, connected at the first call and again after
    /// each loss.
    fn channel(self: Arc<Self>, node: NodeId) -> Channel;
}

/// Makes and takes links to other members.
pub struct Links {
    roster: Arc<Roster>,
    credential: Arc<NodeCredential>,
    connect: Box<dyn Connect>,
    clock: Arc<dyn Clock>,
    signatures: Signatures,
    acceptor: TlsAcceptor,
    sessions: Arc<Sessions>,
    expelled: watch::Sender<Option<NodeId>>,
}

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No member has that id.
    #[error("node {0} is not a member")]
    NotAMember(NodeId),
    /// It was one.
    #[error("node {0} was removed from the cluster")]
    Removed(NodeId),
    /// Nobody there.
    #[error("node {node} could not be reached at {address}")]
    Connect {
        /// Who.
        node: NodeId,
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The other end is not who it should be. Nothing was sent.
    #[error(transparent)]
    Stranger(#[from] NotAMember),
    /// The other end says that this node was removed.
    #[error("node {0} says that this node was removed from the cluster")]
    Expelled(NodeId),
    /// The other end does not know this node.
    #[error("node {0} does not know this node yet, or never will")]
    Refused(NodeId),
    /// A broken line, or no TLS.
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    /// It took too long.
    #[error("the TLS handshake took longer than {} s", HANDSHAKE_MAX.as_secs())]
    TimedOut,
    /// The library refused its configuration.
    #[error("TLS could not be set up: {0}")]
    Setup(#[from] rustls::Error),
}

impl From<LinkError> for io::Error {
    fn from(error: LinkError) -> Self {
        let kind = match &error {
            LinkError::Connect { source, .. } | LinkError::Handshake(source) => source.kind(),
            LinkError::TimedOut => io::ErrorKind::TimedOut,
            LinkError::Setup(_) => io::ErrorKind::Other,
            _ => io::ErrorKind::PermissionDenied,
        };
        Self::new(kind, error)
    }
}

impl Links {
    /// Links of the node whose credential that is.
    pub fn new(
        roster: Arc<Roster>,
        credential: Arc<NodeCredential>,
        connect: Box<dyn Connect>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LinkError> {
        let signatures = Signatures::new();
        let verifier = Arc::new(PeerVerifier::of_callers(roster.clone(), signatures.clone()));
        let config =
            tls::server_config(&signatures, &clock, verifier, credential.clone(), PROTOCOL)?;
        Ok(Self {
            roster,
            credential,
            connect,
            clock,
            signatures,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            sessions: Arc::default(),
            expelled: watch::Sender::new(None),
        })
    }

    /// Who is a member.
    pub fn roster(&self) -> &Arc<Roster> {
        &self.roster
    }

    /// Turns to the id of a member that said that this node was removed. Its links
    /// are cut then; this node must also stop what it does for the cluster.
    pub fn expelled(&self) -> watch::Receiver<Option<NodeId>> {
        self.expelled.subscribe()
    }

    /// Connects to a member. When it returns, both ends have accepted each other.
    ///
    /// `address` is used only for a node that this one's state does not know yet.
    pub async fn dial(&self, node: NodeId, address: &str) -> Result<PeerStream, LinkError> {
        let address = match self.roster.standing(node) {
            Standing::Member(member) => member.peer_address,
            Standing::Later if !address.is_empty() => address.to_owned(),
            Standing::Later | Standing::Unknown => return Err(LinkError::NotAMember(node)),
            Standing::Removed => return Err(LinkError::Removed(node)),
        };
        let connected = self.connect.connect(&address).await;
        let stream = connected.map_err(|source| LinkError::Connect {
            node,
            address,
            source,
        })?;
        let shaking = timeout(HANDSHAKE_MAX, self.call(node, stream)).await;
        let shaken = shaking.map_err(|_| LinkError::TimedOut)?;
        if let Err(LinkError::Expelled(by)) = &shaken {
            self.expelled.send_replace(Some(*by));
            self.close();
        }
        shaken
    }

    async fn call(&self, node: NodeId, stream: Wire) -> Result<PeerStream, LinkError> {
        let roster = self.roster.clone();
        let verifier = PeerVerifier::of(node, roster, self.signatures.clone());
        let (verifier, credential) = (Arc::new(verifier), self.credential.clone());
        let config = tls::client_config(
            &self.signatures,
            &self.clock,
            verifier,
            credential,
            PROTOCOL,
        )?;
        let host = node_host(&self.roster.cluster().0, node.0);
        let name = ServerName::try_from(host)
            .map_err(|error| LinkError::Handshake(io::Error::other(error)))?;
        let connecting = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await;
        let mut tls = connecting.map_err(|error| refused(node, error))?;
        match tls.read_u8().await {
            Ok(WELCOME) => {}
            Ok(_) => return Err(LinkError::Handshake(io::ErrorKind::InvalidData.into())),
            Err(error) => return Err(refused(node, error)),
        }
        Ok(PeerStream::new(
            tls.into(),
            PeerIdentity { node },
            &self.sessions,
            None,
        ))
    }

    /// Shakes hands with a caller.
    pub async fn accept(
        &self,
        stream: Wire,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<PeerStream, LinkError> {
        let accepting = self.acceptor.accept(stream).await;
        let mut tls = accepting.map_err(|error| match not_a_member(&error) {
            Some(reason) => LinkError::Stranger(reason),
            None => LinkError::Handshake(error),
        })?;
        let node = {
            let (_, connection) = tls.get_ref();
            let [leaf, others @ ..] = connection.peer_certificates().unwrap_or_default() else {
                return Err(NotAMember::Unknown.into());
            };
            let now = tls::unix_time(self.clock.now());
            self.roster.identify(leaf, others, now)?
        };
        tls.write_u8(WELCOME).await.map_err(LinkError::Handshake)?;
        tls.flush().await.map_err(LinkError::Handshake)?;
        let stream = PeerStream::new(tls.into(), PeerIdentity { node }, &self.sessions, permit);
        // A removal that came between the handshake and the registration of the
        // session would otherwise have missed it.
        if self.roster.standing(node) == Standing::Removed {
            return Err(LinkError::Removed(node));
        }
        Ok(stream)
    }

    /// Cuts all links.
    pub fn close(&self) {
        self.sessions.cut(|_| true);
    }

    /// Cuts the sessions of members as they are removed. Runs until the state's
    /// source is gone; the roster must follow it already.
    pub async fn enforce_removals(&self) {
        let Some(mut states) = self.roster.changes() else {
            return;
        };
        loop {
            let state = states.borrow_and_update().clone();
            let cut = self.sessions.cut(|node| state.is_removed(node));
            if cut > 0 {
                tracing::info!(cut, "sessions of removed members were cut");
            }
            if states.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Channels for Links {
    fn channel(self: Arc<Self>, node: NodeId) -> Channel {
        let connector = tower::service_fn(move |_| {
            let links = self.clone();
            async move { links.dial(node, "").await.map(TokioIo::new) }
        });
        // The address is never dialed: the connector brings the stream.
        Endpoint::from_static("http://peer.hostquorum.internal")
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_EVERY)
            .keep_alive_while_idle(true)
            .connect_with_connector_lazy(connector)
    }
}

impl Handshake for Links {
    type Connection = PeerStream;
    type Error = LinkError;

    async fn shake(
        &self,
        stream: Wire,
        from: SocketAddr,
        permit: OwnedSemaphorePermit,
    ) -> Result<PeerStream, LinkError> {
        let accepted = self.accept(stream, Some(permit)).await;
        if let Err(error @ (LinkError::Stranger(_) | LinkError::Removed(_))) = &accepted {
            tracing::warn!(%from, %error, "a caller on the peer port was refused");
        }
        accepted
    }
}

impl std::fmt::Debug for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Links({:?})", self.roster)
    }
}

/// What a failed call means: our verifier's reason, or the other end's alert.
fn refused(node: NodeId, error: io::Error) -> LinkError {
    if let Some(reason) = not_a_member(&error) {
        return match reason {
            NotAMember::Removed => LinkError::Removed(node),
            other => LinkError::Stranger(other),
        };
    }
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
    match tls {
        Some(rustls::Error::AlertReceived(AlertDescription::CertificateRevoked)) => {
            LinkError::Expelled(node)
        }
        Some(rustls::Error::AlertReceived(AlertDescription::AccessDenied)) => {
            LinkError::Refused(node)
        }
        _ => LinkError::Handshake(error),
    }
}
