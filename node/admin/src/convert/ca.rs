//! CAs, and what operators decide about them.

use std::{collections::BTreeSet, time::Duration};

use proto::admin::v1;
use state::{Ca, CaSettings, Hostname, Limit, LimitKind, LimitOverride, State};

use super::{duration, duration_from, hostname::profile};
use crate::{limits, names, pem, problem::Problem};

/// A CA, without any secret.
pub(crate) fn ca(state: &State, ca: &Ca) -> v1::Ca {
    let external = ca.external_account.as_ref();
    let in_flight = state.orders().filter(|order| order.ca == ca.name).count();
    v1::Ca {
        name: names::ca_name(&ca.name),
        settings: Some(shown_settings(&ca.settings)),
        registration: ca.registration.as_str().to_owned(),
        account_url: ca.account_url().unwrap_or_default().to_owned(),
        key_thumbprint: ca.thumbprint().unwrap_or_default().to_owned(),
        external_account_key_id: external.map(|it| it.key_id.clone()).unwrap_or_default(),
        revision: ca.revision.0,
        orders_in_flight: u64::try_from(in_flight).unwrap_or(u64::MAX),
    }
}

fn shown_settings(settings: &CaSettings) -> v1::CaSettings {
    let exception = |one: &LimitOverride| v1::LimitOverride {
        key: one.key.to_string(),
        limit: Some(shown_limit(&one.limit)),
    };
    v1::CaSettings {
        directory: settings.directory.clone(),
        trust_roots_pem: settings.trust_roots_pem.clone(),
        contacts: settings.contacts.clone(),
        terms_agreed: settings.terms_agreed,
        rank: Some(settings.rank),
        finalize_atomic: settings.finalize_atomic,
        caa_identities: settings.caa_identities.clone(),
        profile: settings.profile.clone().unwrap_or_default(),
        preferred_chain: settings.preferred_chain.clone().unwrap_or_default(),
        limits: settings.limits.iter().map(shown_limit).collect(),
        overrides: settings.overrides.iter().map(exception).collect(),
    }
}

pub(super) fn shown_limit(limit: &Limit) -> v1::Limit {
    v1::Limit {
        kind: shown_kind(limit.kind).into(),
        burst: limit.burst,
        refill: Some(duration(limit.refill)),
    }
}

pub(super) fn shown_kind(kind: LimitKind) -> v1::LimitKind {
    match kind {
        LimitKind::Orders => v1::LimitKind::Orders,
        LimitKind::Certificates => v1::LimitKind::CertificatesPerDomain,
        LimitKind::Sets => v1::LimitKind::CertificatesPerSet,
        LimitKind::Failures => v1::LimitKind::FailedValidations,
    }
}

/// What a limit counts, from the field called `field`.
pub(crate) fn limit_kind(field: &'static str, wire: i32) -> Result<LimitKind, Problem> {
    match v1::LimitKind::try_from(wire) {
        Ok(v1::LimitKind::Orders) => Ok(LimitKind::Orders),
        Ok(v1::LimitKind::CertificatesPerDomain) => Ok(LimitKind::Certificates),
        Ok(v1::LimitKind::CertificatesPerSet) => Ok(LimitKind::Sets),
        Ok(v1::LimitKind::FailedValidations) => Ok(LimitKind::Failures),
        Ok(v1::LimitKind::Unspecified) | Err(_) => {
            let kinds: Vec<&str> = LimitKind::ALL.map(LimitKind::as_str).to_vec();
            let message = format!("a kind of limit is needed: {}", kinds.join(", "));
            Err(Problem::field(field, message))
        }
    }
}

