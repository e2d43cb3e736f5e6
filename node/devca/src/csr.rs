//! Certificate signing requests (RFC 2986), as finalizing an order needs them.

use std::collections::BTreeSet;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

use crate::key::PublicKey;

/// A subject's public key that a certificate may be made for: its SubjectPublicKeyInfo,
/// DER in base64. P-256, P-384 or RSA of 2048 bits at least.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertifiableKey {
    spki: String,
    rsa: bool,
}

impl CertifiableKey {
    /// A P-256 key that the CA made up, to certify something else than was asked.
    pub(crate) fn foreign(spki: &[u8]) -> Self {
        Self {
            spki: BASE64.encode(spki),
            rsa: false,
        }
    }

    /// The SubjectPublicKeyInfo, DER. Empty when the record on disk was edited badly;
    /// signing then fails.
    pub(crate) fn der(&self) -> Vec<u8> {
        BASE64.decode(self.spki.as_bytes()).unwrap_or_default()
    }

    pub(crate) fn is_rsa(&self) -> bool {
        self.rsa
    }
}

/// Why a signing request is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CsrError {
    #[error("the CSR is not one whole DER PKCS #10 request")]
    Encoding,
    #[error("the CSR is not signed by the key it carries")]
    Signature,
    #[error("the CSR's key is unfit: {0}")]
    Key(String),
    #[error("the CSR's key is the account's key; make another for the certificate")]
    AccountKey,
    #[error("the CSR asks for something that is no DNS name: {0}")]
    ForeignName(String),
    #[error("the CSR names {found:?}, the order {ordered:?}; they must be the same set")]
    Names {
        found: Vec<String>,
        ordered: Vec<String>,
    },
}

/// The key that a signing request wants certified, once all else about it is found good.
///
/// The request's other wishes (usages, constraints) are not granted, as public CAs do.
pub(crate) fn requested_key(
    der: &[u8],
    ordered: &[String],
    account: &PublicKey,
) -> Result<CertifiableKey, CsrError> {
    let (rest, csr) = X509CertificationRequest::from_der(der).map_err(|_| CsrError::Encoding)?;
    if !rest.is_empty() {
        return Err(CsrError::Encoding);
    }
    let spki = &csr.certification_request_info.subject_pki;
    let key = PublicKey::from_spki(spki).map_err(|error| CsrError::Key(error.to_string()))?;
    csr.verify_signature().map_err(|_| CsrError::Signature)?;
    if key == *account {
        return Err(CsrError::AccountKey);
    }
    let found = names(&csr)?;
    if !found.iter().eq(ordered) {
        return Err(CsrError::Names {
            found: found.into_iter().collect(),
            ordered: ordered.to_vec(),
        });
    }
    Ok(CertifiableKey {
        spki: BASE64.encode(spki.raw),
        rsa: key.is_rsa(),
    })
}

/// The names of a request: alternative names, and a common name, which must be among them
/// by the comparison that follows. Lower-cased, since DNS names know no case.
fn names(csr: &X509CertificationRequest<'_>) -> Result<BTreeSet<String>, CsrError> {
    let mut names = BTreeSet::new();
    for extension in csr.requested_extensions().into_iter().flatten() {
        let ParsedExtension::SubjectAlternativeName(alternative) = extension else {
            continue;
        };
        for name in &alternative.general_names {
            let GeneralName::DNSName(name) = name else {
                return Err(CsrError::ForeignName(name.to_string()));
            };
            names.insert(name.to_ascii_lowercase());
        }
    }
    for name in csr.certification_request_info.subject.iter_common_name() {
        let name = name
            .as_str()
            .map_err(|error| CsrError::ForeignName(error.to_string()))?;
        names.insert(name.to_ascii_lowercase());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::*;

    fn key_of(pair: &KeyPair) -> PublicKey {
        let der = rcgen::PublicKeyData::subject_public_key_info(pair);
        let (_, spki) = x509_parser::x509::SubjectPublicKeyInfo::from_der(&der).unwrap();
        PublicKey::from_spki(&spki).unwrap()
    }

    fn csr(pair: &KeyPair, names: &[&str], common_name: Option<&str>) -> Vec<u8> {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = DistinguishedName::new();
        if let Some(name) = common_name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.serialize_request(pair).unwrap().der().to_vec()
    }

    #[track_caller]
    fn check(names: &[&str], common_name: Option<&str>, accepted: bool) {
        let pair = KeyPair::generate().unwrap();
        let account = key_of(&KeyPair::generate().unwrap());
        let ordered = ["a.example".to_owned(), "b.example".to_owned()];
        let outcome = requested_key(&csr(&pair, names, common_name), &ordered, &account);
        assert_eq!(
            outcome.is_ok(),
            accepted,
            "{names:?} {common_name:?}: {outcome:?}"
        );
    }

    #[test]
    fn the_names_must_be_exactly_those_ordered() {
        check(&["a.example", "b.example"], None, true);
        check(&["B.example", "a.EXAMPLE"], None, true);
        check(&["a.example", "b.example"], Some("b.example"), true);
        check(&["a.example"], Some("b.example"), true);
        check(&["a.example"], None, false);
        check(&["a.example", "b.example", "c.example"], None, false);
        check(&["a.example", "b.example"], Some("c.example"), false);
        check(&["a.example", "b.example", "192.0.2.1"], None, false);
        check(&[], None, false);
    }

    #[test]
    fn forged_damaged_and_reused_requests_are_refused() {
        let pair = KeyPair::generate().unwrap();
        let other = key_of(&KeyPair::generate().unwrap());
        let ordered = ["a.example".to_owned()];
        let good = csr(&pair, &["a.example"], None);
        let mut forged = good.clone();
        let last = forged.len() - 1;
        forged[last] ^= 1;
        let longer = [good.as_slice(), &[0]].concat();
        let refusal = |der: &[u8], account: &PublicKey| requested_key(der, &ordered, account).err();
        assert_eq!(refusal(&good, &other), None);
        assert_eq!(refusal(&forged, &other), Some(CsrError::Signature));
        assert_eq!(refusal(&longer, &other), Some(CsrError::Encoding));
        assert_eq!(refusal(b"", &other), Some(CsrError::Encoding));
        assert_eq!(refusal(&good, &key_of(&pair)), Some(CsrError::AccountKey));
    }

    #[test]
    fn keys_of_other_kinds_are_refused() {
        let other = key_of(&KeyPair::generate().unwrap());
        let ordered = ["a.example".to_owned()];
        for (algorithm, accepted) in [
            (&rcgen::PKCS_ECDSA_P384_SHA384, true),
            (&rcgen::PKCS_ED25519, false),
            (&rcgen::PKCS_ECDSA_P521_SHA512, false),
        ] {
            let pair = KeyPair::generate_for(algorithm).unwrap();
            let outcome = requested_key(&csr(&pair, &["a.example"], None), &ordered, &other);
            assert_eq!(outcome.is_ok(), accepted, "{outcome:?}");
        }
    }
}
