//! The CA's own keys, and what it signs with them.

mod alternate;

use std::fmt;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SerialNumber, SubjectPublicKeyInfo,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::extensions::ParsedExtension;

use alternate::Alternate;

use crate::csr::CertifiableKey;
use crate::entropy::{Entropy, draw_serial};
use crate::timestamp::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Long enough that no development directory outlives it.
const ROOT_VALIDITY: Duration = Duration::from_secs(20 * 365 * DAY.as_secs());
/// Half the root's, so that the chain never ends at the root first.
const INTERMEDIATE_VALIDITY: Duration = Duration::from_secs(10 * 365 * DAY.as_secs());
/// The certificate of the API is made anew at each start.
const API_VALIDITY: Duration = Duration::from_secs(365 * DAY.as_secs());
/// How far certificates reach back, for clients whose clocks are slow; as Let's Encrypt.
const BACKDATE: Duration = Duration::from_secs(60 * 60);

/// Why a key or certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action}")]
pub struct AuthorityError {
    action: &'static str,
    #[source]
    source: rcgen::Error,
}

/// The two CA certificates with their private keys, as they are kept: PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Keyring {
    /// The self-signed root.
    pub root_pem: String,
    /// Its private key, PKCS #8.
    pub root_key_pem: String,
    /// The intermediate, signed by the root, which signs all leaves.
    pub intermediate_pem: String,
    /// Its private key, PKCS #8.
    pub intermediate_key_pem: String,
}

impl fmt::Debug for Keyring {
    /// Without the private keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("root_pem", &self.root_pem)
            .field("intermediate_pem", &self.intermediate_pem)
            .finish_non_exhaustive()
    }
}

impl Keyring {
    /// A new root and a new intermediate, both P-256.
    ///
    /// # Errors
    /// When keys cannot be generated or certificates not be signed.
    pub fn generate(now: Timestamp, entropy: &mut dyn Entropy) -> Result<Self, AuthorityError> {
        Self::of_keys(generate_key()?, generate_key()?, now, entropy)
    }

    /// A new root and a new intermediate with these keys: the same bytes each time, if
    /// the keys sign alike each time.
    ///
    /// # Errors
    /// When certificates cannot be signed.
    pub fn of_keys(
        root_key: KeyPair,
        intermediate_key: KeyPair,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, AuthorityError> {
        let mut tag = [0; 3];
        entropy.fill(&mut tag);
        // The tag tells the roots of several directories apart in a trust store.
        let tag = data_encoding::HEXLOWER.encode(&tag);
        let begin = now.minus(BACKDATE);
        let root_params = ca_params(
            &format!("hostquorum development root {tag}"),
            BasicConstraints::Unconstrained,
            (begin, now.plus(ROOT_VALIDITY)),
            entropy,
        );
        let root = root_params
            .self_signed(&root_key)
            .map_err(failed("sign the root certificate"))?;
        let mut params = ca_params(
            &format!("hostquorum development intermediate {tag}"),
            BasicConstraints::Constrained(0),
            (begin, now.plus(INTERMEDIATE_VALIDITY)),
            entropy,
        );
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let root_key_pem = root_key.serialize_pem();
        let intermediate = params
            .signed_by(&intermediate_key, &Issuer::new(root_params, root_key))
            .map_err(failed("sign the intermediate certificate"))?;
        Ok(Self {
            root_pem: root.pem(),
            root_key_pem,
            intermediate_pem: intermediate.pem(),
            intermediate_key_pem: intermediate_key.serialize_pem(),
        })
    }
}

/// What signs: the root signs the certificate of the API, the intermediate all others.
#[derive(Debug)]
pub struct Authority {
    root_pem: String,
    intermediate_pem: String,
    root: Issuer<'static, KeyPair>,
    intermediate: Issuer<'static, KeyPair>,
    /// The intermediate's common name.
    intermediate_name: String,
    /// The intermediate's subject key identifier, by which its leaves name it.
    key_identifier: Vec<u8>,
    alternates: Vec<Alternate>,
}

/// A certificate just signed.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) serial: [u8; 16],
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
}

impl Authority {
    /// Takes a keyring into use.
    ///
    /// # Errors
    /// When a key or certificate of it cannot be read.
    pub fn open(keyring: &Keyring) -> Result<Self, AuthorityError> {
        let (intermediate_name, key_identifier) =
            identity(&keyring.intermediate_pem).ok_or_else(|| {
                failed("read the name of the intermediate")(rcgen::Error::CouldNotParseCertificate)
            })?;
        Ok(Self {
            intermediate_name,
            key_identifier,
            alternates: Vec::new(),
            root: issuer(&keyring.root_pem, &keyring.root_key_pem)?,
            intermediate: issuer(&keyring.intermediate_pem, &keyring.intermediate_key_pem)?,
            root_pem: keyring.root_pem.clone(),
            intermediate_pem: keyring.intermediate_pem.clone(),
        })
    }

