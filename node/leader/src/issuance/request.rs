//! Keys, and what is signed with them once: a certificate's request, an account's print.
//!
//! Each certificate has a key of its own, made for it and for nothing else; an account's
//! key is made by another method and never signs a certificate's request (Boulder refuses
//! that, and rightly).

use aws_lc_rs::digest;
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use rcgen::{
    CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256,
    RsaKeySize,
};
use state::{Hostname, KeyAlgorithm, Secret};

/// What a certificate's request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Its first name.
    pub hostname: &'a Hostname,
    /// Its second name: every name one label below.
    pub wildcard: bool,
    /// The kind of key.
    pub algorithm: KeyAlgorithm,
}

impl Wanted<'_> {
    /// The names as DNS writes them.
    pub fn names(&self) -> Vec<String> {
        let mut names = vec![self.hostname.as_str().to_owned()];
        if self.wildcard {
            names.push(format!("*.{}", self.hostname));
        }
        names
    }
}

/// Makes keys.
pub trait Requests: Send + Sync {
    /// A new certificate key and its request. With RSA it takes up to a second of
    /// computing: to be called where that blocks nobody.
    ///
    /// # Errors
    /// When the system has no randomness.
    fn request(&self, wanted: &Wanted<'_>) -> Result<KeyAndRequest, RequestError>;

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
    /// PKCS #10 (DER): no subject, and exactly the names that were wanted.
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

/// Keys by aws-lc-rs: ECDSA on P-256, and RSA of 2048 bits where that is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct FreshKeys;

impl Requests for FreshKeys {
    fn request(&self, wanted: &Wanted<'_>) -> Result<KeyAndRequest, RequestError> {
        let key = match wanted.algorithm {
            KeyAlgorithm::Ecdsa => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?,
            KeyAlgorithm::Rsa => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?,
        };
        let mut params = CertificateParams::new(wanted.names())?;
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
    use x509_parser::{
        prelude::{FromDer, GeneralName, ParsedExtension, X509CertificationRequest},
        public_key::PublicKey,
    };

    #[track_caller]
    fn check(wildcard: bool, algorithm: KeyAlgorithm, names: &[&str], key: &str) {
        let hostname = host("shop.example");
        let wanted = Wanted {
            hostname: &hostname,
            wildcard,
            algorithm,
        };
        let made = FreshKeys.request(&wanted).unwrap();
        let (rest, csr) = X509CertificationRequest::from_der(&made.csr).unwrap();
        assert!(rest.is_empty());
        let info = &csr.certification_request_info;
        assert_eq!(info.subject.iter().count(), 0);
        let found: Vec<String> = csr
            .requested_extensions()
            .into_iter()
            .flatten()
            .flat_map(|extension| match extension {
                ParsedExtension::SubjectAlternativeName(it) => it.general_names.clone(),
                other => panic!("{other:?}"),
            })
            .map(|name| match name {
                GeneralName::DNSName(name) => name.to_owned(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(found, names);
        let public = info.subject_pki.parsed().unwrap();
        let kind = match public {
            PublicKey::EC(_) => "EC".to_owned(),
            PublicKey::RSA(key) => format!("RSA {}", key.key_size()),
            other => panic!("{other:?}"),
        };
        assert_eq!(kind, key);
        assert_ne!(FreshKeys.request(&wanted).unwrap().key, made.key);
    }

    #[test]
    fn a_request_has_no_subject_the_wanted_names_and_a_new_key() {
        use KeyAlgorithm::{Ecdsa, Rsa};
        check(false, Ecdsa, &["shop.example"], "EC");
        check(true, Ecdsa, &["shop.example", "*.shop.example"], "EC");
        check(false, Rsa, &["shop.example"], "RSA 2048");
        check(true, Rsa, &["shop.example", "*.shop.example"], "RSA 2048");
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
