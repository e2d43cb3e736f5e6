//! Entries to what reads operators' texts behind private doors, for `tests/fuzz`. The
//! feature of this name adds them and changes nothing.

use state::{BucketKey, CertificateId, Hostname, InvitationId, LimitKind, NodeId, Timestamp};

use crate::{names, page, pem, problem::Problem, selection::Selection, upload};

/// What a text is as a resource's name, of each kind.
#[derive(Debug, PartialEq, Eq)]
pub struct Named {
    /// As `hostnames/{hostname}`.
    pub hostname: Result<Hostname, String>,
    /// As `members/{id}`.
    pub member: Result<NodeId, String>,
    /// As `invitations/{id}`.
    pub invitation: Result<InvitationId, String>,
    /// As `cas/{name}`.
    pub ca: Result<String, String>,
    /// As `certificates/{id}`.
    pub certificate: Result<CertificateId, String>,
    /// As the key of each kind of limit.
    pub keys: Vec<(LimitKind, Result<String, String>)>,
}

/// Reads `text` as the name of anything.
pub fn names(text: &str) -> Named {
    let keys = LimitKind::ALL.into_iter();
    Named {
        hostname: told(names::hostname(text)),
        member: told(names::member("name", text)),
        invitation: told(names::invitation(text)),
        ca: told(names::ca("name", text)).map(|ca| ca.to_string()),
        certificate: told(names::certificate(text)),
        keys: keys
            .map(|kind| (kind, told(names::limit_key("key", kind, text))))
            .collect(),
    }
}

/// The names of what was read: each must lead back to it.
pub fn name_of_hostname(hostname: &Hostname) -> String {
    names::hostname_name(hostname)
}

/// As [`name_of_hostname`].
pub fn name_of_certificate(id: CertificateId) -> String {
    names::certificate_name(id)
}

/// What a page token leads to, in each listing.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// Among hostnames.
    pub hostname: Result<Option<Hostname>, String>,
    /// Among certificates.
    pub certificate: Result<Option<CertificateId>, String>,
    /// Among limits' buckets.
    pub bucket: Result<Option<BucketKey>, String>,
    /// Among invitations.
    pub invitation: Result<Option<InvitationId>, String>,
}

/// Opens `token` in each listing under `filter`.
pub fn page(token: &str, filter: u32) -> Page {
    Page {
        hostname: told(page::hostnames_after(token, filter)),
        certificate: told(page::certificates_after(token, filter)),
        bucket: told(page::buckets_after(token, filter)),
        invitation: told(page::invitations_after(token)),
    }
}

/// The token after `last`.
pub fn token_of_hostname(filter: u32, last: &Hostname) -> String {
    page::hostnames_token(filter, last)
}

/// The token after `last`.
pub fn token_of_certificate(filter: u32, last: CertificateId) -> String {
    page::certificates_token(filter, last)
}

/// The token after `last`.
pub fn token_of_bucket(filter: u32, last: &BucketKey) -> String {
    page::buckets_token(filter, last)
}

/// The token after `last`.
pub fn token_of_invitation(last: InvitationId) -> String {
    page::invitations_token(last)
}

/// How many hostnames of `state` the conditions mean, or why they cannot be read.
///
/// # Errors
///
/// The problem, as a caller would read it.
pub fn select(state: &state::State, texts: &[String], now: Timestamp) -> Result<usize, String> {
    let selection = told(Selection::parse(texts))?;
    let meant = state
        .hostnames()
        .filter(|(name, record)| selection.matched(state, name, record, now).any());
    Ok(meant.count())
}

/// What was made of an upload.
#[derive(Debug)]
pub struct Uploaded {
    /// The certificate, DER.
    pub leaf: Vec<u8>,
    /// Its key's PKCS #8.
    pub key: Vec<u8>,
    /// The key's SubjectPublicKeyInfo, read again from the PKCS #8.
    pub public: Option<Vec<u8>>,
    /// From when to when it is valid.
    pub validity: (Timestamp, Timestamp),
    /// What may surprise.
    pub warnings: Vec<String>,
}

/// Checks a chain and its key, both PEM, as those of `hostname`.
///
/// # Errors
///
/// What is wrong, as a caller would read it.
pub fn upload(
    hostname: &Hostname,
    chain: &str,
    key: &[u8],
    now: Timestamp,
) -> Result<Uploaded, String> {
    let brought = upload::check(hostname, chain, &upload::Key::Brought(key), now);
    let brought = brought.map_err(|fault| fault.to_string())?;
    let key = brought.key.map(|key| key.expose().to_vec());
    let key = key.unwrap_or_default();
    Ok(Uploaded {
        leaf: brought.parts.leaf.to_vec(),
        public: pem::private_key(text_of(&key).as_bytes())
            .ok()
            .map(|key| key.public),
        key,
        validity: (brought.parts.not_before, brought.parts.not_after),
        warnings: brought.warnings,
    })
}

fn text_of(pkcs8: &[u8]) -> String {
    let base64 = data_encoding::BASE64.encode(pkcs8);
    format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n")
}

fn told<T>(read: Result<T, Problem>) -> Result<T, String> {
    read.map_err(|problem| problem.message)
}
