//! Hostnames, what they are to have, and whose they are.

use proto::admin::v1;
use state::{
    Algorithms, CaName, ChallengeKind, Contest, Failure, Hostname, HostnameRecord, Index,
    KeyAlgorithm, Member, NodeId, Order, Ownership, Standing, State, Tenant, Timestamp, Wants,
    ports::NodeReport,
};

use super::{certificate, moment, request, served_algorithm, timestamp};
use crate::{limits, names, problem::Problem};

/// A hostname with all that belongs to it.
pub(crate) fn hostname(
    state: &State,
    reports: &[NodeReport],
    name: &Hostname,
    record: &HostnameRecord,
    now: Timestamp,
) -> v1::Hostname {
    let served = |algorithm| {
        let id = record.certificate_of(algorithm)?;
        state.certificate(&id).map(|found| certificate(found))
    };
    let order = record.order.and_then(|id| state.order(id));
    v1::Hostname {
        name: names::hostname_name(name),
        state: hostname_state(standing(state, record, now)).into(),
        authorized_at: Some(timestamp(record.authorized_at)),
        authorized_by: record.authorized_by.to_string(),
        certificate: served(KeyAlgorithm::Ecdsa),
        order: order.map(|found| self::order(found)),
        failure: record.failure.as_deref().map(failure),
        revision: record.revision.0,
        serving: serving(state, reports, record.revision),
        tenant: record.tenant.to_string(),
        wants: Some(shown_wants(&record.wants())),
        ownership: Some(ownership(state, name, record)),
        rsa_certificate: served(KeyAlgorithm::Rsa),
        contest: record
            .contest()
            .map(|contest| self::contest(state, contest)),
        request: record.request().map(|found| request(name, found)),
        traffic: record.traffic.as_deref().map(super::traffic),
        zone_traffic: None,
    }
}

/// How a hostname stands at `now`.
pub(crate) fn standing(state: &State, record: &HostnameRecord, now: Timestamp) -> Standing {
    let valid = record
        .certificates()
        .filter_map(|id| state.certificate(&id))
        .any(|certificate| now < certificate.not_after);
    record.standing(valid)
}

pub(crate) fn hostname_state(standing: Standing) -> v1::HostnameState {
    match standing {
        Standing::Pending => v1::HostnameState::Pending,
        Standing::Issuing => v1::HostnameState::Issuing,
        Standing::Live => v1::HostnameState::Live,
        Standing::Renewing => v1::HostnameState::Renewing,
        Standing::Failed => v1::HostnameState::Failed,
        Standing::Unproven => v1::HostnameState::Unproven,
        Standing::Parked => v1::HostnameState::Parked,
    }
}

/// The state asked for in a listing; none: all.
pub(crate) fn state_filter(wire: i32) -> Result<Option<v1::HostnameState>, Problem> {
    match v1::HostnameState::try_from(wire) {
        Ok(v1::HostnameState::Unspecified) => Ok(None),
        Ok(state) => Ok(Some(state)),
        Err(_) => Err(Problem::field(
            "state",
            format!("{wire} is no state of a hostname"),
        )),
    }
}

/// A tenant's name, from the field `tenant`.
pub(crate) fn tenant(wire: &str) -> Result<Tenant, Problem> {
    wire.parse()
        .map_err(|error: state::tenant::TenantError| Problem::field("tenant", error.to_string()))
}

fn shown_wants(wants: &Wants) -> v1::Wants {
    let keys = match wants.algorithms {
        Algorithms::Ecdsa => v1::KeyAlgorithms::Ecdsa,
        Algorithms::Rsa => v1::KeyAlgorithms::Rsa,
        Algorithms::Both => v1::KeyAlgorithms::Both,
    };
    let challenge = match wants.challenge {
        None => v1::ChallengeKind::Unspecified,
        Some(ChallengeKind::Http01) => v1::ChallengeKind::Http01,
        Some(ChallengeKind::TlsAlpn01) => v1::ChallengeKind::TlsAlpn01,
        Some(ChallengeKind::Dns01) => v1::ChallengeKind::Dns01,
    };
    v1::Wants {
        wildcard: wants.wildcard,
        keys: keys.into(),
        manual: !wants.automatic,
        ca: wants.ca.as_ref().map(names::ca_name).unwrap_or_default(),
        profile: wants.profile.clone().unwrap_or_default(),
        challenge: challenge.into(),
    }
}

