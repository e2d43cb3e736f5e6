//! CAs, what they allow, and the zone.

use state::{
    BucketKey, CaSettings, Change, DnsZone, ExternalAccount, KeyPurpose, Limit, LimitKind,
    LimitOverride, OwnershipPolicy, ZoneSettings,
    testing::{self, host},
};

use super::{Words, ca_name, number, sealed};
use crate::{cluster::Cluster, show};

pub(super) fn change(words: &Words<'_>, cluster: &Cluster) -> Result<Option<Change>, String> {
    Ok(Some(match words.name() {
        "zone" => Change::SetZone {
            settings: Box::new(zone(words)?),
            revision: words.revision()?,
        },
        "ca" => Change::PutCa {
            name: ca_name(words.at(1)?)?,
            settings: Box::new(settings(words)?),
            revision: words.revision()?,
        },
        "external-account" => Change::BindExternalAccount {
            ca: words.ca()?,
            account: Some(words.at(1)?)
                .filter(|key_id| *key_id != "none")
                .map(external),
        },
        "remove-ca" => Change::RemoveCa {
            ca: ca_name(words.at(1)?)?,
            revision: words.revision()?,
        },
        "roll" => Change::RollAccountKey { ca: words.ca()? },
        "rolled" => Change::FinishRollover {
            ca: words.ca()?,
            rolled: words.at(1)? == "yes",
        },
        "account-key" => Change::CommitAccountKey {
            ca: words.ca()?,
            key: testing::account_key(words.at(1)?),
        },
        "register-account" => Change::RegisterAccount {
            ca: words.ca()?,
            url: words.at(1)?.to_owned(),
        },
        "limit" => Change::ObserveLimit {
            bucket: bucket(words)?,
            until: words
                .moment("in", cluster.now)?
                .ok_or("`limit` lacks in=")?,
        },
        "correct" => Change::CorrectLimit {
            bucket: bucket(words)?,
        },
        _ => return Ok(None),
    }))
}

/// `KIND KEY`, the account's key being `-`.
pub(crate) fn bucket(words: &Words<'_>) -> Result<BucketKey, String> {
    let key = words.at(2)?;
    Ok(BucketKey {
        ca: words.ca()?,
        kind: kind(words.at(1)?)?,
        key: if key == "-" { "" } else { key }.into(),
    })
}

pub(super) fn zone(words: &Words<'_>) -> Result<ZoneSettings, String> {
    let ownership = match words.get("policy") {
        None => OwnershipPolicy::Operator,
        Some(name) => OwnershipPolicy::parse(name).ok_or("no such policy")?,
    };
    Ok(ZoneSettings {
        ownership,
        edge_domain: words.get("edge").map(host),
        addresses: Vec::new(),
        dns: words.get("dns").map(|name| DnsZone {
            name: host(name),
            nameservers: Vec::new(),
        }),
        caa_open: false,
    })
}

fn settings(words: &Words<'_>) -> Result<CaSettings, String> {
    let each = |name| {
        let list = words.get(name).unwrap_or_default();
        list.split(',').filter(|one| !one.is_empty())
    };
    let directory = words.get("directory");
    Ok(CaSettings {
        directory: directory
            .unwrap_or("https://ca.example/directory")
            .to_owned(),
        rank: words.number("rank")?.unwrap_or_default() as u32,
        profile: words.get("profile").map(ToOwned::to_owned),
        limits: each("limits").map(limit).collect::<Result<_, _>>()?,
        overrides: each("overrides").map(exception).collect::<Result<_, _>>()?,
        ..CaSettings::default()
    })
}

fn kind(name: &str) -> Result<LimitKind, String> {
    LimitKind::parse(name).ok_or_else(|| format!("`{name}` is no limit"))
}

/// `orders:300:36s`.
fn limit(text: &str) -> Result<Limit, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let [name, burst, refill] = parts[..] else {
        return Err(format!("`{text}` is no limit"));
    };
    Ok(Limit {
        kind: kind(name)?,
        burst: number(burst)?,
        refill: show::parse_duration(refill)?,
    })
}

/// `shop.example:certificates-per-domain:300:1h`, the account's key being `-`.
fn exception(text: &str) -> Result<LimitOverride, String> {
    let (key, rest) = text.split_once(':').ok_or("an exception has four parts")?;
    Ok(LimitOverride {
        key: if key == "-" { "" } else { key }.into(),
        limit: limit(rest)?,
    })
}

fn external(key_id: &str) -> ExternalAccount {
    ExternalAccount {
        key_id: key_id.to_owned(),
        hmac: sealed(KeyPurpose::Control, "hmac"),
    }
}
