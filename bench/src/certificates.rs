//! A CA of the run's own, and a certificate for the hostname that all proxies serve.

use std::{fs, path::Path, sync::Arc};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::{
        CryptoProvider, aws_lc_rs,
        aws_lc_rs::{cipher_suite, kx_group},
    },
};

/// The hostname that all proxies serve.
pub(crate) const HOST: &str = "shop.customer.example";

/// Who signs what the proxies serve.
pub(crate) struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Ca {
    pub(crate) fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self { issuer })
    }

    /// Certificate (ECDSA on P-256, as CAs give today), issuer and key of `name` as PEM.
    pub(crate) fn issue(&self, name: &str) -> Result<String> {
        let key = KeyPair::generate()?;
        let leaf = CertificateParams::new(vec![name.to_owned()])?.signed_by(&key, &self.issuer)?;
        Ok(leaf.pem() + &self.issuer.pem() + &key.serialize_pem())
    }

    /// Writes `folder/NAME.pem`.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> Result<()> {
        fs::create_dir_all(folder)?;
        Ok(fs::write(
            folder.join(format!("{name}.pem")),
            self.issue(name)?,
        )?)
    }

    /// TLS 1.3 with X25519, and ciphers in the order of browsers, that trusts this CA alone,
    /// offers one protocol, and resumes nothing.
    pub(crate) fn client(&self, protocol: &str) -> Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone())?;
        // What all contenders have: whoever takes X25519MLKEM768 would pay for what others
        // do not offer.
        let provider = CryptoProvider {
            kx_groups: vec![kx_group::X25519],
            cipher_suites: vec![
                cipher_suite::TLS13_AES_128_GCM_SHA256,
                cipher_suite::TLS13_AES_256_GCM_SHA384,
                cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
            ],
            ..aws_lc_rs::default_provider()
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Arc::new(config))
    }
}
