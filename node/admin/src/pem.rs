//! Certificates and keys as text (RFC 7468), as operators bring them.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rsa,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING,
        ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _,
    },
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject};
use state::Secret;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Most certificates in one text: no public chain has more than four.
const CERTIFICATES_MAX: usize = 20;

/// Why a text holds no certificates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoCertificates {
    #[error("there is no certificate in PEM in it (-----BEGIN CERTIFICATE-----)")]
    None,
    #[error("there are more than {CERTIFICATES_MAX} certificates in it")]
    TooMany,
    #[error("certificate {0} in it is damaged: {1}")]
    Damaged(usize, &'static str),
}

/// All certificates of a text, in their order; other sections are passed over.
pub(crate) fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, NoCertificates> {
    let mut certificates = Vec::new();
    for section in CertificateDer::pem_slice_iter(text.as_bytes()) {
        let place = certificates.len() + 1;
        if place > CERTIFICATES_MAX {
            return Err(NoCertificates::TooMany);
        }
        let der = section.map_err(|_| NoCertificates::Damaged(place, "it is not PEM"))?;
        match X509Certificate::from_der(&der) {
            Ok(([], _)) => certificates.push(der),
            Ok(_) => return Err(NoCertificates::Damaged(place, "something follows it")),
            Err(_) => return Err(NoCertificates::Damaged(place, "it is not X.509")),
        }
    }
    if certificates.is_empty() {
        return Err(NoCertificates::None);
    }
    Ok(certificates)
}

/// A private key that can be served.
#[derive(Debug)]
pub(crate) struct PrivateKey {
    /// PKCS #8, as everything here keeps keys.
    pub(crate) pkcs8: Secret,
    /// SubjectPublicKeyInfo (DER).
    pub(crate) public: Vec<u8>,
}

/// Why a text holds no key that can be served. Never quotes the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoKey {
    #[error("there is no private key in PEM in it (-----BEGIN PRIVATE KEY-----)")]
    None,
    #[error("it is damaged: it is not PEM")]
    Damaged,
    #[error(
        "it is encrypted with a passphrase: decrypt it first (openssl pkey -in FILE -out FILE); \
         the cluster seals it by its own key"
    )]
    Encrypted,
    #[error(
        "it is neither of RSA with 2048 to 8192 bits nor of ECDSA on P-256, P-384 or P-521, or \
         it is damaged"
    )]
    Unsupported,
}

/// The private key of a text: PKCS #8, PKCS #1 or SEC 1.
pub(crate) fn private_key(text: &[u8]) -> Result<PrivateKey, NoKey> {
    let encrypted = |mark: &[u8]| text.windows(mark.len()).any(|at| at == mark);
    if encrypted(b"ENCRYPTED PRIVATE KEY") || encrypted(b"Proc-Type: 4,ENCRYPTED") {
        return Err(NoKey::Encrypted);
    }
    let der = PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound => NoKey::None,
        _ => NoKey::Damaged,
    })?;
    elliptic(&der)
        .or_else(|| by_rsa(&der))
        .ok_or(NoKey::Unsupported)
}

fn elliptic(der: &PrivateKeyDer<'_>) -> Option<PrivateKey> {
    let pair = [
        &ECDSA_P256_SHA256_ASN1_SIGNING,
        &ECDSA_P384_SHA384_ASN1_SIGNING,
        &ECDSA_P521_SHA512_ASN1_SIGNING,
    ]
    .into_iter()
    .find_map(|curve| EcdsaKeyPair::from_private_key_der(curve, der.secret_der()).ok())?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().ok()?;
    Some(PrivateKey {
        pkcs8: Secret::new(pair.to_pkcs8v1().ok()?.as_ref().to_vec()),
        public: public.as_ref().to_vec(),
    })
}

fn by_rsa(der: &PrivateKeyDer<'_>) -> Option<PrivateKey> {
    let secret = der.secret_der();
    let pair = match der {
        PrivateKeyDer::Pkcs8(_) => rsa::KeyPair::from_pkcs8(secret),
        _ => rsa::KeyPair::from_der(secret),
    };
    let pair = pair.ok()?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().ok()?;
    let pkcs8: Pkcs8V1Der<'_> = pair.as_der().ok()?;
    Some(PrivateKey {
        pkcs8: Secret::new(pkcs8.as_ref().to_vec()),
        public: public.as_ref().to_vec(),
    })
}
