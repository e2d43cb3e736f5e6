//! A client's certificate, as origins are told of it.

use std::fmt::Write;

use aws_lc_rs::digest;
use http::{HeaderMap, HeaderName, HeaderValue};
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::limits::IDENTITY;

const SUBJECT: HeaderName = HeaderName::from_static("hostquorum-client-subject");
const SAN: HeaderName = HeaderName::from_static("hostquorum-client-san");
const FINGERPRINT: HeaderName = HeaderName::from_static("hostquorum-client-fingerprint");

/// Whom a client has proven to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity(Vec<(HeaderName, HeaderValue)>);

impl Identity {
    /// Of a certificate that was verified. What does not fit into a field is left out,
    /// and the fingerprint always fits.
    pub(crate) fn of(leaf: &CertificateDer<'_>) -> Self {
        let mut fields = Vec::with_capacity(3);
        let mut tell = |name: HeaderName, value: String| {
            let fits = !value.is_empty() && value.len() <= IDENTITY;
            if let Some(value) = HeaderValue::try_from(value).ok().filter(|_| fits) {
                fields.push((name, value));
            }
        };
        let mut fingerprint = String::with_capacity(64);
        for byte in digest::digest(&digest::SHA256, leaf).as_ref() {
            let _ = write!(fingerprint, "{byte:02x}");
        }
        tell(FINGERPRINT, fingerprint);
        if let Ok((_, certificate)) = X509Certificate::from_der(leaf) {
            tell(SUBJECT, visible(&certificate.subject().to_string(), ""));
            let names = certificate.subject_alternative_name().ok().flatten();
            let names = names.iter().flat_map(|it| &it.value.general_names);
            let names: Vec<String> = names.filter_map(name).collect();
            tell(SAN, names.join(", "));
        }
        Self(fields)
    }

    /// Writes it into a request.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.0 {
            headers.insert(name, value.clone());
        }
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    let (kind, text) = match name {
        GeneralName::DNSName(text) => ("DNS", *text),
        GeneralName::RFC822Name(text) => ("email", *text),
        GeneralName::URI(text) => ("URI", *text),
        _ => return None,
    };
    // A comma of its own would read as the end of a name.
    Some(format!("{kind}:{}", visible(text, ",")))
}

/// Whatever is not visible ASCII is written as in a URL, and so are `also` and `%`.
fn visible(text: &str, also: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = matches!(byte, b' '..=b'~') && byte != b'%';
        if plain && !also.as_bytes().contains(&byte) {
            shown.push(char::from(byte));
        } else {
            let _ = write!(shown, "%{byte:02X}");
        }
    }
    shown.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    #[test]
    fn names_cannot_pretend_to_be_others() {
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        let name = "Zo\u{eb}, 100 %\r\nhost: evil";
        params.distinguished_name.push(DnType::CommonName, name);
        let uri = "spiffe://x/a,DNS:b.example".try_into().unwrap();
        params.subject_alt_names.push(SanType::URI(uri));
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let mut headers = HeaderMap::new();
        Identity::of(certificate.der()).tell(&mut headers);
        assert_eq!(
            headers[SAN],
            "DNS:a.example, URI:spiffe://x/a%2CDNS:b.example"
        );
        let subject = headers[SUBJECT].to_str().unwrap();
        assert!(
            subject.contains("Zo%C3%AB") && subject.contains("100 %25%0D%0A"),
            "{subject}"
        );
        assert_eq!(headers[FINGERPRINT].len(), 64);
    }

    #[test]
    fn what_is_too_long_is_left_out() {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "x".repeat(IDENTITY + 1));
        let key = KeyPair::generate().unwrap();
        let mut headers = HeaderMap::new();
        Identity::of(params.self_signed(&key).unwrap().der()).tell(&mut headers);
        assert_eq!(headers.len(), 1);
        assert!(headers.contains_key(FINGERPRINT));
    }
}
