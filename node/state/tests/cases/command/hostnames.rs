//! Hostnames: whose they are and what they are to have.

use state::{
    Algorithms, ChallengeKind, Change, FailureClass, Hostname, Index, KeyPurpose, OwnershipToken,
    Proof, ProofMethod, Reissue, Tenant, Traffic, Wants,
    command::Authorize,
    testing::host,
    traffic::{Hsts, Switch},
};

use super::{Words, bytes, ca_name, sealed};
use crate::cluster::Cluster;

pub(super) fn change(words: &Words<'_>, cluster: &Cluster) -> Result<Option<Change>, String> {
    let hostname = || words.at(1).map(host);
    Ok(Some(match words.name() {
        "authorize" => Change::AuthorizeHostname(Box::new(Authorize {
            hostname: hostname()?,
            tenant: tenant(words)?,
            token: OwnershipToken([1; 16]),
            wants: wants(words)?,
            on_demand: words.is("on-demand"),
        })),
        "remove" => Change::RemoveHostname {
            hostname: hostname()?,
            revision: words.revision()?,
        },
        "wants" => Change::SetWants {
            hostname: hostname()?,
            wants: Box::new(wants(words)?),
            revision: words.revision()?,
        },
        "traffic" => Change::SetTraffic {
            hostname: words.at(1).ok().filter(|name| *name != "zone").map(host),
            traffic: Box::new(traffic(words)?),
            revision: words.revision()?,
        },
        "contest" => Change::ContestHostname {
            hostname: hostname()?,
            tenant: tenant(words)?,
            token: OwnershipToken([2; 16]),
        },
        "end-contest" => Change::EndContest {
            hostname: hostname()?,
        },
        "request" => Change::CreateRequest {
            hostname: hostname()?,
            key: sealed(
                KeyPurpose::Serving,
                words.get("key").unwrap_or("request-key"),
            ),
            csr: bytes("csr"),
        },
        "reissue" => Change::ReissueCertificates {
            hostnames: words.at(1)?.split(',').map(host).collect(),
            urgency: Reissue::parse(words.get("urgency").unwrap_or("calm")).ok_or("no urgency")?,
        },
        "bury" => Change::ForgetTombstone {
            hostname: hostname()?,
        },
        _ => return look(words, cluster),
    }))
}

fn traffic(words: &Words<'_>) -> Result<Traffic, String> {
    let http2 = words.get("http2").map(|word| word == "yes");
    let age = words.number("hsts")?;
    let max_age = age
        .map(|age| u32::try_from(age).map_err(|_| "no age"))
        .transpose()?;
    Ok(Traffic {
        http2,
        max_body: words.number("max-body")?,
        hsts: max_age.map(|max_age| {
            Switch::On(Hsts {
                max_age,
                subdomains: false,
                preload: false,
            })
        }),
        ..Traffic::default()
    })
}

/// What the leader found when it looked.
fn look(words: &Words<'_>, cluster: &Cluster) -> Result<Option<Change>, String> {
    let fault = words.get("fault").map(ToOwned::to_owned);
    Ok(Some(match words.name() {
        "proof" => Change::RecordOwnership {
            hostname: host(words.at(1)?),
            claim: claim(words, cluster)?,
            standing: Proof::parse(words.at(2)?).ok_or("no such proof")?,
            fault,
            next_check: words.moment("next", cluster.now)?,
        },
        "contest-proof" => Change::RecordContest {
            hostname: host(words.at(1)?),
            claim: contest_claim(words, cluster)?,
            proven: ProofMethod::parse(words.at(2)?),
            fault,
            next_check: words.moment("next", cluster.now)?.unwrap_or(cluster.now),
        },
        "defer" => Change::DeferHostname {
            hostname: host(words.at(1)?),
            claim: claim(words, cluster)?,
            class: class(words.get("class").unwrap_or("preflight"))?,
            reason: words.get("reason").unwrap_or("points-elsewhere").to_owned(),
            next_try: words.moment("next", cluster.now)?.unwrap_or(cluster.now),
            parked: words.is("parked"),
        },
        _ => return Ok(None),
    }))
}

/// The present claim, or that of the same block, unless `claim=` says otherwise.
pub(super) fn claim(words: &Words<'_>, cluster: &Cluster) -> Result<Index, String> {
    let record = cluster.state.hostname(words.at(1)?);
    let present = record.map(|record| record.claim);
    let present = present.unwrap_or(Index(cluster.state.index().0 + 1));
    Ok(words.number("claim")?.map_or(present, Index))
}

fn contest_claim(words: &Words<'_>, cluster: &Cluster) -> Result<Index, String> {
    let record = cluster.state.hostname(words.at(1)?);
    let contest = record.and_then(|record| record.contest());
    let present = contest.map(|contest| contest.claim).unwrap_or_default();
    Ok(words.number("claim")?.map_or(present, Index))
}

pub(crate) fn tenant(words: &Words<'_>) -> Result<Tenant, String> {
    let name = words.get("tenant").unwrap_or(Tenant::DEFAULT);
    name.parse().map_err(|error| format!("{error}"))
}

fn wants(words: &Words<'_>) -> Result<Wants, String> {
    let challenge = |name| ChallengeKind::parse(name).ok_or("no such challenge");
    Ok(Wants {
        wildcard: words.is("wildcard"),
        algorithms: Algorithms::parse(words.get("keys").unwrap_or("ecdsa"))
            .ok_or("no such keys")?,
        automatic: words.get("automatic") != Some("no"),
        ca: words.get("ca").map(ca_name).transpose()?,
        profile: words.get("profile").map(ToOwned::to_owned),
        challenge: words.get("challenge").map(challenge).transpose()?,
    })
}

pub(super) fn class(name: &str) -> Result<FailureClass, String> {
    FailureClass::parse(name).ok_or_else(|| format!("`{name}` is no class of failure"))
}

/// For questions about a hostname that may be gone.
pub(crate) fn hostname(words: &Words<'_>) -> Result<Hostname, String> {
    words.at(1).map(host)
}
