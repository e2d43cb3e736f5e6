//! The admin port: server-authenticated TLS 1.3, on which an operator shows a
//! client certificate and a newcomer shows none.

mod stream;
mod verifier;

use std::{io, net::SocketAddr, sync::Arc};

use enroll::{
    Leaf, OperatorRole, Subject,
    chain::{self, ChainError, Usage},
    proof::{EXPORTER_LABEL, Exporter},
};
use rustls::pki_types::{CertificateDer, UnixTime};
use state::{
    OperatorId, Role, Timestamp,
    ports::{Clock, OperatorIdentity},
};
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::TlsAcceptor;

pub use self::stream::AdminStream;
use self::verifier::{OperatorVerifier, not_an_operator};
use crate::{
    credential::NodeCredential,
    door::Handshake,
    roster::Roster,
    tls::{self, Signatures},
    wire::Wire,
};

/// Connections to the admin port: some operators with a `watch` each. An unknown
/// caller holds its place for a minute at most.
pub const CONNECTIONS_MAX: usize = 256;

/// Who calls on the admin port. tonic puts it into the extensions of every request
/// there.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminConnection {
    /// From where.
    pub peer_addr: SocketAddr,
    /// Who, if a client certificate was shown; nobody else may do more than redeem
    /// a token.
    pub operator: Option<OperatorIdentity>,
    /// Binds proofs to this connection.
    pub exporter: Exporter,
}

impl std::fmt::Debug for AdminConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "AdminConnection({}, {:?})",
            self.peer_addr, self.operator
        )
    }
}

/// Shakes hands on the admin port.
pub struct AdminPort {
    acceptor: TlsAcceptor,
    operators: Operators,
    clock: Arc<dyn Clock>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The caller's certificate is of no use.
    #[error("the caller's certificate was refused")]
    Operator(#[from] NotAnOperator),
    /// A broken line, or no TLS.
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    /// The library refused its configuration.
    #[error("TLS could not be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// Why a certificate is not an operator's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnOperator {
    /// It does not hold.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// It names a node, another cluster, or nobody.
    #[error("the certificate does not name an operator of this cluster")]
    Name,
    /// The cluster does not know its key under that name.
    #[error("the cluster knows no such operator with that key and role")]
    Unknown,
}

impl AdminPort {
    /// The admin port of the node whose credential that is.
    pub fn new(
        roster: Arc<Roster>,
        credential: Arc<NodeCredential>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AdminError> {
        let signatures = Signatures::new();
        let operators = Operators(roster);
        let verifier = OperatorVerifier::new(operators.clone(), signatures.clone());
        let verifier = Arc::new(verifier);
        let config = tls::server_config(&signatures, &clock, verifier, credential, b"h2")?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            operators,
            clock,
        })
    }

    /// Shakes hands with a caller.
    pub async fn accept(
        &self,
        stream: Wire,
        peer_addr: SocketAddr,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<AdminStream, AdminError> {
        let accepting = self.acceptor.accept(stream).await;
        let tls = accepting.map_err(|error| match not_an_operator(&error) {
            Some(reason) => AdminError::Operator(reason),
            None => AdminError::Handshake(error),
        })?;
        let now = self.clock.now();
        let (_, connection) = tls.get_ref();
        let known = match connection.peer_certificates() {
            Some([leaf, others @ ..]) => {
                Some(self.operators.identify(leaf, others, tls::unix_time(now))?)
            }
            _ => None,
        };
        let exporter = connection.export_keying_material([0; 32], EXPORTER_LABEL, None)?;
        let until = known.as_ref().map(|(_, not_after)| not_after.since(now));
        let connection = AdminConnection {
            peer_addr,
            operator: known.map(|(operator, _)| operator),
            exporter,
        };
        Ok(AdminStream::new(tls, connection, until, permit))
    }
}

impl Handshake for AdminPort {
    type Connection = AdminStream;
    type Error = AdminError;

    async fn shake(
        &self,
        stream: Wire,
        from: SocketAddr,
        permit: OwnedSemaphorePermit,
    ) -> Result<AdminStream, AdminError> {
        let accepted = self.accept(stream, from, Some(permit)).await;
        if let Err(AdminError::Operator(reason)) = &accepted {
            tracing::warn!(%from, %reason, "a client certificate on the admin port was refused");
        }
        accepted
    }
}

impl std::fmt::Debug for AdminPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AdminPort({:?})", self.operators.0)
    }
}

/// Operators as the state knows them.
#[derive(Clone, Debug)]
pub(crate) struct Operators(Arc<Roster>);

impl Operators {
    /// Whose certificate that is, and until when it is good.
    pub(crate) fn identify(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(OperatorIdentity, Timestamp), NotAnOperator> {
        chain::verify(leaf, others, self.0.root(), now, Usage::Client)?;
        let read = Leaf::read(leaf).map_err(|_| ChainError::Unreadable)?;
        let Some((cluster, Subject::Operator { role, id })) = read.subject() else {
            return Err(NotAnOperator::Name);
        };
        if cluster != self.0.cluster().0 {
            return Err(NotAnOperator::Name);
        }
        let role = match role {
            OperatorRole::Admin => Role::Admin,
            OperatorRole::Viewer => Role::Viewer,
        };
        let state = self.0.state();
        let operator = state
            .operator(OperatorId(id))
            .filter(|known| known.role == role && known.public_key == read.public_key)
            .ok_or(NotAnOperator::Unknown)?;
        let identity = OperatorIdentity {
            operator: operator.id,
            name: operator.name.clone(),
            role,
        };
        let not_after = u64::try_from(read.not_after).unwrap_or(0);
        Ok((identity, Timestamp::from_secs(not_after)))
    }
}
