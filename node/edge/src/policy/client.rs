//! TLS with clients, as settings want it.

use std::sync::Arc;

use rustls::{
    CipherSuite, RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    pki_types::CertificateDer,
    server::{
        ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
        danger::ClientCertVerifier,
    },
    sign::CertifiedKey,
};
use state::{
    Traffic,
    traffic::{Ciphers, Switch, TlsVersion},
};

use crate::tls::{
    server::{H2, HTTP_1_1},
    tickets::Terms,
};

/// How handshakes are made.
pub(crate) enum Handshake {
    /// As by default.
    Usual,
    /// As this, but for the certificate and tickets. No early data, as ever.
    So(Box<ServerConfig>, Asked, Terms),
    /// It cannot be made: nobody is let in.
    Never,
}

/// What sessions are by default.
const USUAL: Terms = Terms {
    min_tls: TlsVersion::V12,
    ciphers: Ciphers::Default,
};

/// Whose certificates clients must show; compared to tell whether a connection that
/// stands was asked for the same.
pub(crate) type Asked = Option<Arc<[bytes::Bytes]>>;

impl Handshake {
    pub(super) fn new(provider: &Arc<CryptoProvider>, traffic: &Traffic) -> Self {
        let roots = traffic.client_roots.as_ref().and_then(Switch::on);
        let terms = Terms {
            min_tls: traffic.min_tls.unwrap_or(USUAL.min_tls),
            ciphers: traffic.ciphers.unwrap_or(USUAL.ciphers),
        };
        if roots.is_none() && traffic.http2.unwrap_or(true) && terms == USUAL {
            return Self::Usual;
        }
        match template(provider, traffic, roots.map(|roots| &**roots)) {
            Ok(config) => Self::So(Box::new(config), roots.cloned(), terms),
            // What the API lets in can be made; this is for what it may let in one day.
            Err(error) => {
                tracing::error!(%error, "settings of TLS with clients cannot be used");
                Self::Never
            }
        }
    }

    /// Whose certificates clients must show.
    pub(crate) fn asked(&self) -> Asked {
        match self {
            Self::So(_, asked, _) => asked.clone(),
            Self::Usual | Self::Never => None,
        }
    }

    /// What a session that is resumed must have been begun with; none if clients are asked
    /// for certificates: who resumes would not show one again.
    pub(crate) fn resumes(&self) -> Option<Terms> {
        match self {
            Self::Usual => Some(USUAL),
            Self::So(_, None, terms) => Some(*terms),
            Self::So(_, Some(_), _) | Self::Never => None,
        }
    }

    /// True if whoever was let in by `before` may stay.
    pub(crate) fn accepts(&self, before: &Asked) -> bool {
        match self {
            Self::Never => false,
            Self::Usual => true,
            Self::So(_, None, _) => true,
            Self::So(_, asked, _) => asked == before,
        }
    }

    /// What a connection is served with, given what its certificate is served with by
    /// default; none if it cannot be served.
    pub(crate) fn config(&self, usual: Arc<ServerConfig>) -> Option<Arc<ServerConfig>> {
        match self {
            Self::Usual => Some(usual),
            Self::Never => None,
            Self::So(template, ..) => {
                // Shares all that is large: about a microsecond beside a handshake's 200.
                let mut config = (**template).clone();
                config.cert_resolver = Arc::clone(&usual.cert_resolver);
                Some(Arc::new(config))
            }
        }
    }
}

fn template(
    provider: &Arc<CryptoProvider>,
    traffic: &Traffic,
    roots: Option<&[bytes::Bytes]>,
) -> Result<ServerConfig, Box<dyn std::error::Error>> {
    let provider = Arc::new(CryptoProvider {
        cipher_suites: {
            let mut suites = provider.cipher_suites.clone();
            let choice = traffic.ciphers.unwrap_or(Ciphers::Default);
            suites.retain(|suite| allows(choice, suite.suite()));
            suites
        },
        ..(**provider).clone()
    });
    let versions: &[&rustls::SupportedProtocolVersion] = match traffic.min_tls {
        Some(TlsVersion::V13) => &[&rustls::version::TLS13],
        Some(TlsVersion::V12) | None => &[&rustls::version::TLS13, &rustls::version::TLS12],
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)?;
    let builder = match roots {
        None => builder.with_no_client_auth(),
        Some(roots) => builder.with_client_cert_verifier(verifier(provider, roots)?),
    };
    let mut config = builder.with_cert_resolver(Arc::new(Nobody));
    if traffic.http2.unwrap_or(true) {
        config.alpn_protocols.push(H2.to_vec());
    }
    config.alpn_protocols.push(HTTP_1_1.to_vec());
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

fn verifier(
    provider: Arc<CryptoProvider>,
    roots: &[bytes::Bytes],
) -> Result<Arc<dyn ClientCertVerifier>, Box<dyn std::error::Error>> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(CertificateDer::from(root.to_vec()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider);
    Ok(builder.build()?)
}

fn allows(choice: Ciphers, suite: CipherSuite) -> bool {
    use CipherSuite as C;
    let aes_128 = matches!(
        suite,
        C::TLS13_AES_128_GCM_SHA256
            | C::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            | C::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
    );
    let chacha = matches!(
        suite,
        C::TLS13_CHACHA20_POLY1305_SHA256
            | C::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
            | C::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
    );
    match choice {
        Ciphers::Default => true,
        Ciphers::Strong => !aes_128,
        Ciphers::Aes => !chacha,
    }
}

/// Stands in the place of a certificate until a connection has one.
#[derive(Debug)]
struct Nobody;

impl ResolvesServerCert for Nobody {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suites(choice: Ciphers) -> Vec<CipherSuite> {
        let all = rustls::crypto::aws_lc_rs::default_provider().cipher_suites;
        let all = all.into_iter().map(|suite| suite.suite());
        all.filter(|suite| allows(choice, *suite)).collect()
    }

    #[test]
    fn every_choice_leaves_suites_for_both_versions_and_both_keys() {
        assert_eq!(suites(Ciphers::Default).len(), 9);
        for (choice, count) in [(Ciphers::Strong, 6), (Ciphers::Aes, 6)] {
            let names: Vec<_> = suites(choice).iter().map(|it| format!("{it:?}")).collect();
            assert_eq!(names.len(), count, "{names:?}");
            for part in ["TLS13", "ECDSA", "RSA"] {
                assert!(
                    names.iter().any(|name| name.contains(part)),
                    "{choice:?} {part}"
                );
            }
            let shunned = if choice == Ciphers::Strong {
                "AES_128"
            } else {
                "CHACHA"
            };
            assert!(
                names.iter().all(|name| !name.contains(shunned)),
                "{names:?}"
            );
        }
    }
}