/// The settings after a change of the fields in `mask`.
pub(crate) fn settings(
    present: &CaSettings,
    wire: &v1::CaSettings,
    mask: &[&'static str],
) -> Result<CaSettings, Problem> {
    let mut settings = present.clone();
    for field in mask {
        match *field {
            "directory" => settings.directory = directory(&wire.directory)?,
            "trust_roots_pem" => settings.trust_roots_pem = roots(&wire.trust_roots_pem)?,
            "contacts" => settings.contacts = contacts(&wire.contacts)?,
            "terms_agreed" => settings.terms_agreed = agreed(wire.terms_agreed)?,
            "rank" => settings.rank = wire.rank.unwrap_or_default(),
            "finalize_atomic" => settings.finalize_atomic = wire.finalize_atomic,
            "caa_identities" => settings.caa_identities = identities(&wire.caa_identities)?,
            "profile" => settings.profile = profile("settings.profile", &wire.profile)?,
            "preferred_chain" => settings.preferred_chain = chain(&wire.preferred_chain)?,
            "limits" => settings.limits = limits_of(&wire.limits)?,
            _ => settings.overrides = overrides(&wire.overrides)?,
        }
    }
    Ok(settings)
}

fn directory(url: &str) -> Result<String, Problem> {
    let host = url.strip_prefix("https://").unwrap_or_default();
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    let plain = url.bytes().all(|b| b.is_ascii_graphic()) && !host.contains('@');
    if host.is_empty() || !plain || url.len() > limits::URL_MAX {
        let message = format!(
            "a directory is an https URL of at most {} bytes, such as https://ca.example/directory",
            limits::URL_MAX
        );
        return Err(Problem::field("settings.directory", message));
    }
    Ok(url.to_owned())
}

fn roots(text: &str) -> Result<String, Problem> {
    let unfit = |why: String| Problem::field("settings.trust_roots_pem", why);
    if text.len() > limits::ROOTS_MAX {
        let message = format!("trust roots have at most {} bytes", limits::ROOTS_MAX);
        return Err(unfit(message));
    }
    if !text.is_empty() {
        pem::certificates(text).map_err(|fault| unfit(fault.to_string()))?;
    }
    Ok(text.to_owned())
}

fn contacts(wire: &[String]) -> Result<Vec<String>, Problem> {
    const FIELD: &str = "settings.contacts";
    if wire.len() > limits::CONTACTS_MAX {
        let message = format!("at most {} contacts are taken", limits::CONTACTS_MAX);
        return Err(Problem::field(FIELD, message));
    }
    let mailto = |contact: &&String| {
        let address = contact.strip_prefix("mailto:").unwrap_or_default();
        let parts = address.split_once('@');
        parts.is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
            && contact.len() <= limits::URL_MAX
            // RFC 8555 section 7.3: one address, no header fields.
            && contact.bytes().all(|b| b.is_ascii_graphic() && !b",?".contains(&b))
    };
    if let Some(bad) = wire.iter().find(|contact| !mailto(contact)) {
        let message = format!(
            "`{}` is no contact; it looks like mailto:ops@example.com",
            names::shown(bad)
        );
        return Err(Problem::field(FIELD, message));
    }
    Ok(wire.to_vec())
}

fn agreed(agreed: bool) -> Result<bool, Problem> {
    if agreed {
        return Ok(true);
    }
    let message = "the CA's terms of service must be agreed to, or it gives no account";
    Err(Problem::field("settings.terms_agreed", message))
}

fn identities(wire: &[String]) -> Result<Vec<String>, Problem> {
    const FIELD: &str = "settings.caa_identities";
    if wire.len() > limits::CAA_IDENTITIES_MAX {
        let most = limits::CAA_IDENTITIES_MAX;
        return Err(Problem::field(FIELD, format!("at most {most} are taken")));
    }
    let one = |name: &String| {
        let parsed = Hostname::parse(name);
        let parsed = parsed.map_err(|error| Problem::field(FIELD, error.to_string()))?;
        Ok(parsed.to_string())
    };
    wire.iter().map(one).collect()
}

fn chain(name: &str) -> Result<Option<String>, Problem> {
    let fits = name.len() <= limits::COMMON_NAME_MAX && !name.contains(char::is_control);
    match name {
        "" => Ok(None),
        name if fits => Ok(Some(name.to_owned())),
        _ => {
            let message = format!(
                "a common name has at most {} bytes and no control characters",
                limits::COMMON_NAME_MAX
            );
            Err(Problem::field("settings.preferred_chain", message))
        }
    }
}

fn limits_of(wire: &[v1::Limit]) -> Result<Vec<Limit>, Problem> {
    let read = wire
        .iter()
        .map(|limit| limit_from("settings.limits", limit));
    let limits: Vec<Limit> = read.collect::<Result<_, _>>()?;
    let kinds: BTreeSet<_> = limits.iter().map(|limit| limit.kind).collect();
    if kinds.len() < limits.len() {
        let message = "there are two limits of one kind";
        return Err(Problem::field("settings.limits", message));
    }
    Ok(limits)
}

fn limit_from(field: &'static str, wire: &v1::Limit) -> Result<Limit, Problem> {
    let kind = limit_kind(field, wire.kind)?;
    let unfit = |why: &str| Err(Problem::field(field, format!("{kind}: {why}")));
    if wire.burst == 0 {
        return unfit("a limit allows at least one at once");
    }
    let Some(refill) = wire.refill else {
        return unfit("how long one more takes is needed");
    };
    let refill = duration_from(field, refill)?;
    if !(Duration::from_millis(1)..=limits::REFILL_MAX).contains(&refill) {
        return unfit("one more takes between a millisecond and a year");
    }
    Ok(Limit {
        kind,
        burst: wire.burst,
        refill,
    })
}

fn overrides(wire: &[v1::LimitOverride]) -> Result<Vec<LimitOverride>, Problem> {
    const FIELD: &str = "settings.overrides";
    if wire.len() > limits::OVERRIDES_MAX {
        let message = format!("at most {} exceptions are taken", limits::OVERRIDES_MAX);
        return Err(Problem::field(FIELD, message));
    }
    let read = wire.iter().map(|one| limit_override(FIELD, one));
    let overrides: Vec<LimitOverride> = read.collect::<Result<_, _>>()?;
    let keys: BTreeSet<_> = overrides
        .iter()
        .map(|one| (one.limit.kind, &one.key))
        .collect();
    if keys.len() < overrides.len() {
        let message = "there are two exceptions for one key of a limit";
        return Err(Problem::field(FIELD, message));
    }
    Ok(overrides)
}

/// An exception, from the field called `field`.
pub(crate) fn limit_override(
    field: &'static str,
    wire: &v1::LimitOverride,
) -> Result<LimitOverride, Problem> {
    let limit = wire.limit.as_ref();
    let limit = limit.ok_or_else(|| Problem::field(field, "what holds instead is needed"))?;
    let limit = limit_from(field, limit)?;
    Ok(LimitOverride {
        key: names::limit_key(field, limit.kind, &wire.key)?.into(),
        limit,
    })
}
