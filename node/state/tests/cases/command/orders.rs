//! Orders and certificates.

use state::{
    Budget, ChallengeKind, Change, Evidence, KeyAlgorithm, KeyPurpose, OrderId, Placed,
    RevocationState, Window,
    command::{Admit, CertificateParts, Upload},
    order::{PlacedAuthorization, PlacedChallenge},
    testing::{self, host},
};

use super::{
    Words, bytes, certificate_id,
    hostnames::{claim, class},
    sealed,
};
use crate::{cluster::Cluster, show};

pub(super) fn change(words: &Words<'_>, cluster: &Cluster) -> Result<Option<Change>, String> {
    let now = cluster.now;
    Ok(Some(match words.name() {
        "admit-order" => Change::AdmitOrder(Box::new(admit(words, cluster)?)),
        "intend-order" => Change::IntendOrder {
            order: words.id(1)?,
            again: words.is("again"),
        },
        "prepare" => Change::PrepareOrder {
            order: words.id(1)?,
            placed: placed(words)?,
        },
        "ready" => Change::IntendReady {
            order: words.id(1)?,
        },
        "finalize" => Change::IntendFinalize {
            order: words.id(1)?,
        },
        "install" => {
            let mut install = testing::install(words.id(1)?, bytes("leaf"), Vec::new(), now);
            install.parts = parts(words, cluster, install.parts)?;
            Change::InstallCertificate(Box::new(install))
        }
        "fail" => Change::FailOrder {
            order: words.id(1)?,
            evidence: evidence(words.at(2)?)?,
            class: class(words.get("class").unwrap_or("challenge"))?,
            reason: words.get("reason").unwrap_or("no-answer").to_owned(),
            next_try: now.plus(show::parse_duration(words.get("retry").unwrap_or("5m"))?),
        },
        "forget" => Change::ForgetCertificate {
            id: certificate_id(words.at(1)?),
        },
        _ => return certificates(words, cluster),
    }))
}

fn certificates(words: &Words<'_>, cluster: &Cluster) -> Result<Option<Change>, String> {
    let now = cluster.now;
    let id = || words.at(1).map(certificate_id);
    Ok(Some(match words.name() {
        "upload" => Change::UploadCertificate(Box::new(upload(words, cluster)?)),
        "schedule" => Change::ScheduleRenewal {
            id: id()?,
            renew_at: words.moment("in", now)?.unwrap_or(now),
            window: match (words.moment("from", now)?, words.moment("to", now)?) {
                (Some(start), Some(end)) => Some(Window { start, end }),
                _ => None,
            },
        },
        "revoke-certificate" => Change::RevokeCertificate {
            id: id()?,
            reason: words.number("reason")?.unwrap_or(1) as u8,
        },
        "revoked" => Change::FinishRevocation {
            id: id()?,
            state: match words.at(2)? {
                "done" => RevocationState::Done,
                "wanted" => RevocationState::Wanted {
                    next_try: words.moment("next", now)?.unwrap_or(now),
                },
                why => RevocationState::Refused(why.into()),
            },
        },
        _ => return Ok(None),
    }))
}

fn admit(words: &Words<'_>, cluster: &Cluster) -> Result<Admit, String> {
    let name = words.at(1)?;
    let mut admit = testing::admit(name);
    admit.claim = claim(words, cluster)?;
    admit.ca = words.ca()?;
    admit.algorithm = algorithm(words)?;
    admit.profile = words.get("profile").map(ToOwned::to_owned);
    admit.replaces = words.get("replaces").map(ToOwned::to_owned);
    admit.budget = Budget::parse(words.get("budget").unwrap_or("new")).ok_or("no such budget")?;
    if let Some(domain) = words.get("domain") {
        admit.domain = domain.to_owned();
    }
    admit.key = sealed(KeyPurpose::Serving, words.get("key").unwrap_or("key"));
    Ok(admit)
}

/// One authorization for each of `token=a,b`, by `challenge=`; `none` is valid already.
fn placed(words: &Words<'_>) -> Result<Placed, String> {
    let order: OrderId = words.id(1)?;
    let mut placed = testing::placed(order, "token");
    if let Some(url) = words.get("url") {
        placed.url = url.to_owned();
    }
    let kind = match words.get("challenge").unwrap_or("http-01") {
        "none" => None,
        name => Some(ChallengeKind::parse(name).ok_or("no such challenge")?),
    };
    let tokens = words.get("token").unwrap_or("token").split(',');
    let authorizations = tokens
        .enumerate()
        .map(|(number, token)| PlacedAuthorization {
            url: format!("https://ca.example/authz/{order}/{number}"),
            challenge: kind.map(|kind| PlacedChallenge {
                kind,
                url: format!("https://ca.example/chall/{order}/{number}"),
                token: token.to_owned(),
            }),
        });
    placed.authorizations = authorizations.collect();
    Ok(placed)
}

fn parts(
    words: &Words<'_>,
    cluster: &Cluster,
    usual: CertificateParts,
) -> Result<CertificateParts, String> {
    let leaf = bytes(words.get("leaf").unwrap_or("leaf"));
    let chain = vec![bytes(words.get("chain").unwrap_or("issuer"))];
    let mut parts = testing::parts(usual.serial, leaf, chain, cluster.now);
    parts.issuer = words.get("issuer").unwrap_or("Test-CA").to_owned();
    if let Some(end) = words.moment("end", cluster.now)? {
        parts.not_after = end;
    }
    Ok(parts)
}

fn upload(words: &Words<'_>, cluster: &Cluster) -> Result<Upload, String> {
    let usual = testing::parts(bytes("s"), bytes("leaf"), Vec::new(), cluster.now);
    let key = match words.get("key").unwrap_or("their-key") {
        "request" => None,
        key => Some(sealed(KeyPurpose::Serving, key)),
    };
    Ok(Upload {
        hostname: host(words.at(1)?),
        wildcard: words.is("wildcard"),
        algorithm: algorithm(words)?,
        key,
        parts: parts(words, cluster, usual)?,
        move_at: words.moment("move", cluster.now)?,
        revision: words.revision()?,
    })
}

fn algorithm(words: &Words<'_>) -> Result<KeyAlgorithm, String> {
    let name = words.get("keys").unwrap_or("ecdsa");
    KeyAlgorithm::parse(name).ok_or_else(|| format!("`{name}` is no kind of key"))
}

fn evidence(name: &str) -> Result<Evidence, String> {
    Ok(match name {
        "never-placed" => Evidence::NeverPlaced,
        "invalid" => Evidence::Invalid,
        "gone" => Evidence::Gone,
        "withdrawn" => Evidence::Withdrawn,
        "unusable" => Evidence::Unusable,
        "superseded" => Evidence::Superseded,
        _ => return Err(format!("`{name}` is no evidence")),
    })
}
