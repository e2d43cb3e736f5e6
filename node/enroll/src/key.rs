//! A key pair and the request that proves its possession. The private key stays
//! with whoever made it.

use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

/// An ECDSA key on P-256: the one kind that the cluster certifies.
pub struct PrivateKey(KeyPair);

/// Why there is no key, or no request for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The library could not make one.
    #[error("a key could not be made: {0}")]
    Generate(rcgen::Error),
    /// What was kept is no such key.
    #[error("this is no private key on P-256 in PKCS #8")]
    Parse,
    /// It would not sign.
    #[error("the certificate request could not be signed: {0}")]
    Request(rcgen::Error),
}

impl PrivateKey {
    /// Drawn from the system's generator.
    pub fn generate() -> Result<Self, KeyError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(KeyError::Generate)?;
        Ok(Self(key))
    }

    /// From PKCS #8 (DER).
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let key = PrivatePkcs8KeyDer::from(der);
        KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256)
            .map(Self)
            .map_err(|_| KeyError::Parse)
    }

    /// From PKCS #8 (PEM), as [`Self::to_pem`] wrote it.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        KeyPair::from_pkcs8_pem_and_sign_algo(pem, &PKCS_ECDSA_P256_SHA256)
            .map(Self)
            .map_err(|_| KeyError::Parse)
    }

    /// PKCS #8 (DER): for the one file or envelope that keeps it.
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.serialize_der())
    }

    /// PKCS #8 (PEM): for the one file that keeps it.
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.serialize_pem())
    }

    /// For a TLS configuration.
    pub fn to_rustls(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.0.serialize_der()))
    }

    /// SubjectPublicKeyInfo (DER).
    pub fn public_key(&self) -> Vec<u8> {
        self.0.subject_public_key_info()
    }

    /// A PKCS #10 request (DER). It names nobody: whoever signs decides that.
    pub fn request(&self) -> Result<Vec<u8>, KeyError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let request = params
            .serialize_request(&self.0)
            .map_err(KeyError::Request)?;
        Ok(request.der().to_vec())
    }

    /// The pair itself, for signing with.
    pub fn pair(&self) -> &KeyPair {
        &self.0
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_in_both_forms() {
        let key = PrivateKey::generate().unwrap();
        let from_der = PrivateKey::from_pkcs8(&key.to_pkcs8()).unwrap();
        let from_pem = PrivateKey::from_pem(&key.to_pem()).unwrap();
        assert_eq!(key.public_key(), from_der.public_key());
        assert_eq!(key.public_key(), from_pem.public_key());
        assert_eq!(
            PrivateKey::from_pem("nonsense").unwrap_err(),
            KeyError::Parse
        );
        assert_eq!(format!("{key:?}"), "PrivateKey");
    }
}
