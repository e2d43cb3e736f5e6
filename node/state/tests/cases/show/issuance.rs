//! CAs, ledger, hostnames, orders and certificates. What most have alike is left out.

use state::{
    Bucket, BucketKey, Certificate, Contest, Failure, Hostname, KeyAlgorithm, Limit, Order,
    OrderId, Ownership, OwnershipPolicy, Proof, Registration, RevocationState, Source, Stage,
    State, Tenant, Timestamp, Traffic, Wants, testing,
};

use super::{due, moment, optional, text};
use crate::command;

fn flag(name: &str, set: bool) -> String {
    if set {
        format!(" {name}")
    } else {
        String::new()
    }
}

pub(super) fn ca(state: &State, name: &str) -> Option<String> {
    let ca = state.ca(name)?;
    let registration = match &ca.registration {
        Registration::None => "no key".to_owned(),
        Registration::KeyCommitted(key) => format!("key {}", key.thumbprint),
        Registration::Registered { key, url, rollover } => {
            let wanted = flag("another wanted", *rollover);
            format!("key {} at {url}{wanted}", key.thumbprint)
        }
        Registration::Rolling { key, url, next } => {
            format!("key {} or {} at {url}", key.thumbprint, next.thumbprint)
        }
    };
    let external = ca.external_account.as_ref();
    let limits = ca.settings.limits.iter().map(limit);
    let exceptions = ca.settings.overrides.iter();
    let exceptions = exceptions.map(|one| {
        let key = if one.key.is_empty() { "-" } else { &one.key };
        format!(" {key}: {}", limit(&one.limit).trim())
    });
    Some(format!(
        "{} {registration}{}{}{}{} revision {}",
        ca.settings.directory,
        optional("external", external, |account| account.key_id.clone()),
        optional(
            "rank",
            Some(ca.settings.rank).filter(|rank| *rank > 0),
            |rank| { rank.to_string() }
        ),
        limits.collect::<String>(),
        exceptions.collect::<String>(),
        ca.revision,
    ))
}

fn limit(limit: &Limit) -> String {
    let refill = super::duration(limit.refill);
    format!(" {} {} each {refill}", limit.kind, limit.burst)
}

pub(super) fn zone(state: &State) -> Option<String> {
    let zone = state.zone();
    let origin = zone.origin.as_deref();
    let origin = origin.map(|origin| format!("{origin} {:?}", origin.protocol).to_lowercase());
    let settings = &zone.settings;
    let decided = Some(&*zone.traffic).filter(|traffic| **traffic != Traffic::default());
    Some(format!(
        "origin {}{}{}{}{} revision {}",
        origin.as_deref().unwrap_or("none"),
        flag("by proof", settings.ownership == OwnershipPolicy::Proof),
        optional("edge", settings.edge_domain.as_ref(), ToString::to_string),
        optional("dns", settings.dns.as_ref(), |dns| dns.name.to_string()),
        optional("traffic", decided, traffic),
        zone.revision
    ))
}

pub(super) fn tombstone(state: &State, name: &str) -> Option<String> {
    let tombstone = state.tombstone(name)?;
    let (tenant, at) = (&tombstone.tenant, moment(tombstone.removed_at));
    Some(format!("of {tenant} since {at}"))
}

pub(super) fn bucket(state: &State, searched: &[u8]) -> Option<String> {
    let mut buckets = state.buckets();
    let (_, bucket) = buckets.find(|(key, _)| {
        let id = format!("{}\0{}\0{}", key.ca, key.kind, key.key);
        id.as_bytes() == searched
    })?;
    Some(bucket_value(bucket))
}

fn bucket_value(bucket: &Bucket) -> String {
    let spent = (bucket.spent_until > Timestamp(0)).then_some(bucket.spent_until);
    let promised = (bucket.promised > 0).then_some(bucket.promised);
    format!(
        "{}{}{}",
        optional("spent until", spent, moment),
        optional("promised", promised, |count| count.to_string()),
        optional("blocked until", bucket.blocked_until, moment),
    )
    .trim_start()
    .to_owned()
}

/// All buckets that are not full, and what is left in them.
pub(crate) fn ledger(state: &State, now: Timestamp) -> Vec<String> {
    let line = |(key, bucket): (&BucketKey, &Bucket)| {
        let limit = state.limit(key);
        format!(
            "{} {} {}: {}{}",
            key.ca,
            key.kind,
            if key.key.is_empty() { "-" } else { &key.key },
            bucket_value(bucket),
            optional("left", limit, |limit| bucket.left(limit, now).to_string()),
        )
    };
    state.buckets().map(line).collect()
}

pub(super) fn certificate(state: &State, id: &[u8]) -> Option<String> {
    let certificate = state.certificate(&command::certificate_id(&text(id)))?;
    Some(format!(
        "{}{}{}{} by {} serial {} {} to {} renew {}{}",
        certificate.hostname,
        flag("wildcard", certificate.wildcard),
        flag("rsa", certificate.algorithm == KeyAlgorithm::Rsa),
        match &certificate.source {
            Source::Uploaded => " uploaded".to_owned(),
            Source::Ca(ca) if *ca == testing::ca_name() => String::new(),
            Source::Ca(ca) => format!(" from {ca}"),
        },
        text(&certificate.chain.0),
        certificate.serial_hex(),
        moment(certificate.not_before),
        moment(certificate.not_after),
        moment(certificate.renew_at),
        fate(certificate),
    ))
}

