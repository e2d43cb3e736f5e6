//! TLS, with clients and with origins.

use std::sync::Arc;

use bytes::Bytes;
use proto::admin::v1::{self, origin_trust::Trust};
use state::{
    KeyPurpose,
    ports::Seal,
    sealed::SealContext,
    traffic::{Ciphers, OriginIdentity, OriginTrust, Switch, TlsVersion},
};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{at, bounded};
use crate::{limits, pem, problem::Problem};

pub(super) fn trust(wire: &v1::OriginTrust) -> Result<OriginTrust, Problem> {
    const FIELD: &str = "traffic.origin_trust";
    match &wire.trust {
        Some(Trust::System(true)) => Ok(OriginTrust::System),
        Some(Trust::Off(true)) => Ok(OriginTrust::Off),
        Some(Trust::RootsPem(text)) => {
            roots("traffic.origin_trust.roots_pem", text).map(OriginTrust::Roots)
        }
        Some(Trust::Pins(pins)) => self::pins(pins).map(OriginTrust::Pins),
        Some(Trust::System(false) | Trust::Off(false)) | None => {
            let message = "one of system, roots_pem, pins and off is needed";
            Err(Problem::field(FIELD, message))
        }
    }
}

fn pins(wire: &v1::OriginPins) -> Result<Arc<[[u8; 32]]>, Problem> {
    const FIELD: &str = "traffic.origin_trust.pins";
    if wire.sha256.is_empty() {
        return Err(Problem::field(FIELD, "at least one pin is needed"));
    }
    bounded(FIELD, wire.sha256.len(), limits::PINS_MAX)?;
    let one = |(place, pin): (usize, &Bytes)| {
        let bad = |_| at(FIELD, place, "a pin is a SHA-256, which has 32 bytes");
        <[u8; 32]>::try_from(&pin[..]).map_err(bad)
    };
    wire.sha256.iter().enumerate().map(one).collect()
}

/// Certificates (PEM) that others may chain to.
fn roots(field: &'static str, text: &str) -> Result<Arc<[Bytes]>, Problem> {
    if text.len() > limits::ROOTS_MAX {
        let message = format!("roots have at most {} bytes of PEM", limits::ROOTS_MAX);
        return Err(Problem::field(field, message));
    }
    let found =
        pem::certificates(text).map_err(|error| Problem::field(field, error.to_string()))?;
    let one = |(place, der): (usize, &rustls_pki_types::CertificateDer<'_>)| {
        webpki::anchor_from_trusted_cert(der)
            .map_err(|error| at(field, place, format!("it cannot be a root: {error}")))?;
        Ok(Bytes::copy_from_slice(der))
    };
    found.iter().enumerate().map(one).collect()
}

pub(super) fn client_roots(wire: &v1::ClientRoots) -> Result<Switch<Arc<[Bytes]>>, Problem> {
    if wire.off {
        return Ok(Switch::Off);
    }
    roots("traffic.client_roots.roots_pem", &wire.roots_pem).map(Switch::On)
}

pub(super) fn identity(
    wire: &v1::OriginIdentity,
    seal: &dyn Seal,
) -> Result<Switch<Arc<OriginIdentity>>, Problem> {
    const CERTIFICATE: &str = "traffic.origin_identity.certificate_pem";
    const KEY: &str = "traffic.origin_identity.private_key_pem";
    if wire.off {
        return Ok(Switch::Off);
    }
    if wire.certificate_pem.len() > limits::CHAIN_PEM_MAX {
        let message = format!("a chain has at most {} bytes of PEM", limits::CHAIN_PEM_MAX);
        return Err(Problem::field(CERTIFICATE, message));
    }
    if wire.private_key_pem.len() > limits::KEY_PEM_MAX {
        let message = format!("a key has at most {} bytes of PEM", limits::KEY_PEM_MAX);
        return Err(Problem::field(KEY, message));
    }
    let chain = pem::certificates(&wire.certificate_pem)
        .map_err(|error| Problem::field(CERTIFICATE, error.to_string()))?;
    let key = pem::private_key(wire.private_key_pem.as_bytes())
        .map_err(|error| Problem::field(KEY, error.to_string()))?;
    // `pem::certificates` answers with one or more, each of which it has parsed.
    let leaf = &chain[0];
    let of_leaf = X509Certificate::from_der(leaf)
        .is_ok_and(|(_, parsed)| parsed.public_key().raw == key.public);
    if !of_leaf {
        let message = "the key is not that of the first certificate";
        return Err(Problem::field(KEY, message));
    }
    let context = SealContext::OriginIdentity(digest(leaf));
    let sealed = seal.seal(KeyPurpose::Serving, &context, key.pkcs8.expose());
    Ok(Switch::On(Arc::new(OriginIdentity {
        key: sealed.map_err(|error| Problem::unsealed(&error))?,
        chain: chain
            .iter()
            .map(|der| Bytes::copy_from_slice(der))
            .collect(),
    })))
}

fn digest(der: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    bytes
}

pub(super) fn version(wire: i32) -> Result<Option<TlsVersion>, Problem> {
    match v1::TlsVersion::try_from(wire) {
        Ok(v1::TlsVersion::Unspecified) => Ok(None),
        Ok(v1::TlsVersion::TlsVersion12) => Ok(Some(TlsVersion::V12)),
        Ok(v1::TlsVersion::TlsVersion13) => Ok(Some(TlsVersion::V13)),
        Err(_) => {
            let message = format!("{wire} is no version of TLS that is served: 1.2 or 1.3");
            Err(Problem::field("traffic.min_tls", message))
        }
    }
}

pub(super) fn ciphers(wire: i32) -> Result<Option<Ciphers>, Problem> {
    match v1::CipherPolicy::try_from(wire) {
        Ok(v1::CipherPolicy::Unspecified) => Ok(None),
        Ok(v1::CipherPolicy::Default) => Ok(Some(Ciphers::Default)),
        Ok(v1::CipherPolicy::Strong) => Ok(Some(Ciphers::Strong)),
        Ok(v1::CipherPolicy::Aes) => Ok(Some(Ciphers::Aes)),
        Err(_) => {
            let message = format!("{wire} is no choice of ciphers: default, strong or aes");
            Err(Problem::field("traffic.ciphers", message))
        }
    }
}
