//! What a certificate of the cluster says: its key, its names, its dates.

use rustls::pki_types::CertificateDer;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

use crate::names::{self, ClusterId, Subject};

/// A certificate, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// SubjectPublicKeyInfo (DER).
    pub public_key: Vec<u8>,
    /// DNS names.
    pub hosts: Vec<String>,
    /// URIs.
    pub uris: Vec<String>,
    /// Seconds since the Unix epoch.
    pub not_before: i64,
    /// Seconds since the Unix epoch.
    pub not_after: i64,
}

/// The bytes are no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the certificate could not be read")]
pub struct Unreadable;

impl Leaf {
    /// Reads a certificate. Verifies nothing.
    pub fn read(certificate: &CertificateDer<'_>) -> Result<Self, Unreadable> {
        let (rest, parsed) = X509Certificate::from_der(certificate).map_err(|_| Unreadable)?;
        if !rest.is_empty() {
            return Err(Unreadable);
        }
        let mut leaf = Self {
            public_key: parsed.public_key().raw.to_vec(),
            hosts: Vec::new(),
            uris: Vec::new(),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
        };
        let names = parsed.subject_alternative_name().map_err(|_| Unreadable)?;
        for name in names.iter().flat_map(|names| &names.value.general_names) {
            match name {
                GeneralName::DNSName(host) => leaf.hosts.push((*host).to_owned()),
                GeneralName::URI(uri) => leaf.uris.push((*uri).to_owned()),
                _ => {}
            }
        }
        Ok(leaf)
    }

    /// Whom it speaks for: the cluster's certificates carry exactly one URI.
    pub fn subject(&self) -> Option<(ClusterId, Subject)> {
        match &self.uris[..] {
            [uri] => names::parse_uri(uri),
            _ => None,
        }
    }

    /// True between its dates, both included.
    pub fn is_current(&self, now_secs: i64) -> bool {
        (self.not_before..=self.not_after).contains(&now_secs)
    }
}
