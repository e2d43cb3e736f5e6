//! The first CA: by a name that we know, or by its directory.

use data_encoding::{BASE64URL, BASE64URL_NOPAD};
use proto::cluster::v1 as wire;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use state::{Ca, CaSettings, Index, Preset, Registration, Secret};

use super::FormError;

/// What a CA is called that we know nothing of.
const OWN_CA: &str = "default";

/// Longest URL, contact or set of roots taken; together they fit one log entry.
const URL_MAX: usize = 2048;
const CONTACTS_MAX: usize = 8;
const ROOTS_MAX: usize = 64 * 1024;

/// Longest id of an external account; CAs give some 30 characters.
const KEY_ID_MAX: usize = 256;

/// Bytes of an HMAC key: the output of SHA-256 is 32, but CAs have given others.
const HMAC_BYTES: std::ops::RangeInclusive<usize> = 16..=256;

/// The CA as it was told, without its external account.
pub(super) fn named(acme: &wire::AcmeDirectory) -> Result<Ca, FormError> {
    let preset = preset(acme)?;
    let directory = preset.map_or(acme.url.as_str(), |known| known.directory());
    check(acme, directory)?;
    let external = acme.external_account.is_some();
    invalid(
        preset.is_some_and(Preset::needs_external_account) && !external,
        "that CA gives accounts only to whom it knows otherwise: give the id and the key that it \
         gave you",
    )?;
    let name = preset.map_or(OWN_CA, Preset::as_str);
    Ok(Ca {
        name: name
            .parse()
            .map_err(|_| FormError::Invalid("the CA's name is not usable"))?,
        settings: CaSettings {
            directory: directory.to_owned(),
            trust_roots_pem: acme.trust_roots_pem.clone(),
            contacts: acme.contacts.clone(),
            terms_agreed: acme.terms_agreed,
            ..preset.map(Preset::settings).unwrap_or_default()
        },
        external_account: None,
        registration: Registration::None,
        revision: Index(0),
    })
}

/// By its name, or by its directory.
fn preset(acme: &wire::AcmeDirectory) -> Result<Option<Preset>, FormError> {
    if acme.preset.is_empty() {
        let mut known = Preset::ALL.into_iter();
        return Ok(known.find(|preset| preset.directory() == acme.url));
    }
    invalid(
        !acme.url.is_empty(),
        "a CA is named, or its directory given, but not both",
    )?;
    let known = Preset::parse(&acme.preset);
    known.map(Some).ok_or(FormError::Invalid(
        "no CA of that name is known: letsencrypt, letsencrypt-staging, zerossl or google",
    ))
}

fn check(acme: &wire::AcmeDirectory, directory: &str) -> Result<(), FormError> {
    invalid(
        directory.is_empty(),
        "an ACME directory must be named: there is no default",
    )?;
    invalid(
        !directory.starts_with("https://")
            || directory.len() > URL_MAX
            || directory.contains(char::is_whitespace),
        "the ACME directory must be an https URL",
    )?;
    invalid(
        !acme.terms_agreed,
        "the CA's terms of service must be agreed to",
    )?;
    let mailto = |contact: &String| {
        let address = contact.strip_prefix("mailto:").unwrap_or_default();
        address.contains('@') && contact.len() <= URL_MAX && !contact.contains(char::is_whitespace)
    };
    invalid(
        acme.contacts.len() > CONTACTS_MAX || !acme.contacts.iter().all(mailto),
        "contacts must be at most 8 mailto: addresses",
    )?;
    invalid(
        !acme.trust_roots_pem.is_empty() && !holds_certificates(&acme.trust_roots_pem),
        "the CA's trust roots must be certificates in PEM, at most 64 KB",
    )
}

/// How the CA knows us otherwise, before it is sealed.
pub(super) struct Known {
    pub(super) key_id: String,
    pub(super) hmac: Secret,
}

/// What the CA gave, if it gave anything. An error never quotes it.
pub(super) fn external_account(acme: &wire::AcmeDirectory) -> Result<Option<Known>, FormError> {
    let Some(account) = &acme.external_account else {
        return Ok(None);
    };
    let key_id = &account.key_id;
    let fits = (1..=KEY_ID_MAX).contains(&key_id.len());
    invalid(
        !fits || !key_id.bytes().all(|b| b.is_ascii_graphic()),
        "the external account's id must be 1 to 256 visible ASCII characters",
    )?;
    let text = account.hmac.trim().as_bytes();
    let decoded = BASE64URL_NOPAD
        .decode(text)
        .or_else(|_| BASE64URL.decode(text));
    let hmac = decoded.ok().filter(|key| HMAC_BYTES.contains(&key.len()));
    let hmac = hmac.map(Secret::new).ok_or(FormError::Invalid(
        "the external account's key must be base64url of 16 to 256 bytes, as the CA gave it",
    ))?;
    Ok(Some(Known {
        key_id: key_id.clone(),
        hmac,
    }))
}

fn invalid(bad: bool, why: &'static str) -> Result<(), FormError> {
    if bad {
        Err(FormError::Invalid(why))
    } else {
        Ok(())
    }
}

fn holds_certificates(pem: &str) -> bool {
    if pem.len() > ROOTS_MAX {
        return false;
    }
    let mut any = false;
    CertificateDer::pem_slice_iter(pem.as_bytes()).all(|certificate| {
        any = true;
        certificate.is_ok_and(|der| enroll::Leaf::read(&der).is_ok())
    }) && any
}
