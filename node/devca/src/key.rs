//! Public keys: as JWK (RFC 7517), as RFC 7638 thumbprint, as found in certificates.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION,
};
use x509_parser::public_key::PublicKey as ParsedKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::jwk::Jwk;

/// The least RSA modulus, in bits, that public CAs take.
const MIN_RSA_BITS: usize = 2_048;
/// Larger keys only make each check slower.
const MAX_RSA_BITS: usize = 8_192;
/// 32 bits: the exponents in use are 3 and 65537, and a huge one makes checks slow.
const MAX_EXPONENT_BYTES: usize = 4;

/// A public key of a kind this CA takes, of a size it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Jwk", into = "Jwk")]
pub struct PublicKey(pub(crate) Material);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Material {
    Ec {
        curve: Curve,
        x: Vec<u8>,
        y: Vec<u8>,
    },
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    Ed25519 {
        x: Vec<u8>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
}

impl Curve {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
        }
    }

    pub(crate) fn coordinate_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }
}

/// The JWS algorithms (RFC 7518, RFC 8037) this CA takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Es256,
    Es384,
    Rs256,
    EdDsa,
}

impl Algorithm {
    /// All of them, by their names in a JWS header.
    pub(crate) const ALL: [(&'static str, Self); 4] = [
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("RS256", Self::Rs256),
        ("EdDSA", Self::EdDsa),
    ];

    /// The algorithm of this name, if this CA takes it.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find_map(|(known, algorithm)| (*known == name).then_some(*algorithm))
    }

    pub(crate) fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find_map(|(name, algorithm)| (*algorithm == self).then_some(*name))
            .unwrap_or("")
    }
}

/// Why a key is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("the JWK holds a private key; send the public half and treat this key as lost")]
    Private,
    #[error("keys of type {0:?} are not taken; use EC (P-256, P-384), RSA or OKP (Ed25519)")]
    Type(String),
    #[error("the curve {0:?} is not taken; use P-256 or P-384, or Ed25519 for OKP")]
    Curve(String),
    #[error("the key's {0:?} is missing, not base64url or not of the right length")]
    Field(&'static str),
    #[error("the RSA modulus has {0} bits; this CA takes {MIN_RSA_BITS} to {MAX_RSA_BITS}")]
    Size(usize),
    #[error("the RSA exponent is not an odd number from 3 to 32 bits")]
    Exponent,
    #[error("the JWK says alg {0:?}, which does not fit the key")]
    Algorithm(String),
    #[error("the certificate's key is neither P-256, P-384 nor RSA")]
    CertificateKey,
}

impl PublicKey {
    /// The key of a certificate or of a signing request: P-256, P-384 or RSA.
    pub(crate) fn from_spki(spki: &SubjectPublicKeyInfo<'_>) -> Result<Self, KeyError> {
        if spki.algorithm.algorithm == OID_PKCS1_RSAENCRYPTION {
            return match spki.parsed() {
                Ok(ParsedKey::RSA(key)) => rsa(
                    without_leading_zeros(key.modulus),
                    without_leading_zeros(key.exponent),
                ),
                _ => Err(KeyError::CertificateKey),
            };
        }
        if spki.algorithm.algorithm != OID_KEY_TYPE_EC_PUBLIC_KEY {
            return Err(KeyError::CertificateKey);
        }
        let named = spki.algorithm.parameters.as_ref();
        let named = named.and_then(|parameters| parameters.as_oid().ok());
        let curve = match named {
            Some(oid) if oid == OID_EC_P256 => Curve::P256,
            Some(oid) if oid == OID_NIST_EC_P384 => Curve::P384,
            _ => return Err(KeyError::CertificateKey),
        };
        let size = curve.coordinate_bytes();
        match spki.subject_public_key.data.split_first() {
            Some((4, point)) if point.len() == 2 * size => Ok(Self(Material::Ec {
                curve,
                x: point[..size].to_vec(),
                y: point[size..].to_vec(),
            })),
            _ => Err(KeyError::CertificateKey),
        }
    }

