//! Whom a client of the admin port believes: the cluster whose root it knows, or
//! the one whose root its token pins. System roots play no part.

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    sign::CertifiedKey,
    time_provider::TimeProvider,
    version::TLS13,
};

use crate::{
    certificate::Leaf,
    chain::{self, ChainError, Usage},
    names::{self, ClusterId},
    token::{RootPin, Token},
};

/// Whom to believe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Whoever leads to the root with that public key, in a cluster whose id
    /// begins so.
    Pinned {
        /// SHA-256 of the root's public key.
        root: RootPin,
        /// The id's first bytes.
        cluster: [u8; 4],
    },
    /// Whoever leads to this root, in this cluster.
    Known {
        /// The root's certificate.
        root: CertificateDer<'static>,
        /// The id.
        cluster: ClusterId,
    },
}

/// A server that was verified: which cluster it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The cluster's root.
    pub root: CertificateDer<'static>,
    /// Its id.
    pub cluster: ClusterId,
}

/// Why a server is not believed. Nothing was sent to it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// Another cluster, or somebody in the middle.
    #[error(
        "the server does not present the root that is pinned: the token or the context belongs \
         to another cluster, or somebody stands in between"
    )]
    WrongRoot,
    /// The right root, but the chain does not hold.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The right root, another name.
    #[error("the server's certificate does not name the cluster: is this its admin address?")]
    WrongName,
}

impl Trust {
    /// Whom a token's holder believes.
    pub fn of_token(token: &Token) -> Self {
        Self::Pinned {
            root: token.root,
            cluster: token.cluster,
        }
    }

    /// Verifies what a server presented: leaf first, the root among the rest.
    pub fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Verified, TrustError> {
        let root = self.root(others).ok_or(TrustError::WrongRoot)?;
        chain::verify(leaf, others, &root, now, Usage::Server)?;
        let read = Leaf::read(leaf).map_err(|_| ChainError::Unreadable)?;
        let clusters = read
            .hosts
            .iter()
            .filter_map(|host| names::cluster_of_host(host));
        let cluster = clusters
            .into_iter()
            .find(|cluster| self.is_cluster(cluster));
        let cluster = cluster.ok_or(TrustError::WrongName)?;
        Ok(Verified { root, cluster })
    }

    fn root(&self, presented: &[CertificateDer<'_>]) -> Option<CertificateDer<'static>> {
        match self {
            Self::Known { root, .. } => Some(root.clone()),
            Self::Pinned { root: pin, .. } => presented
                .iter()
                .find(|certificate| {
                    Leaf::read(certificate)
                        .is_ok_and(|read| RootPin::of_public_key(&read.public_key) == *pin)
                })
                .map(|root| root.clone().into_owned()),
        }
    }

    fn is_cluster(&self, id: &ClusterId) -> bool {
        match self {
            Self::Known { cluster, .. } => cluster == id,
            Self::Pinned { cluster, .. } => id.starts_with(cluster),
        }
    }

    /// A TLS 1.3 configuration that speaks to nobody else. `identity` is the
    /// caller's own certificate, if it has one.
    pub fn client_config(
        self,
        identity: Option<CertifiedKey>,
        time: Arc<dyn TimeProvider>,
    ) -> Result<ClientConfig, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Verifier {
            trust: self,
            provider: provider.clone(),
        };
        let builder = ClientConfig::builder_with_details(provider, time)
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(key) => builder
                .with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(key))),
        };
        // A resumed session would not be verified anew.
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.trust
            .verify(end_entity, intermediates, now)
            .map(|_| ServerCertVerified::assertion())
            .map_err(|error| Error::InvalidCertificate(described(error)))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

fn described(error: TrustError) -> CertificateError {
    CertificateError::Other(OtherError(Arc::new(error)))
}

/// The [`TrustError`] within an I/O error of a handshake, if it was that.
pub fn trust_error(error: &std::io::Error) -> Option<TrustError> {
    let tls = error.get_ref()?.downcast_ref::<Error>()?;
    let Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) = tls else {
        return None;
    };
    inner.downcast_ref::<TrustError>().cloned()
}
