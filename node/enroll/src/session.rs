//! One connection to a cluster's admin port on which a token is redeemed: the
//! server is verified first, then exactly one thing is asked.

use std::{io, sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use proto::cluster::v1::{self as wire, enrollment_client::EnrollmentClient};
use rustls::{
    pki_types::{CertificateDer, ServerName, UnixTime},
    time_provider::TimeProvider,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint};

use crate::{
    certificate::Leaf,
    chain::{self, ChainError, Usage},
    key::{KeyError, PrivateKey},
    names::{ClusterId, OperatorRole, Subject},
    proof::{self, EXPORTER_LABEL, Exporter, Request},
    token::Token,
    trust::{Trust, TrustError, Verified, trust_error},
};

/// Longest wait for a connection and again for its handshake: three retransmissions.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// Longest wait for the answer: the cluster may be electing a leader, and the
/// leader has yet to sign.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// A verified connection, with nothing sent on it yet.
#[derive(Debug)]
pub struct Session {
    channel: Channel,
    exporter: Exporter,
    verified: Verified,
}

/// What became of a login.
#[derive(Clone, Debug)]
pub struct Login {
    /// The cluster's id.
    pub cluster: ClusterId,
    /// The cluster's root.
    pub root: CertificateDer<'static>,
    /// Leaf first, then the online CA.
    pub chain: Vec<CertificateDer<'static>>,
    /// The operator's id.
    pub operator: u64,
    /// What it may do.
    pub role: OperatorRole,
    /// As the audit shows it.
    pub name: String,
    /// Milliseconds since the Unix epoch.
    pub not_after_ms: i64,
    /// host:port of every member's admin API.
    pub admin_addresses: Vec<String>,
}

/// Why nothing came of a token.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// Nobody there.
    #[error("{address} could not be reached")]
    Connect {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// Nothing was sent.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Something else than a cluster's admin port, or a broken line.
    #[error("the TLS handshake failed: is this a cluster's admin address?")]
    Handshake(#[source] io::Error),
    /// It took too long.
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The cluster said no, and why.
    #[error("the cluster refused: {0}")]
    Refused(String),
    /// Trying again with the same key and token may help and does no harm.
    #[error("the cluster could not answer: {0}; try again with the same token")]
    Unavailable(String),
    /// The answer is not what was asked for.
    #[error("the cluster's answer cannot be right: {0}")]
    Answer(&'static str),
    /// The chain in the answer does not hold.
    #[error("the certificate in the cluster's answer is not acceptable")]
    Chain(#[from] ChainError),
    /// No key, no request.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl EnrollError {
    /// True if the same token and key may yet succeed.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. } | Self::Handshake(_) | Self::TimedOut(_) | Self::Unavailable(_)
        )
    }
}

impl From<tonic::Status> for EnrollError {
    fn from(status: tonic::Status) -> Self {
        use tonic::Code;
        let message = status.message().to_owned();
        match status.code() {
            Code::Unavailable | Code::Unknown | Code::Cancelled | Code::ResourceExhausted => {
                Self::Unavailable(message)
            }
            Code::DeadlineExceeded => Self::TimedOut(ANSWER_MAX),
            _ => Self::Refused(message),
        }
    }
}

/// A TCP connection to `address` (host:port), within [`CONNECT_MAX`].
pub async fn dial(address: &str) -> Result<TcpStream, EnrollError> {
    let connecting = timeout(CONNECT_MAX, TcpStream::connect(address)).await;
    let stream = connecting.map_err(|_| EnrollError::TimedOut(CONNECT_MAX))?;
    stream.map_err(|source| EnrollError::Connect {
        address: address.to_owned(),
        source,
    })
}

impl Session {
    /// Shakes hands over `stream` and verifies that the other end belongs to the
    /// cluster that is to be believed. Nothing of the request has been sent then.
    pub async fn open<S>(
        stream: S,
        trust: Trust,
        time: Arc<dyn TimeProvider>,
    ) -> Result<Self, EnrollError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let now = time
            .current_time()
            .unwrap_or(UnixTime::since_unix_epoch(Duration::ZERO));
        let config = trust
            .clone()
            .client_config(None, time)
            .map_err(|error| EnrollError::Handshake(io::Error::other(error)))?;
        let stream = handshake(stream, Arc::new(config)).await?;
        let (_, connection) = stream.get_ref();
        let [leaf, others @ ..] = connection.peer_certificates().unwrap_or_default() else {
            return Err(EnrollError::Answer("there is no certificate"));
        };
        let verified = trust.verify(leaf, others, now)?;
        let exporter = connection
            .export_keying_material([0; 32], EXPORTER_LABEL, None)
            .map_err(|error| EnrollError::Handshake(io::Error::other(error)))?;
        let channel = one_shot(stream)
            .await
            .map_err(|error| EnrollError::Handshake(io::Error::other(error)))?;
        Ok(Self {
            channel,
            exporter,
            verified,
        })
    }

    /// The cluster at the other end.
    pub fn cluster(&self) -> ClusterId {
        self.verified.cluster
    }

    /// Its root.
    pub fn root(&self) -> &CertificateDer<'static> {
        &self.verified.root
    }

    /// Turns a token into an operator's certificate for `key`.
    pub async fn login(
        self,
        token: &Token,
        key: &PrivateKey,
        name: &str,
        now: UnixTime,
    ) -> Result<Login, EnrollError> {
        let csr = key.request()?;
        let proof = self.proof(token, Request::Login { csr: &csr, name });
        let request = wire::LoginRequest {
            proof: Some(proof),
            csr: csr.into(),
            name: name.to_owned(),
        };
        let mut client = EnrollmentClient::new(self.channel.clone());
        let reply = within(client.login(request)).await?;
        self.accept_login(reply, key, now)
    }

    /// Asks to become a member, by a token. `request` comes without its proof.
    pub async fn join(
        &self,
        token: &Token,
        mut request: wire::JoinRequest,
    ) -> Result<wire::JoinReply, EnrollError> {
        request.proof = Some(self.proof(token, asked(&request)));
        self.ask(request).await
    }

    /// What a cloud's word for this machine is to be bound to, if it asks for `request`.
    pub fn digest(&self, request: &wire::JoinRequest) -> [u8; 32] {
        proof::digest(&self.exporter, asked(request))
    }

    /// Asks to become a member. `request` comes with its proof.
    pub async fn ask(&self, request: wire::JoinRequest) -> Result<wire::JoinReply, EnrollError> {
        let mut client = EnrollmentClient::new(self.channel.clone());
        within(client.join(request)).await
    }

    /// Checks a chain that the cluster signed for us: it leads to the pinned root,
    /// has our key and names us as it should.
    pub fn accept_chain(
        &self,
        chain: &[CertificateDer<'static>],
        key: &PrivateKey,
        now: UnixTime,
    ) -> Result<(Leaf, Subject), EnrollError> {
        let [leaf, others @ ..] = chain else {
            return Err(EnrollError::Answer("there is no certificate"));
        };
        chain::verify(leaf, others, &self.verified.root, now, Usage::Client)?;
        let read = Leaf::read(leaf).map_err(|_| ChainError::Unreadable)?;
        if read.public_key != key.public_key() {
            return Err(EnrollError::Answer("the certificate is for another key"));
        }
        match read.subject() {
            Some((cluster, subject)) if cluster == self.verified.cluster => Ok((read, subject)),
            _ => Err(EnrollError::Answer("the certificate names another cluster")),
        }
    }

    fn accept_login(
        self,
        reply: wire::LoginReply,
        key: &PrivateKey,
        now: UnixTime,
    ) -> Result<Login, EnrollError> {
        let credential = reply
            .credential
            .ok_or(EnrollError::Answer("there is no credential"))?;
        let chain = certificates(&credential.certificate_chain);
        let (leaf, subject) = self.accept_chain(&chain, key, now)?;
        let Subject::Operator { role, id } = subject else {
            return Err(EnrollError::Answer("the certificate is not an operator's"));
        };
        Ok(Login {
            cluster: self.verified.cluster,
            root: self.verified.root,
            chain,
            operator: id,
            role,
            name: credential.name,
            not_after_ms: leaf.not_after.saturating_mul(1000),
            admin_addresses: reply.admin_addresses,
        })
    }

    fn proof(&self, token: &Token, request: Request<'_>) -> wire::TokenProof {
        let mac = proof::prove(&token.secret.verifier(), &self.exporter, request);
        wire::TokenProof {
            token_id: token.invitation.to_string(),
            mac: mac.to_vec().into(),
        }
    }
}

/// Certificates from the bytes of a message.
pub fn certificates(chain: &[impl AsRef<[u8]>]) -> Vec<CertificateDer<'static>> {
    chain
        .iter()
        .map(|der| CertificateDer::from(der.as_ref().to_vec()))
        .collect()
}

