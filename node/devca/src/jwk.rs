//! JSON Web Keys (RFC 7517, RFC 7518 section 6, RFC 8037) to public keys and back.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use crate::key::{Curve, KeyError, Material, PublicKey, rsa};

/// A JWK as written; becomes a [`PublicKey`] when it is one this CA takes.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Jwk {
    kty: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alg: Option<String>,
    /// Present only when the sender gave away a private key.
    #[serde(skip_serializing)]
    d: Option<serde::de::IgnoredAny>,
}

impl Jwk {
    fn bytes(field: Option<&String>, name: &'static str) -> Result<Vec<u8>, KeyError> {
        field
            .and_then(|text| BASE64URL_NOPAD.decode(text.as_bytes()).ok())
            .ok_or(KeyError::Field(name))
    }

    fn sized(field: Option<&String>, name: &'static str, size: usize) -> Result<Vec<u8>, KeyError> {
        Self::bytes(field, name).and_then(|bytes| {
            (bytes.len() == size)
                .then_some(bytes)
                .ok_or(KeyError::Field(name))
        })
    }

    fn elliptic(&self) -> Result<PublicKey, KeyError> {
        let curve = match self.crv.as_deref().unwrap_or_default() {
            "P-256" => Curve::P256,
            "P-384" => Curve::P384,
            other => return Err(KeyError::Curve(other.into())),
        };
        let size = curve.coordinate_bytes();
        Ok(PublicKey(Material::Ec {
            curve,
            x: Self::sized(self.x.as_ref(), "x", size)?,
            y: Self::sized(self.y.as_ref(), "y", size)?,
        }))
    }

    fn octets(&self) -> Result<PublicKey, KeyError> {
        match self.crv.as_deref().unwrap_or_default() {
            "Ed25519" => Ok(PublicKey(Material::Ed25519 {
                x: Self::sized(self.x.as_ref(), "x", 32)?,
            })),
            other => Err(KeyError::Curve(other.into())),
        }
    }
}

impl TryFrom<Jwk> for PublicKey {
    type Error = KeyError;

    fn try_from(jwk: Jwk) -> Result<Self, KeyError> {
        if jwk.d.is_some() {
            return Err(KeyError::Private);
        }
        let key = match jwk.kty.as_str() {
            "EC" => jwk.elliptic(),
            "RSA" => rsa(
                &Jwk::bytes(jwk.n.as_ref(), "n")?,
                &Jwk::bytes(jwk.e.as_ref(), "e")?,
            ),
            "OKP" => jwk.octets(),
            other => Err(KeyError::Type(other.into())),
        }?;
        match jwk.alg {
            Some(alg) if alg != key.algorithm().name() => Err(KeyError::Algorithm(alg)),
            _ => Ok(key),
        }
    }
}

impl From<PublicKey> for Jwk {
    fn from(key: PublicKey) -> Self {
        let b64 = |bytes: &[u8]| Some(BASE64URL_NOPAD.encode(bytes));
        match &key.0 {
            Material::Ec { curve, x, y } => Self {
                kty: "EC".into(),
                crv: Some(curve.name().into()),
                x: b64(x),
                y: b64(y),
                ..Self::default()
            },
            Material::Rsa { n, e } => Self {
                kty: "RSA".into(),
                n: b64(n),
                e: b64(e),
                ..Self::default()
            },
            Material::Ed25519 { x } => Self {
                kty: "OKP".into(),
                crv: Some("Ed25519".into()),
                x: b64(x),
                ..Self::default()
            },
        }
    }
}