    /// The SHA-256 thumbprint of RFC 7638, base64url.
    pub fn thumbprint(&self) -> String {
        let b64 = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        let canonical = match &self.0 {
            Material::Ec { curve, x, y } => format!(
                r#"{{"crv":"{}","kty":"EC","x":"{}","y":"{}"}}"#,
                curve.name(),
                b64(x),
                b64(y)
            ),
            Material::Rsa { n, e } => {
                format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, b64(e), b64(n))
            }
            Material::Ed25519 { x } => {
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, b64(x))
            }
        };
        b64(digest(&SHA256, canonical.as_bytes()).as_ref())
    }

    /// Whether this is an RSA key, whose certificates may also encipher keys.
    pub(crate) fn is_rsa(&self) -> bool {
        matches!(self.0, Material::Rsa { .. })
    }

    /// The one JWS algorithm this key signs with.
    pub(crate) fn algorithm(&self) -> Algorithm {
        match &self.0 {
            Material::Ec {
                curve: Curve::P256, ..
            } => Algorithm::Es256,
            Material::Ec {
                curve: Curve::P384, ..
            } => Algorithm::Es384,
            Material::Rsa { .. } => Algorithm::Rs256,
            Material::Ed25519 { .. } => Algorithm::EdDsa,
        }
    }

    /// Whether `signature` is this key's over `message`.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Material::Ec { curve, x, y } => {
                let point = [&[4], x.as_slice(), y].concat();
                let algorithm = match curve {
                    Curve::P256 => &ECDSA_P256_SHA256_FIXED,
                    Curve::P384 => &ECDSA_P384_SHA384_FIXED,
                };
                UnparsedPublicKey::new(algorithm, point)
                    .verify(message, signature)
                    .is_ok()
            }
            Material::Rsa { n, e } => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
            Material::Ed25519 { x } => UnparsedPublicKey::new(&ED25519, x)
                .verify(message, signature)
                .is_ok(),
        }
    }
}

/// An RSA key of big-endian numbers, checked.
pub(crate) fn rsa(n: &[u8], e: &[u8]) -> Result<PublicKey, KeyError> {
    let leading = n.first().ok_or(KeyError::Field("n"))?.leading_zeros() as usize;
    let bits = n.len() * 8 - leading;
    if n.first() == Some(&0) || !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
        return Err(KeyError::Size(bits));
    }
    let odd = e.last().is_some_and(|last| last % 2 == 1);
    if !odd || e == [1] || e.first() == Some(&0) || e.len() > MAX_EXPONENT_BYTES {
        return Err(KeyError::Exponent);
    }
    Ok(PublicKey(Material::Rsa {
        n: n.to_vec(),
        e: e.to_vec(),
    }))
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 7638 section 3.1.
    const RFC_7638: &str = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;

    /// The key and the signature of RFC 8037 appendix A.
    const RFC_8037: &str =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    #[track_caller]
    fn refused(jwk: &str) -> KeyError {
        let jwk: Jwk = serde_json::from_str(jwk).unwrap();
        PublicKey::try_from(jwk).unwrap_err()
    }

    #[test]
    fn thumbprints_match_the_examples_of_the_rfcs() {
        let key: PublicKey = serde_json::from_str(RFC_7638).unwrap();
        assert_eq!(
            key.thumbprint(),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
        let key: PublicKey = serde_json::from_str(RFC_8037).unwrap();
        assert_eq!(
            key.thumbprint(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }

    #[test]
    fn the_ed25519_signature_of_rfc_8037_verifies() {
        let key: PublicKey = serde_json::from_str(RFC_8037).unwrap();
        let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = BASE64URL_NOPAD
            .decode(b"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")
            .unwrap();
        assert!(key.verify(message, &signature));
        assert!(!key.verify(b"another message", &signature));
        assert_eq!(key.algorithm(), Algorithm::EdDsa);
    }

    #[test]
    fn keys_survive_being_written_and_read() {
        for text in [RFC_7638, RFC_8037] {
            let key: PublicKey = serde_json::from_str(text).unwrap();
            let written = serde_json::to_string(&key).unwrap();
            assert_eq!(serde_json::from_str::<PublicKey>(&written).unwrap(), key);
        }
    }

    #[test]
    fn unfit_keys_are_refused_with_their_reason() {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let cases = [
            (
                format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{x}","d":"{x}"}}"#),
                KeyError::Private,
            ),
            (
                r#"{"kty":"oct","k":"AAAA"}"#.into(),
                KeyError::Type("oct".into()),
            ),
            (
                format!(r#"{{"kty":"EC","crv":"P-521","x":"{x}","y":"{x}"}}"#),
                KeyError::Curve("P-521".into()),
            ),
            (
                format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"AAAA"}}"#),
                KeyError::Field("y"),
            ),
            (
                format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{x}","alg":"RS256"}}"#),
                KeyError::Algorithm("RS256".into()),
            ),
            (
                r#"{"kty":"RSA","n":"_____w","e":"AQAB"}"#.into(),
                KeyError::Size(32),
            ),
            (RFC_7638.replace("AQAB", "Ag"), KeyError::Exponent),
            (RFC_7638.replace("AQAB", "AQ"), KeyError::Exponent),
        ];
        for (jwk, reason) in cases {
            assert_eq!(refused(&jwk), reason, "{jwk}");
        }
    }
}