fn asked(request: &wire::JoinRequest) -> Request<'_> {
    Request::Join {
        csr: &request.csr,
        hpke_public_key: &request.hpke_public_key,
        node_name: &request.node_name,
        peer_address: &request.peer_address,
        admin_address: &request.admin_address,
    }
}

async fn within<T>(
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Result<T, EnrollError> {
    let reply = timeout(ANSWER_MAX, call).await;
    let reply = reply.map_err(|_| EnrollError::TimedOut(ANSWER_MAX))?;
    Ok(reply?.into_inner())
}

pub(crate) async fn handshake<S>(
    stream: S,
    config: Arc<rustls::ClientConfig>,
) -> Result<TlsStream<S>, EnrollError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // The name is not what is verified: `Trust` checks the cluster's own names.
    let name = ServerName::IpAddress(std::net::IpAddr::from([127, 0, 0, 1]).into());
    let shaking = timeout(
        CONNECT_MAX,
        TlsConnector::from(config).connect(name, stream),
    )
    .await;
    let stream = shaking.map_err(|_| EnrollError::TimedOut(CONNECT_MAX))?;
    stream.map_err(|error| match trust_error(&error) {
        Some(trust) => EnrollError::Trust(trust),
        None => EnrollError::Handshake(error),
    })
}

/// A channel over this very stream: the proof is bound to it, so a second
/// connection would be of no use and is refused.
async fn one_shot<S>(stream: TlsStream<S>) -> Result<Channel, tonic::transport::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stream = Some(stream);
    let connector = tower::service_fn(move |_| {
        let stream = stream.take();
        async move {
            let stream = stream.ok_or_else(|| io::Error::other("the connection was lost"))?;
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    });
    endpoint().connect_with_connector(connector).await
}

pub(crate) fn endpoint() -> Endpoint {
    // The address is never dialed: the connector brings the stream.
    Endpoint::from_static("http://cluster.hostquorum.internal")
}
