//! What an operator brings, before it is served: is it a certificate for this hostname,
//! with this key, valid now, strong enough, and does its chain hold together? Pure; each
//! fault is told so that whoever reads it knows what to change.

mod chain;
mod fault;

#[cfg(test)]
mod tests;

use aws_lc_rs::digest;
use bytes::Bytes;
use state::{
    CertificateId, ChainId, Hostname, KeyAlgorithm, KeyPurpose, Secret, Timestamp,
    command::{CertificateParts, Upload},
    ports::Seal,
    sealed::SealContext,
};
use x509_parser::{
    prelude::{FromDer, GeneralName, X509Certificate, X509CertificationRequest},
    public_key::PublicKey,
};

use crate::{names, pem};
use chain::Chain;
pub(crate) use fault::Fault;

/// Clocks differ by seconds, and CAs date certificates back: one that begins later than
/// this is no use yet.
const AHEAD_MOST: std::time::Duration = std::time::Duration::from_secs(5 * 60);

/// Fewest bits of RSA that browsers accept (CA/Browser Forum BR 6.1.5).
const RSA_BITS_MIN: usize = 2048;

/// Most names of a certificate that an error text tells.
const NAMES_TOLD: usize = 5;

/// Whose key it is.
pub(crate) enum Key<'a> {
    /// It came along, as PEM.
    Brought(&'a [u8]),
    /// That of this request (PKCS #10, DER).
    Requested(&'a [u8]),
}

/// What is to be served.
#[derive(Debug)]
pub(crate) struct Brought {
    pub(crate) parts: CertificateParts,
    /// It is for every name one label below the hostname, too.
    pub(crate) wildcard: bool,
    pub(crate) algorithm: KeyAlgorithm,
    /// PKCS #8; absent if it is that of the request.
    pub(crate) key: Option<Secret>,
    /// What may surprise, a sentence each.
    pub(crate) warnings: Vec<String>,
}

/// Why a certificate cannot be served, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(String);

/// The upload of a certificate, its issuers and its private key, all in `pem`, for good:
/// for who brings certificates otherwise than by the API.
///
/// # Errors
/// What the API would say of it.
pub fn brought(
    hostname: &Hostname,
    pem: &str,
    seal: &dyn Seal,
    now: Timestamp,
) -> Result<Upload, Unusable> {
    let brought = check(hostname, pem, &Key::Brought(pem.as_bytes()), now);
    let brought = brought.map_err(|fault| Unusable(fault.to_string()))?;
    let context = SealContext::CertificateKey(hostname.clone());
    let sealed = brought
        .key
        .map(|key| seal.seal(KeyPurpose::Serving, &context, key.expose()));
    Ok(Upload {
        hostname: hostname.clone(),
        wildcard: brought.wildcard,
        algorithm: brought.algorithm,
        key: sealed
            .transpose()
            .map_err(|error| Unusable(error.to_string()))?,
        parts: brought.parts,
        move_at: None,
        revision: None,
    })
}

/// Checks what was brought for `hostname`; the first thing that is wrong with it.
pub(crate) fn check(
    hostname: &Hostname,
    text: &str,
    key: &Key<'_>,
    now: Timestamp,
) -> Result<Brought, Fault> {
    let certificates = pem::certificates(text)?;
    let parsed: Vec<X509Certificate<'_>> = certificates
        .iter()
        .filter_map(|der| X509Certificate::from_der(der).ok())
        .map(|(_, parsed)| parsed)
        .collect();
    let (Some(leaf), Some(leaf_der)) = (parsed.first(), certificates.first()) else {
        return Err(pem::NoCertificates::None.into());
    };
    chain::check_first(&parsed)?;
    let secret = check_key(&parsed, key)?;
    let algorithm = check_strength(leaf)?;
    let wildcard = check_names(leaf, hostname)?;
    check_usage(leaf)?;
    let (not_before, not_after) = check_validity(leaf, now)?;
    let Chain {
        issuers,
        mut warnings,
    } = chain::check(&certificates, &parsed, now)?;
    let exact = dns_names(leaf).any(|name| name.eq_ignore_ascii_case(hostname.as_str()));
    if !exact {
        warnings.push(format!(
            "{hostname} is covered by a wildcard one label above it; the other names below that \
             are not served with it"
        ));
    }
    let parts = CertificateParts {
        id: CertificateId::of_upload(leaf_der.as_ref(), hostname),
        leaf: Bytes::copy_from_slice(leaf_der),
        chain_id: ChainId(sha256(issuers)),
        chain: issuers.iter().map(|der| der.to_vec().into()).collect(),
        issuer: chain::common_name(leaf.issuer()),
        serial: serial(leaf),
        not_before,
        not_after,
    };
    Ok(Brought {
        parts,
        wildcard,
        algorithm,
        key: secret,
        warnings,
    })
}

/// The key is the leaf's. Which certificate it is of otherwise is told.
fn check_key(chain: &[X509Certificate<'_>], key: &Key<'_>) -> Result<Option<Secret>, Fault> {
    let (public, secret) = match key {
        Key::Brought(text) => {
            let key = pem::private_key(text)?;
            (key.public, Some(key.pkcs8))
        }
        Key::Requested(csr) => {
            let (_, csr) =
                X509CertificationRequest::from_der(csr).map_err(|_| Fault::OwnRequest)?;
            let public = csr.certification_request_info.subject_pki.raw.to_vec();
            (public, None)
        }
    };
    let place = chain
        .iter()
        .position(|certificate| certificate.public_key().raw == public);
    match (place, key) {
        (Some(0), _) => Ok(secret),
        (Some(place), _) => Err(Fault::KeyOfAnother(place + 1)),
        (None, Key::Brought(_)) => Err(Fault::KeyMismatch),
        (None, Key::Requested(_)) => Err(Fault::RequestMismatch),
    }
}

/// Its kind of key, if it is one that is served and strong enough.
fn check_strength(leaf: &X509Certificate<'_>) -> Result<KeyAlgorithm, Fault> {
    match leaf.public_key().parsed() {
        Ok(PublicKey::RSA(key)) if key.key_size() < RSA_BITS_MIN => {
            Err(Fault::WeakKey(key.key_size()))
        }
        Ok(PublicKey::RSA(_)) => Ok(KeyAlgorithm::Rsa),
        Ok(PublicKey::EC(_)) => Ok(KeyAlgorithm::Ecdsa),
        _ => Err(Fault::KeyKind),
    }
}

/// Whether it is for all names one label below the hostname, too. The subject's common
/// name counts for nothing (RFC 9525 section 6.3).
fn check_names(leaf: &X509Certificate<'_>, hostname: &Hostname) -> Result<bool, Fault> {
    let (mut covered, mut below) = (false, false);
    for name in dns_names(leaf) {
        match name.strip_prefix("*.") {
            None => covered |= name.eq_ignore_ascii_case(hostname.as_str()),
            Some(base) => {
                below |= base.eq_ignore_ascii_case(hostname.as_str());
                covered |= hostname
                    .parent()
                    .is_some_and(|parent| base.eq_ignore_ascii_case(parent));
            }
        }
    }
    if covered {
        return Ok(below);
    }
    // IA5 strings may hold control characters, and a name of a certificate may be long.
    let told: Vec<String> = dns_names(leaf).take(NAMES_TOLD).map(names::shown).collect();
    let more = dns_names(leaf).count() - told.len();
    let mut names = told.join(", ");
    if more > 0 {
        names.push_str(&format!(" and {more} more"));
    }
    Err(Fault::Name {
        hostname: hostname.clone(),
        names,
    })
}

fn dns_names<'a>(leaf: &'a X509Certificate<'a>) -> impl Iterator<Item = &'a str> {
    let names = leaf.subject_alternative_name().ok().flatten();
    let names = names.map_or(&[][..], |names| &names.value.general_names);
    names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(*name),
        _ => None,
    })
}

/// A certificate that says what it is for says that it is for servers.
fn check_usage(leaf: &X509Certificate<'_>) -> Result<(), Fault> {
    let usage = leaf.extended_key_usage().ok().flatten();
    match usage {
        Some(usage) if !usage.value.server_auth && !usage.value.any => Err(Fault::Usage),
        _ => Ok(()),
    }
}

fn check_validity(
    leaf: &X509Certificate<'_>,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), Fault> {
    let from = chain::moment(leaf.validity().not_before.timestamp());
    let to = chain::moment(leaf.validity().not_after.timestamp());
    if to <= now {
        return Err(Fault::Expired(to));
    }
    if from > now.plus(AHEAD_MOST) {
        return Err(Fault::NotYetValid(from));
    }
    Ok((from, to))
}

/// Big-endian, without leading zeros.
fn serial(leaf: &X509Certificate<'_>) -> Bytes {
    let raw = leaf.raw_serial();
    let zeros = raw.iter().take_while(|byte| **byte == 0).count();
    Bytes::copy_from_slice(raw.get(zeros..).unwrap_or_default())
}

fn sha256(parts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part.as_ref());
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}
