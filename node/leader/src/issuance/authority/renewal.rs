//! When a CA would have a certificate renewed (RFC 9773).

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use state::Timestamp;
use x509_parser::{
    extensions::ParsedExtension,
    prelude::{FromDer, X509Certificate},
};

/// The window in which a certificate is to be renewed (RFC 9773 section 4.2). A window
/// that has passed means now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewalInfo {
    /// Its beginning.
    pub start: Timestamp,
    /// Its end, after the beginning.
    pub end: Timestamp,
    /// Where the CA explains it, for people.
    pub explanation_url: Option<String>,
    /// When to ask again, as the CA said; section 4.3 would have us keep it between a
    /// minute and a day.
    pub retry_after: Option<Duration>,
}

/// A certificate that cannot be spoken of (RFC 9773 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRenewalId {
    /// Not DER, or no certificate.
    #[error("it is no certificate")]
    Unreadable,
    /// Its issuer left no key identifier in it.
    #[error("it names no authority key identifier")]
    NoKeyIdentifier,
}

/// The name by which a CA is asked about a certificate (DER): its authority key identifier
/// and serial number, as RFC 9773 section 4.1 writes them.
///
/// # Errors
/// When it is no certificate, or lacks the identifier.
pub fn renewal_id(leaf: &[u8]) -> Result<String, NoRenewalId> {
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| NoRenewalId::Unreadable)?;
    let authority =
        leaf.extensions()
            .iter()
            .find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::AuthorityKeyIdentifier(it) => it.key_identifier.as_ref(),
                _ => None,
            });
    let authority = authority.ok_or(NoRenewalId::NoKeyIdentifier)?;
    Ok(format!(
        "{}.{}",
        BASE64URL_NOPAD.encode(authority.0),
        // With the zero that DER puts before a high bit.
        BASE64URL_NOPAD.encode(leaf.tbs_certificate.raw_serial()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        CertificateParams, CertifiedIssuer, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose,
        SerialNumber,
    };

    fn leaf(named: bool) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        // RFC 9773 section 4.1's own example.
        params.key_identifier_method = KeyIdMethod::PreSpecified(vec![
            0x69, 0x88, 0x5b, 0x6b, 0x87, 0x46, 0x40, 0x41, 0xe1, 0xb3, 0x7b, 0x84, 0x7b, 0xa0,
            0xae, 0x2c, 0xde, 0x01, 0xc8, 0xd4,
        ]);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let mut params = CertificateParams::new(vec!["shop.example".to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from_slice(&[0x87, 0x65, 0x43, 0x21]));
        params.use_authority_key_identifier_extension = named;
        let key = KeyPair::generate().unwrap();
        params.signed_by(&key, &issuer).unwrap().der().to_vec()
    }

    #[test]
    fn a_renewal_id_is_that_of_the_standard() {
        let id = renewal_id(&leaf(true)).unwrap();
        assert_eq!(id, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
        assert_eq!(renewal_id(&leaf(false)), Err(NoRenewalId::NoKeyIdentifier));
        assert_eq!(renewal_id(b"nothing"), Err(NoRenewalId::Unreadable));
    }
}