fn fate(certificate: &Certificate) -> String {
    let revocation = certificate.revocation.as_ref();
    format!(
        "{}{}{}{}{}",
        optional("window", certificate.window, |window| {
            format!("{} to {}", moment(window.start), moment(window.end))
        }),
        optional("reissue", certificate.reissue, |urgency| {
            urgency.as_str().to_owned()
        }),
        optional("revocation", revocation, |revocation| {
            let state = match &revocation.state {
                RevocationState::Wanted { next_try } => format!("wanted {}", moment(*next_try)),
                RevocationState::Done => "done".to_owned(),
                RevocationState::Refused(why) => format!("refused ({why})"),
            };
            format!("for {} {state}", revocation.reason)
        }),
        optional("forget", certificate.forget_at, moment),
        flag("kept", certificate.kept),
    )
}

pub(super) fn order(state: &State, id: OrderId) -> Option<String> {
    let order = state.order(id)?;
    let url = order.stage.placed().map(|placed| &placed.url);
    debug_assert!(url.is_none() == matches!(order.stage, Stage::Admitted));
    let challenges = order.stage.placed().into_iter();
    let challenges = challenges.flat_map(|placed| placed.challenges());
    let challenges = challenges.map(|one| format!(" {} {}", one.kind.as_str(), one.token));
    Some(format!(
        "{} claim {}{} attempt {} {} since {} in term {}{}{}",
        order.hostname,
        order.claim,
        terms(order),
        order.attempt,
        order.stage.as_str(),
        moment(order.stage_at),
        order.epoch,
        optional("url", url, |url| url.clone()),
        challenges.collect::<String>(),
    ))
}

/// What was asked for, where it is not the usual.
fn terms(order: &Order) -> String {
    let other_ca = Some(&order.ca).filter(|ca| **ca != testing::ca_name());
    let budget = Some(order.budget).filter(|budget| *budget != state::Budget::New);
    format!(
        "{}{}{}{}{}{}{}",
        tenant(&order.tenant),
        flag("wildcard", order.wildcard),
        flag("rsa", order.algorithm == KeyAlgorithm::Rsa),
        optional("at", other_ca, ToString::to_string),
        optional("profile", order.profile.as_ref(), ToString::to_string),
        optional("replaces", order.replaces.as_ref(), ToString::to_string),
        optional("budget", budget, |budget| budget.as_str().to_owned()),
    )
}

fn tenant(tenant: &Tenant) -> String {
    let other = Some(tenant).filter(|tenant| **tenant != Tenant::default());
    optional("tenant", other, ToString::to_string)
}

pub(super) fn hostname(state: &State, name: &str) -> Option<String> {
    let name = Hostname::parse(name).ok()?;
    let record = state.hostname(name.as_str())?;
    let due_at = state.hostname_due(&name, record);
    let rsa = record.certificate_of(KeyAlgorithm::Rsa);
    let due_for = |text: String| match text.strip_suffix(&format!(" order {name}")) {
        Some(at) => at.to_owned(),
        None => text.replace(&format!(" {name}"), ""),
    };
    Some(format!(
        "claim {}{} by {}{}{}{}{}{}{}{}{}{} events {} revision {} due {}",
        record.claim,
        tenant(&record.tenant),
        record.authorized_by,
        ownership(&record.ownership),
        optional("wants", record.wants.as_deref(), wants),
        optional("traffic", record.traffic.as_deref(), traffic),
        optional("certificate", record.certificate, |id| text(&id.0)),
        optional("rsa", rsa, |id| text(&id.0)),
        optional("order", record.order, |id| id.to_string()),
        optional("request", record.request(), |request| {
            moment(request.created_at)
        }),
        optional("contest", record.contest(), contest),
        optional("failure", record.failure.as_deref(), failure),
        record.events,
        record.revision,
        due_at.map_or_else(|| "never".to_owned(), |at| due_for(due(&at))),
    ))
}

fn ownership(ownership: &Ownership) -> String {
    if ownership.standing == Proof::Vouched {
        return String::new();
    }
    format!(
        " {} since {}{}",
        ownership.standing.as_str(),
        moment(ownership.since),
        optional("fault", ownership.fault.as_ref(), |why| format!("({why})")),
    )
}

fn contest(contest: &Contest) -> String {
    format!(
        "by {} claim {} next {}{}",
        contest.tenant,
        contest.claim,
        moment(contest.next_check),
        optional("fault", contest.fault.as_ref(), |why| format!("({why})")),
    )
}

fn wants(wants: &Wants) -> String {
    let challenge = wants.challenge.map(state::ChallengeKind::as_str);
    format!(
        "{}{}{}{}{}{}",
        wants.algorithms.as_str(),
        flag("wildcard", wants.wildcard),
        flag("by-hand", !wants.automatic),
        optional("at", wants.ca.as_ref(), ToString::to_string),
        optional("profile", wants.profile.as_ref(), Clone::clone),
        optional("by", challenge, ToOwned::to_owned),
    )
}

fn traffic(traffic: &Traffic) -> String {
    traffic.decided().collect::<Vec<_>>().join(",")
}

fn failure(failure: &Failure) -> String {
    format!(
        "{} {} ({}){}",
        failure.count,
        failure.class.as_str(),
        failure.reason,
        flag("parked", failure.parked),
    )
}
