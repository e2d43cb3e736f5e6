//! A cluster's own CA, as small as it can be: root, online CA, leaves.

use std::sync::Arc;

use enroll::{
    Credential, OperatorRole, PrivateKey, RootPin, Secret, Subject, Token,
    names::{cluster_host, uri},
};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, SanType,
};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};

/// The id that `state::testing` founds clusters with.
pub(crate) const CLUSTER: [u8; 16] = [7; 16];

pub(crate) struct Pki {
    root: CertificateDer<'static>,
    root_public_key: Vec<u8>,
    issuing: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let root_key = KeyPair::generate().unwrap();
        let root_params = authority("root");
        let root = root_params.self_signed(&root_key).unwrap().der().clone();
        let root_public_key = rcgen::PublicKeyData::subject_public_key_info(&root_key);
        let root_issuer = Issuer::new(root_params, root_key);
        let issuing_key = KeyPair::generate().unwrap();
        let params = authority("issuing");
        let issuing = params.signed_by(&issuing_key, &root_issuer).unwrap();
        Self {
            root,
            root_public_key,
            issuing: issuing.der().clone(),
            issuer: Issuer::new(params, issuing_key),
        }
    }

    pub(crate) fn root(&self) -> CertificateDer<'static> {
        self.root.clone()
    }

    /// Leaf and online CA for the key that signed `csr`.
    pub(crate) fn certify(&self, csr: &[u8], id: u64, role: OperatorRole) -> Vec<Vec<u8>> {
        let csr = CertificateSigningRequestParams::from_der(&csr.into()).unwrap();
        let params = operator(id, role);
        let leaf = params.signed_by(&csr.public_key, &self.issuer).unwrap();
        vec![leaf.der().to_vec(), self.issuing.to_vec()]
    }

    /// An operator's key and certificate.
    pub(crate) fn credential(&self, id: u64, role: OperatorRole) -> Credential {
        self.sign(operator(id, role))
    }

    /// The administrator's, but of years ago.
    pub(crate) fn ended_credential(&self) -> Credential {
        let mut params = operator(1, OperatorRole::Admin);
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Credential {
        let key = PrivateKey::generate().unwrap();
        let leaf = params.signed_by(key.pair(), &self.issuer);
        Credential {
            cluster: CLUSTER,
            root: self.root.clone(),
            chain: vec![leaf.unwrap().der().clone(), self.issuing.clone()],
            key: Arc::new(key),
        }
    }

    /// A token for invitation `id`.
    pub(crate) fn token(&self, id: u64) -> Token {
        Token {
            cluster: [7; 4],
            root: RootPin::of_public_key(&self.root_public_key),
            invitation: id,
            secret: Secret::new([3; 32]),
        }
    }

    /// What a node's admin listener shakes hands with: a client certificate is
    /// checked if there is one.
    pub(crate) fn server_config(&self) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![cluster_host(&CLUSTER)]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let leaf = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .allow_unauthenticated()
                .build()
                .unwrap();
        let chain = vec![leaf, self.issuing.clone(), self.root.clone()];
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let names = &mut params.distinguished_name;
    names.push(rcgen::DnType::CommonName, name);
    params
}

fn operator(id: u64, role: OperatorRole) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    let name = uri(&CLUSTER, Subject::Operator { role, id });
    params.subject_alt_names = vec![SanType::URI(name.try_into().unwrap())];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}
