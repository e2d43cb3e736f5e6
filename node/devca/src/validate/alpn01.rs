//! tls-alpn-01 (RFC 8737): a certificate shown in a handshake for "acme-tls/1".

use aws_lc_rs::digest::{SHA256, digest};
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::asn1_rs::{FromDer, OctetString};
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{Oid, asn1_rs};

use super::agreement::Miss;
use super::certificate;
use super::vantage::Eye;
use crate::problem::{Kind, Problem};
use crate::step::Validation;

const PROTOCOL: &[u8] = b"acme-tls/1";
/// id-pe-acmeIdentifier (RFC 8737 section 3).
const ACME_IDENTIFIER: Oid<'static> = asn1_rs::oid!(1.3.6.1.5.5.7.1.31);

pub(super) async fn probe(eye: &Eye, validation: &Validation) -> Result<(), Miss> {
    let host = &validation.hostname;
    let stream = certificate::connect(eye, host, PROTOCOL).await?;
    let (_, session) = stream.get_ref();
    if session.alpn_protocol() != Some(PROTOCOL) {
        return Err(wrong(host, "the server did not choose \"acme-tls/1\""));
    }
    let shown = session.peer_certificates().and_then(|chain| chain.first());
    let shown = shown.ok_or_else(|| wrong(host, "the server showed no certificate"))?;
    check(shown, host, &validation.key_authorization).map_err(|fault| wrong(host, fault))
}

fn wrong(host: &str, fault: &str) -> Miss {
    Miss::Wrong(Problem::new(
        Kind::IncorrectResponse,
        format!("tls-alpn-01 at {host}: {fault}"),
    ))
}

/// What RFC 8737 section 3 asks of the certificate.
fn check(der: &[u8], host: &str, key_authorization: &str) -> Result<(), &'static str> {
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|_| "the certificate cannot be read")?;
    certificate
        .verify_signature(None)
        .map_err(|_| "the certificate is not self-signed")?;
    let names = certificate
        .subject_alternative_name()
        .ok()
        .flatten()
        .ok_or("the certificate has no one subjectAltName extension")?;
    match names.value.general_names.as_slice() {
        [GeneralName::DNSName(name)] if name.eq_ignore_ascii_case(host) => {}
        _ => return Err("the subjectAltName is not exactly this one DNS name"),
    }
    let extension = certificate
        .get_extension_unique(&ACME_IDENTIFIER)
        .ok()
        .flatten()
        .ok_or("the certificate has no one acmeIdentifier extension")?;
    if !extension.critical {
        return Err("the acmeIdentifier extension is not critical");
    }
    let expected = digest(&SHA256, key_authorization.as_bytes());
    match OctetString::from_der(extension.value) {
        Ok((&[], found)) if found.as_ref() == expected.as_ref() => Ok(()),
        _ => Err("the acmeIdentifier is not the digest of the key authorization"),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CustomExtension, KeyPair};

    use super::*;

    const KEY_AUTHORIZATION: &str = "token.thumbprint";

    fn identifier(key_authorization: &str) -> CustomExtension {
        let digest = digest(&SHA256, key_authorization.as_bytes());
        CustomExtension::new_acme_identifier(digest.as_ref())
    }

    fn certificate(names: &[&str], extensions: Vec<CustomExtension>) -> Vec<u8> {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.custom_extensions = extensions;
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[track_caller]
    fn refused(der: &[u8], part: &str) {
        let fault = check(der, "a.example", KEY_AUTHORIZATION).unwrap_err();
        assert!(fault.contains(part), "{fault}");
    }

    #[test]
    fn the_certificate_of_the_rfc_is_accepted() {
        let der = certificate(&["a.example"], vec![identifier(KEY_AUTHORIZATION)]);
        assert_eq!(check(&der, "a.example", KEY_AUTHORIZATION), Ok(()));
    }

    #[test]
    fn deviations_are_refused() {
        let good = identifier(KEY_AUTHORIZATION);
        let mut lax = identifier(KEY_AUTHORIZATION);
        lax.set_criticality(false);
        refused(b"", "cannot be read");
        refused(
            &certificate(&[], vec![good.clone()]),
            "no one subjectAltName",
        );
        refused(
            &certificate(&["b.example"], vec![good.clone()]),
            "this one DNS",
        );
        let two = certificate(&["a.example", "b.example"], vec![good.clone()]);
        refused(&two, "this one DNS");
        refused(
            &certificate(&["a.example"], vec![]),
            "no one acmeIdentifier",
        );
        refused(&certificate(&["a.example"], vec![lax]), "not critical");
        let other = identifier("token.another");
        refused(&certificate(&["a.example"], vec![other]), "not the digest");
        let mut forged = certificate(&["a.example"], vec![good]);
        let last = forged.len() - 1;
        forged[last] ^= 1;
        refused(&forged, "not self-signed");
    }
}