    /// The root certificate, PEM: what clients must trust.
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// The intermediate certificate, PEM: sent after every leaf. Zero is the usual one,
    /// others are those of alternate chains.
    pub(crate) fn intermediate_pem(&self, number: u8) -> Option<&str> {
        match number {
            0 => Some(&self.intermediate_pem),
            _ => self.alternate_intermediate_pem(number),
        }
    }

    /// What the authority key identifier of every leaf is.
    pub(crate) fn key_identifier(&self) -> &[u8] {
        &self.key_identifier
    }

    /// Signs a certificate for `names`, valid until `validity` after `now`.
    ///
    /// It reaches back an hour, or a tenth of its validity where that is less: the life
    /// of a certificate of a minute must not be mostly past when it is issued.
    pub(crate) fn certify(
        &self,
        key: &CertifiableKey,
        names: &[String],
        validity: Duration,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Leaf, AuthorityError> {
        let key_info = SubjectPublicKeyInfo::from_der(&key.der())
            .map_err(failed("read the key to certify"))?;
        let serial = draw_serial(entropy);
        let not_before = now.minus(BACKDATE.min(validity / 10));
        let not_after = now.plus(validity);
        let mut params =
            CertificateParams::new(names.to_vec()).map_err(failed("write the names to certify"))?;
        params.distinguished_name = DistinguishedName::new();
        params.serial_number = Some(SerialNumber::from(serial.to_vec()));
        params.not_before = not_before.date_time();
        params.not_after = not_after.date_time();
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if key.is_rsa() {
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params
            .signed_by(&key_info, &self.intermediate)
            .map_err(failed("sign the certificate"))?;
        Ok(Leaf {
            der: certificate.der().clone(),
            serial,
            not_before,
            not_after,
        })
    }

    /// A new key and certificate for the CA's own HTTPS, signed by the root, for loopback
    /// and for `host`.
    ///
    /// # Errors
    /// When `host` is no name, or when signing fails.
    pub(crate) fn api_identity(
        &self,
        host: &str,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), AuthorityError> {
        let mut names = vec!["localhost".into(), "127.0.0.1".into(), "::1".into()];
        let host = host.trim_matches(['[', ']']);
        if !names.iter().any(|name| name == host) {
            names.push(host.to_owned());
        }
        let key = generate_key()?;
        let mut params =
            CertificateParams::new(names).map_err(failed("write the names of the API"))?;
        params.distinguished_name = DistinguishedName::new();
        params.serial_number = Some(SerialNumber::from(draw_serial(entropy).to_vec()));
        params.not_before = now.minus(BACKDATE).date_time();
        params.not_after = now.plus(API_VALIDITY).date_time();
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params
            .signed_by(&key, &self.root)
            .map_err(failed("sign the certificate of the API"))?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok((certificate.der().clone(), key.into()))
    }
}

fn ca_params(
    name: &str,
    constraints: BasicConstraints,
    (not_before, not_after): (Timestamp, Timestamp),
    entropy: &mut dyn Entropy,
) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(draw_serial(entropy).to_vec()));
    params.not_before = not_before.date_time();
    params.not_after = not_after.date_time();
    params.is_ca = IsCa::Ca(constraints);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn generate_key() -> Result<KeyPair, AuthorityError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed("generate a key"))
}

/// The common name and the subject key identifier of a certificate.
fn identity(pem: &str) -> Option<(String, Vec<u8>)> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).ok()?;
    let certificate = pem.parse_x509().ok()?;
    let name = certificate.subject().iter_common_name().next()?;
    let identifier =
        certificate
            .extensions()
            .iter()
            .find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
                _ => None,
            });
    Some((name.as_str().ok()?.to_owned(), identifier?))
}

fn issuer(certificate: &str, key: &str) -> Result<Issuer<'static, KeyPair>, AuthorityError> {
    let key = KeyPair::from_pem(key).map_err(failed("read a private key of the CA"))?;
    Issuer::from_ca_cert_pem(certificate, key).map_err(failed("read a certificate of the CA"))
}

fn failed(action: &'static str) -> impl FnOnce(rcgen::Error) -> AuthorityError {
    move |source| AuthorityError { action, source }
}