/// What a hostname is to have, as somebody sent it.
pub(crate) fn wants(wire: &v1::Wants) -> Result<Wants, Problem> {
    let algorithms = match v1::KeyAlgorithms::try_from(wire.keys) {
        Ok(v1::KeyAlgorithms::Unspecified | v1::KeyAlgorithms::Ecdsa) => Algorithms::Ecdsa,
        Ok(v1::KeyAlgorithms::Rsa) => Algorithms::Rsa,
        Ok(v1::KeyAlgorithms::Both) => Algorithms::Both,
        Err(_) => {
            let message = format!("{} is no choice of keys: ecdsa, rsa or both", wire.keys);
            return Err(Problem::field("wants.keys", message));
        }
    };
    let challenge = match v1::ChallengeKind::try_from(wire.challenge) {
        Ok(v1::ChallengeKind::Unspecified) => None,
        Ok(v1::ChallengeKind::Http01) => Some(ChallengeKind::Http01),
        Ok(v1::ChallengeKind::TlsAlpn01) => Some(ChallengeKind::TlsAlpn01),
        Ok(v1::ChallengeKind::Dns01) => Some(ChallengeKind::Dns01),
        Err(_) => {
            let message = format!(
                "{} is no challenge: http-01, tls-alpn-01 or dns-01",
                wire.challenge
            );
            return Err(Problem::field("wants.challenge", message));
        }
    };
    if wire.wildcard && !matches!(challenge, None | Some(ChallengeKind::Dns01)) {
        let message = "a wildcard is proven by dns-01 only (RFC 8555 section 8.4)";
        return Err(Problem::field("wants.challenge", message));
    }
    Ok(Wants {
        wildcard: wire.wildcard,
        algorithms,
        automatic: !wire.manual,
        ca: wanted_ca(&wire.ca)?,
        profile: profile("wants.profile", &wire.profile)?,
        challenge,
    })
}

/// What a hostname is to have after a change of the fields in `mask`.
pub(crate) fn wants_edited(
    present: &Wants,
    wire: &v1::Wants,
    mask: &[&'static str],
) -> Result<Wants, Problem> {
    let mut edited = shown_wants(present);
    for field in mask {
        match *field {
            "wildcard" => edited.wildcard = wire.wildcard,
            "keys" => edited.keys = wire.keys,
            "manual" => edited.manual = wire.manual,
            "ca" => edited.ca = wire.ca.clone(),
            "profile" => edited.profile = wire.profile.clone(),
            _ => edited.challenge = wire.challenge,
        }
    }
    wants(&edited)
}

fn wanted_ca(name: &str) -> Result<Option<CaName>, Problem> {
    match name {
        "" => Ok(None),
        name => names::ca("wants.ca", name).map(Some),
    }
}

/// The name of a profile; none if it is empty.
pub(super) fn profile(field: &'static str, name: &str) -> Result<Option<String>, Problem> {
    let fits = name.len() <= limits::PROFILE_MAX && name.bytes().all(|b| b.is_ascii_graphic());
    match name {
        "" => Ok(None),
        name if fits => Ok(Some(name.to_owned())),
        _ => {
            let most = limits::PROFILE_MAX;
            let message = format!("a profile's name is 1 to {most} visible ASCII characters");
            Err(Problem::field(field, message))
        }
    }
}

fn ownership(state: &State, name: &Hostname, record: &HostnameRecord) -> v1::Ownership {
    let Ownership {
        token,
        standing,
        since,
        checked_at,
        next_check,
        fault,
    } = &record.ownership;
    v1::Ownership {
        standing: standing.as_str().to_owned(),
        since: Some(timestamp(*since)),
        checked_at: checked_at.map(timestamp),
        next_check: next_check.and_then(moment),
        fault: fault.as_deref().unwrap_or_default().to_owned(),
        token: token.to_text(),
        cname_target: state.tenant_target(&record.tenant).unwrap_or_default(),
        challenge_target: state.delegation(name.as_str()).unwrap_or_default(),
    }
}

fn contest(state: &State, contest: &Contest) -> v1::Contest {
    v1::Contest {
        tenant: contest.tenant.to_string(),
        since: Some(timestamp(contest.since)),
        next_check: moment(contest.next_check),
        ends_at: Some(timestamp(contest.ends())),
        fault: contest.fault.as_deref().unwrap_or_default().to_owned(),
        token: contest.token.to_text(),
        cname_target: state.tenant_target(&contest.tenant).unwrap_or_default(),
    }
}

fn order(order: &Order) -> v1::Order {
    let url = order.stage.placed().map(|placed| placed.url.clone());
    v1::Order {
        id: order.id.0,
        stage: order.stage.as_str().to_owned(),
        since: Some(timestamp(order.stage_at)),
        url: url.unwrap_or_default(),
        attempt: order.attempt,
        ca: names::ca_name(&order.ca),
        algorithm: served_algorithm(order.algorithm).into(),
        budget: order.budget.as_str().to_owned(),
    }
}

fn failure(failure: &Failure) -> v1::Failure {
    v1::Failure {
        reason: format!("{}: {}", failure.class.as_str(), failure.reason),
        count: failure.count,
        at: Some(timestamp(failure.at)),
        next_try: Some(timestamp(failure.next_try)),
        class: failure.class.as_str().to_owned(),
        since: Some(timestamp(failure.since)),
        parked: failure.parked,
    }
}

/// Which members have published `index`, as this node knows it.
pub(crate) fn serving(state: &State, reports: &[NodeReport], index: Index) -> Vec<v1::NodeServing> {
    let one = |member: &Member| {
        let heard = heard(reports, member.id);
        v1::NodeServing {
            member: names::member_name(member.id),
            node_name: member.name.clone(),
            current: heard
                .and_then(|report| report.published)
                .is_some_and(|published| published >= index),
            silent_seconds: heard.map(|report| report.silent.as_secs()),
        }
    };
    state.members().map(|member| one(member)).collect()
}

/// The report of a node that was heard at least once.
pub(crate) fn heard(reports: &[NodeReport], node: NodeId) -> Option<&NodeReport> {
    reports
        .iter()
        .find(|report| report.node == node && report.published.is_some())
}
