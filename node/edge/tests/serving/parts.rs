//! What a rig is made of: a store that can hang, a leader that is away, a CA.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use edge::{ChallengeSource, Unreachable};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use state::{
    Hostname,
    ports::{Bodies, BodiesError},
    testing::Alone,
};
use tokio::sync::Semaphore;

/// The replica's store, which counts, and blocks while it is closed.
pub(crate) struct Store {
    alone: Arc<Alone>,
    pub(crate) reads: AtomicUsize,
    open: Semaphore,
}

impl Store {
    pub(crate) fn new(alone: Arc<Alone>) -> Self {
        Self {
            alone,
            reads: AtomicUsize::new(0),
            open: Semaphore::new(Semaphore::MAX_PERMITS),
        }
    }

    pub(crate) fn close(&self) {
        self.open.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(crate) fn open(&self) {
        self.open.add_permits(1000);
    }
}

impl Bodies for Store {
    fn read(&self, key: &[u8]) -> Result<Option<Bytes>, BodiesError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        loop {
            if self.open.try_acquire().is_ok() {
                return self.alone.read(key);
            }
            std::thread::yield_now();
        }
    }
}

/// Nobody to ask.
pub(crate) struct NoLeader;

#[async_trait]
impl ChallengeSource for NoLeader {
    async fn key_authorization(
        &self,
        _: &Hostname,
        _: Option<&str>,
    ) -> Result<Option<String>, Unreachable> {
        Err(Unreachable)
    }
}

/// A CA for the edge's hostnames and for origins.
pub(crate) struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Ca {
    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub(crate) fn der(&self) -> Bytes {
        Bytes::copy_from_slice(self.issuer.der())
    }

    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self {
            issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap(),
        }
    }

    /// Leaf and PKCS #8 key.
    pub(crate) fn issue(&self, name: &str) -> (Bytes, Vec<u8>) {
        self.issue_for(&[name])
    }

    /// The same for several names.
    pub(crate) fn issue_for(&self, names: &[&str]) -> (Bytes, Vec<u8>) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let leaf = CertificateParams::new(names)
            .unwrap()
            .signed_by(&key, &self.issuer)
            .unwrap();
        (Bytes::copy_from_slice(leaf.der()), key.serialize_der())
    }

    pub(crate) fn client(&self, alpn: &[&str]) -> ClientConfig {
        self.client_of(alpn, &[&rustls::version::TLS13, &rustls::version::TLS12])
    }

    pub(crate) fn client_of(
        &self,
        alpn: &[&str],
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn
            .iter()
            .map(|protocol| protocol.as_bytes().to_vec())
            .collect();
        config
    }

    pub(crate) fn server(&self, name: &str, alpn: &[&str]) -> rustls::ServerConfig {
        let (leaf, key) = self.issue(name);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(leaf.to_vec())],
                PrivateKeyDer::Pkcs8(key.into()),
            )
            .unwrap();
        config.alpn_protocols = alpn
            .iter()
            .map(|protocol| protocol.as_bytes().to_vec())
            .collect();
        config
    }
}
