//! What came from the CA, before it is installed: is it a certificate for our key, for
//! exactly our names, valid now, and does its chain hold together?

use std::{collections::BTreeSet, time::Duration};

use aws_lc_rs::digest;
use bytes::Bytes;
use rcgen::{KeyPair, PublicKeyData};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime, pem::PemObject};
use state::{
    CertificateId, ChainId, KeyAlgorithm, OrderId, Secret, Timestamp,
    command::{CertificateParts, Install},
};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::{
    oid_registry::{OID_KEY_TYPE_EC_PUBLIC_KEY, OID_PKCS1_RSAENCRYPTION},
    prelude::{FromDer, GeneralName, X509Certificate},
};

use super::request::Wanted;

/// Most certificates in an answer: no public chain has more than four.
const CHAIN_MOST: usize = 10;
/// CAs date certificates back by up to an hour, and clocks differ by seconds: one that
/// begins later than this is no use.
const AHEAD_MOST: Duration = Duration::from_secs(5 * 60);

/// Why a certificate is not installed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Not PEM, or not X.509.
    #[error("the CA's answer is no certificate: {0}")]
    Unreadable(String),
    /// Nothing in it, or far too much.
    #[error("the CA's answer has {0} certificates")]
    Count(usize),
    /// For another key.
    #[error("the certificate is for another key than ours")]
    Key,
    /// Its key is not of the kind that was ordered.
    #[error("the certificate's key is not of the kind {}", .0.as_str())]
    KeyKind(KeyAlgorithm),
    /// Not for exactly what was ordered.
    #[error("the certificate names {0}")]
    Names(String),
    /// Not valid now.
    #[error("the certificate is valid from {0} to {1}, and not now")]
    Validity(Timestamp, Timestamp),
    /// The chain does not lead from the leaf to its last certificate.
    #[error("the certificate's chain does not hold together: {0}")]
    Chain(String),
    /// Our own key cannot be read.
    #[error("the order's own key cannot be read")]
    OwnKey,
}

/// How far into its life a certificate is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fraction {
    /// Over.
    pub numerator: u32,
    /// Under; more than the numerator.
    pub denominator: u32,
}

/// Certificates that live for less are renewed at half their life at the latest, as the CAs
/// that issue them advise: a third of so little is no time to mend anything.
const SHORT_LIFE: Duration = Duration::from_secs(10 * 86_400);

impl Fraction {
    /// Two thirds: with 90 days, thirty are left for whatever goes wrong.
    pub const TWO_THIRDS: Self = Self {
        numerator: 2,
        denominator: 3,
    };

    /// One half.
    pub const HALF: Self = Self {
        numerator: 1,
        denominator: 2,
    };

    /// When a certificate with this life, installed at `now`, is renewed unless its CA
    /// suggests another moment. Never before a tenth of what is left: a CA that hands out a
    /// certificate late in its life must not make us order again at once.
    pub fn renewal(self, not_before: Timestamp, not_after: Timestamp, now: Timestamp) -> Timestamp {
        let life = not_after.since(not_before);
        let mut into = self.of(life);
        if life < SHORT_LIFE {
            into = into.min(Self::HALF.of(life));
        }
        let soonest = now.plus(not_after.since(now) / 10);
        not_before.plus(into).max(soonest)
    }

    fn of(self, whole: Duration) -> Duration {
        whole.mul_f64(f64::from(self.numerator) / f64::from(self.denominator.max(1)))
    }
}

/// What a certificate is checked against.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Whose it is to be.
    pub order: OrderId,
    /// Its names and its kind of key.
    pub wanted: Wanted<'a>,
    /// Its private key (PKCS #8).
    pub key: &'a Secret,
}

/// Checks `pem` against what was ordered, and says what to install.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn inspect(
    pem: &str,
    expected: &Expected<'_>,
    now: Timestamp,
    renew: Fraction,
) -> Result<Install, Unusable> {
    let chain = parse(pem)?;
    let (leaf, issuers) = chain.split_first().ok_or(Unusable::Count(0))?;
    let parsed = read(leaf)?;
    if parsed.public_key().raw != public_key(expected.key)? {
        return Err(Unusable::Key);
    }
    check_kind(&parsed, expected.wanted.algorithm)?;
    check_names(&parsed, &expected.wanted.names())?;
    let not_before = moment(parsed.validity().not_before.timestamp());
    let not_after = moment(parsed.validity().not_after.timestamp());
    if not_before > now.plus(AHEAD_MOST) || not_after <= now || not_after <= not_before {
        return Err(Unusable::Validity(not_before, not_after));
    }
    check_chain(leaf, issuers, now.max(not_before))?;
    Ok(Install {
        order: expected.order,
        parts: CertificateParts {
            id: CertificateId::of_leaf(leaf),
            leaf: Bytes::copy_from_slice(leaf),
            chain_id: ChainId(sha256(issuers)),
            chain: issuers.iter().map(|der| der.to_vec().into()).collect(),
            issuer: issuer(&parsed),
            serial: serial(&parsed),
            not_before,
            not_after,
        },
        renew_at: renew.renewal(not_before, not_after, now),
    })
}

