//! Does each certificate's issuer follow it, and are the signatures theirs?

use std::time::Duration;

use rustls_pki_types::{CertificateDer, UnixTime};
use state::Timestamp;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::prelude::{X509Certificate, X509Name};

use super::Fault;
use crate::{explain::words::moment as told, names};

/// RSA with MD5, RSA with SHA-1 by its two names, ECDSA with SHA-1.
const WEAK: [&str; 4] = [
    "1.2.840.113549.1.1.4",
    "1.2.840.113549.1.1.5",
    "1.3.14.3.2.29",
    "1.2.840.10045.4.1",
];

/// A chain that holds.
pub(super) struct Chain<'a> {
    /// To be served behind the leaf.
    pub(super) issuers: &'a [CertificateDer<'static>],
    pub(super) warnings: Vec<String>,
}

/// The first is a server's and no CA's, unless it is all that there is.
pub(super) fn check_first(chain: &[X509Certificate<'_>]) -> Result<(), Fault> {
    match chain {
        [first, _, ..] if first.is_ca() => Err(Fault::CaFirst),
        _ => Ok(()),
    }
}

/// Checks order and signatures. A root at the end is left out: whoever trusts it has it.
pub(super) fn check<'a>(
    certificates: &'a [CertificateDer<'static>],
    parsed: &[X509Certificate<'_>],
    now: Timestamp,
) -> Result<Chain<'a>, Fault> {
    check_order(parsed, now)?;
    check_digests(parsed)?;
    check_signatures(certificates, now)?;
    let issuers = certificates.get(1..).unwrap_or_default();
    let mut warnings = Vec::new();
    let issuers = match (issuers.split_last(), parsed.last()) {
        (Some((_, others)), Some(root)) if is_self_issued(root) => {
            warnings.push(format!(
                "the root {} is left out: whoever trusts it has it",
                common_name(root.subject())
            ));
            others
        }
        (None, Some(leaf)) if is_self_issued(leaf) => {
            warnings.push("the certificate is self-signed: no browser trusts it".to_owned());
            issuers
        }
        (None, Some(leaf)) => {
            warnings.push(format!(
                "there is no issuer behind the certificate: clients that do not have {} refuse it",
                common_name(leaf.issuer())
            ));
            issuers
        }
        _ => issuers,
    };
    Ok(Chain { issuers, warnings })
}

fn check_order(chain: &[X509Certificate<'_>], now: Timestamp) -> Result<(), Fault> {
    for (place, pair) in (1..).zip(chain.windows(2)) {
        let [certificate, issuer] = pair else {
            continue;
        };
        let name = common_name(certificate.subject());
        if certificate.issuer() != issuer.subject() {
            let right = chain
                .iter()
                .position(|other| other.subject() == certificate.issuer());
            return Err(Fault::Chain(match right {
                Some(right) => format!(
                    "certificate {place} ({name}) was issued by certificate {}, which must stand \
                     right behind it",
                    right + 1
                ),
                None => format!(
                    "certificate {place} ({name}) was issued by {}, and certificate {} is {}",
                    common_name(certificate.issuer()),
                    place + 1,
                    common_name(issuer.subject())
                ),
            }));
        }
        let name = common_name(issuer.subject());
        if !issuer.is_ca() {
            let why = format!("certificate {} ({name}) is no CA's", place + 1);
            return Err(Fault::Chain(why));
        }
        let end = moment(issuer.validity().not_after.timestamp());
        if end <= now {
            let why = format!("certificate {} ({name}) ended at {}", place + 1, told(end));
            return Err(Fault::Chain(why));
        }
    }
    Ok(())
}

/// What a root says of itself is not looked at by anybody.
fn check_digests(chain: &[X509Certificate<'_>]) -> Result<(), Fault> {
    let mut places = (1..).zip(chain);
    let found = places.find(|(place, certificate)| {
        let root = *place > 1 && is_self_issued(certificate);
        let algorithm = certificate.signature_algorithm.algorithm.to_id_string();
        !root && WEAK.contains(&algorithm.as_str())
    });
    match found {
        None => Ok(()),
        Some((place, certificate)) => Err(Fault::WeakSignature(
            place,
            common_name(certificate.subject()),
        )),
    }
}

/// As a browser would that trusts the last of the chain. A certificate alone is for its
/// own CA to answer for.
fn check_signatures(certificates: &[CertificateDer<'_>], now: Timestamp) -> Result<(), Fault> {
    let chain = |error: webpki::Error| match error {
        webpki::Error::InvalidSignatureForPublicKey => {
            Fault::Chain("a signature is not by the key of the issuer that follows".to_owned())
        }
        error => Fault::Chain(names::shown(&error.to_string())),
    };
    let (Some((leaf, issuers)), at) = (certificates.split_first(), now.as_secs()) else {
        return Ok(());
    };
    let Some((top, between)) = issuers.split_last() else {
        return Ok(());
    };
    let anchor = anchor_from_trusted_cert(top).map_err(chain)?;
    EndEntityCert::try_from(leaf)
        .map_err(chain)?
        .verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &[anchor],
            between,
            UnixTime::since_unix_epoch(Duration::from_secs(at)),
            KeyUsage::server_auth(),
            None,
            None,
        )
        .map_err(chain)?;
    Ok(())
}

fn is_self_issued(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject() == certificate.issuer()
}

/// The common name, or else the whole name, fit for a text.
pub(super) fn common_name(name: &X509Name<'_>) -> String {
    let common = name
        .iter_common_name()
        .next()
        .and_then(|name| name.as_str().ok());
    names::shown(&common.map_or_else(|| name.to_string(), ToOwned::to_owned))
}

pub(super) fn moment(unix: i64) -> Timestamp {
    Timestamp::from_secs(u64::try_from(unix).unwrap_or(0))
}
