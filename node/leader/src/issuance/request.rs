//! Keys, and what is signed with them once: a certificate's request, an account's print.

use aws_lc_rs::digest;
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};
use state::{Hostname, Secret};

/// Makes keys.
pub trait Requests: Send + Sync {
    /// A new certificate key and its request.
    ///
    /// # Errors
    /// When the system has no randomness.
    fn request(&self, hostname: &Hostname) -> Result<KeyAndRequest, RequestError>;

    /// A new account key.
    ///
    /// # Errors
    /// When the system has no randomness.
    fn account_key(&self) -> Result<AccountKey, RequestError>;
}

/// A private key and the request that it signed.
#[derive(Debug)]
pub struct KeyAndRequest {
    /// PKCS #8.
    pub key: Secret,
    /// PKCS #10 (DER): no subject, the hostname as its only name.
    pub csr: Bytes,
}

/// An account's private key and its thumbprint.
#[derive(Debug)]
pub struct AccountKey {
    /// PKCS #8.
    pub key: Secret,
    /// RFC 7638, base64url.
    pub thumbprint: String,
}

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
#[error("no key could be made")]
pub struct RequestError(#[from] rcgen::Error);

/// ECDSA keys on P-256, by aws-lc-rs.
#[derive(Clone, Copy, Debug, Default)]
pub struct P256;

impl Requests for P256 {
    fn request(&self, hostname: &Hostname) -> Result<KeyAndRequest, RequestError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(vec![hostname.as_str().to_owned()])?;
        // CAs take the names from the extension; a common name would be cut or refused.
        params.distinguished_name = DistinguishedName::new();
        let csr = params.serialize_request(&key)?;
        Ok(KeyAndRequest {
            key: Secret::new(key.serialize_der()),
            csr: csr.der().to_vec().into(),
        })
    }

    fn account_key(&self) -> Result<AccountKey, RequestError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        Ok(AccountKey {
            thumbprint: thumbprint(key.public_key_raw()),
            key: Secret::new(key.serialize_der()),
        })
    }
}

/// RFC 7638 section 3 of an uncompressed point: 4, x, y.
fn thumbprint(point: &[u8]) -> String {
    let coordinates = point.get(1..).unwrap_or_default();
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    let jwk = format!(
        r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#,
        BASE64URL_NOPAD.encode(x),
        BASE64URL_NOPAD.encode(y)
    );
    BASE64URL_NOPAD.encode(digest::digest(&digest::SHA256, jwk.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::testing::host;
    use x509_parser::prelude::{FromDer, X509CertificationRequest};

    #[test]
    fn a_request_has_no_subject_and_one_name() {
        let made = P256.request(&host("shop.example")).unwrap();
        let (rest, csr) = X509CertificationRequest::from_der(&made.csr).unwrap();
        assert!(rest.is_empty());
        assert_eq!(csr.certification_request_info.subject.iter().count(), 0);
        let again = P256.request(&host("shop.example")).unwrap();
        assert_ne!(made.key, again.key);
    }

    #[test]
    fn a_thumbprint_is_that_of_the_standard() {
        // Computed from the key of RFC 7517 appendix A.1 by the rule of RFC 7638.
        let x = BASE64URL_NOPAD
            .decode(b"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4")
            .unwrap();
        let y = BASE64URL_NOPAD
            .decode(b"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM")
            .unwrap();
        let point = [&[4][..], &x, &y].concat();
        assert_eq!(
            thumbprint(&point),
            "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s"
        );
    }
}