/// The common name of whom the topmost certificate of a chain is signed by.
///
/// # Errors
/// When it is no chain of certificates.
pub fn topmost_issuer(pem: &str) -> Result<String, Unusable> {
    let chain = parse(pem)?;
    let topmost = chain.last().ok_or(Unusable::Count(0))?;
    Ok(issuer(&read(topmost)?))
}

/// Whether two chains are for one and the same leaf.
///
/// # Errors
/// When one of them is no chain of certificates.
pub fn same_leaf(one: &str, other: &str) -> Result<bool, Unusable> {
    Ok(parse(one)?.first() == parse(other)?.first())
}

fn read<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, Unusable> {
    let read = X509Certificate::from_der(der);
    let (_, certificate) = read.map_err(|error| Unusable::Unreadable(error.to_string()))?;
    Ok(certificate)
}

fn parse(pem: &str) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let chain = CertificateDer::pem_slice_iter(pem.as_bytes())
        .take(CHAIN_MOST + 1)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Unusable::Unreadable(error.to_string()))?;
    if chain.is_empty() || chain.len() > CHAIN_MOST {
        return Err(Unusable::Count(chain.len()));
    }
    Ok(chain)
}

fn public_key(key: &Secret) -> Result<Vec<u8>, Unusable> {
    let key = PrivatePkcs8KeyDer::from(key.expose());
    let pair = KeyPair::try_from(&key).map_err(|_| Unusable::OwnKey)?;
    Ok(pair.subject_public_key_info())
}

fn check_kind(leaf: &X509Certificate<'_>, algorithm: KeyAlgorithm) -> Result<(), Unusable> {
    let wanted = match algorithm {
        KeyAlgorithm::Ecdsa => OID_KEY_TYPE_EC_PUBLIC_KEY,
        KeyAlgorithm::Rsa => OID_PKCS1_RSAENCRYPTION,
    };
    if leaf.public_key().algorithm.algorithm == wanted {
        Ok(())
    } else {
        Err(Unusable::KeyKind(algorithm))
    }
}

fn check_names(leaf: &X509Certificate<'_>, wanted: &[String]) -> Result<(), Unusable> {
    let names = leaf
        .subject_alternative_name()
        .map_err(|error| Unusable::Unreadable(error.to_string()))?;
    let names: &[GeneralName<'_>] = names
        .as_ref()
        .map_or(&[], |names| &names.value.general_names);
    let dns = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    let found: Option<BTreeSet<String>> = names.iter().map(dns).collect();
    if names.len() == wanted.len() && found == Some(wanted.iter().cloned().collect()) {
        return Ok(());
    }
    if names.is_empty() {
        return Err(Unusable::Names("nothing".to_owned()));
    }
    let names: Vec<String> = names.iter().take(5).map(ToString::to_string).collect();
    Err(Unusable::Names(names.join(", ")))
}

/// The leaf is signed by the first issuer and so on. Whom the last one is signed by is
/// for browsers to know; a leaf alone is for a private CA to answer for.
fn check_chain(
    leaf: &CertificateDer<'_>,
    issuers: &[CertificateDer<'_>],
    at: Timestamp,
) -> Result<(), Unusable> {
    let chain = |error: webpki::Error| Unusable::Chain(error.to_string());
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
            UnixTime::since_unix_epoch(Duration::from_secs(at.as_secs())),
            KeyUsage::server_auth(),
            None,
            None,
        )
        .map_err(chain)?;
    Ok(())
}

fn issuer(leaf: &X509Certificate<'_>) -> String {
    let name = leaf.issuer();
    let common = name
        .iter_common_name()
        .next()
        .and_then(|name| name.as_str().ok());
    common.map_or_else(|| name.to_string(), ToOwned::to_owned)
}

fn serial(leaf: &X509Certificate<'_>) -> Bytes {
    let raw = leaf.raw_serial();
    let zeros = raw.iter().take_while(|byte| **byte == 0).count();
    Bytes::copy_from_slice(raw.get(zeros..).unwrap_or_default())
}

fn moment(unix: i64) -> Timestamp {
    Timestamp::from_secs(u64::try_from(unix).unwrap_or(0))
}

fn sha256<'a>(parts: impl IntoIterator<Item = &'a CertificateDer<'a>>) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

#[cfg(test)]
mod tests;
