//! Between the domain and the wire; pure, and the only such file.

use proto::admin::v1;
use state::{
    Ca, Certificate, Event, Failure, Hostname, HostnameRecord, Index, Invitation, Member, NodeId,
    Order, Origin, OriginProtocol, Role, Standing, State, Timestamp, Zone, invitation::Became,
    ports::NodeReport,
};

use crate::{limits, names, problem::Problem};

pub(crate) fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    let millis = at.as_millis();
    prost_types::Timestamp {
        seconds: i64::try_from(millis / 1000).unwrap_or(i64::MAX),
        nanos: i32::try_from(millis % 1000 * 1_000_000).unwrap_or(0),
    }
}

/// A hostname with all that belongs to it.
pub(crate) fn hostname(
    state: &State,
    reports: &[NodeReport],
    name: &Hostname,
    record: &HostnameRecord,
    now: Timestamp,
) -> v1::Hostname {
    let certificate = record.certificate.and_then(|id| state.certificate(&id));
    let order = record.order.and_then(|id| state.order(id));
    v1::Hostname {
        name: names::hostname_name(name),
        state: hostname_state(standing(state, record, now)).into(),
        authorized_at: Some(timestamp(record.authorized_at)),
        authorized_by: record.authorized_by.to_string(),
        certificate: certificate.map(|found| self::certificate(found)),
        order: order.map(|found| self::order(found)),
        failure: record.failure.as_deref().map(failure),
        revision: record.revision.0,
        serving: serving(state, reports, record.revision),
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

fn certificate(certificate: &Certificate) -> v1::Certificate {
    v1::Certificate {
        id: certificate.id.to_string(),
        serial: certificate.serial_hex(),
        issuer: certificate.issuer.to_string(),
        not_before: Some(timestamp(certificate.not_before)),
        not_after: Some(timestamp(certificate.not_after)),
        renew_at: Some(timestamp(certificate.renew_at)),
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
    }
}

fn failure(failure: &Failure) -> v1::Failure {
    v1::Failure {
        reason: format!("{}: {}", failure.class.as_str(), failure.reason),
        count: failure.count,
        at: Some(timestamp(failure.at)),
        next_try: Some(timestamp(failure.next_try)),
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
fn heard(reports: &[NodeReport], node: NodeId) -> Option<&NodeReport> {
    reports
        .iter()
        .find(|report| report.node == node && report.published.is_some())
}

pub(crate) fn event(event: &Event) -> v1::TimelineEvent {
    v1::TimelineEvent {
        at: Some(timestamp(event.at)),
        kind: event.kind.as_str().to_owned(),
        detail: event.detail.clone(),
    }
}

pub(crate) fn zone(zone: &Zone) -> v1::Zone {
    v1::Zone {
        name: names::ZONE.to_owned(),
        origin: zone.origin.as_deref().map(|origin| v1::Origin {
            url: origin.to_string(),
            protocol: protocol(origin.protocol).into(),
        }),
        revision: zone.revision.0,
    }
}

fn protocol(protocol: OriginProtocol) -> v1::OriginProtocol {
    match protocol {
        OriginProtocol::Auto => v1::OriginProtocol::Unspecified,
        OriginProtocol::Http1 => v1::OriginProtocol::Http1,
        OriginProtocol::Http2 => v1::OriginProtocol::Http2,
    }
}

/// An origin that can be one.
pub(crate) fn origin(wire: Option<&v1::Origin>) -> Result<Origin, Problem> {
    let wire = wire
        .ok_or_else(|| Problem::field("origin", "an origin is needed, such as http://app:8080"))?;
    if wire.url.len() > limits::ORIGIN_URL_MAX {
        let message = format!("an origin has at most {} bytes", limits::ORIGIN_URL_MAX);
        return Err(Problem::field("origin.url", message));
    }
    let origin: Origin = wire
        .url
        .parse()
        .map_err(|error: state::OriginError| Problem::field("origin.url", error.to_string()))?;
    let protocol = match v1::OriginProtocol::try_from(wire.protocol) {
        Ok(v1::OriginProtocol::Unspecified) => OriginProtocol::Auto,
        Ok(v1::OriginProtocol::Http1) => OriginProtocol::Http1,
        Ok(v1::OriginProtocol::Http2) => OriginProtocol::Http2,
        Err(_) => {
            let message = format!("{} is no protocol of an origin", wire.protocol);
            return Err(Problem::field("origin.protocol", message));
        }
    };
    Ok(origin.with_protocol(protocol))
}

/// A revision for compare-and-set; 0: whatever it is.
pub(crate) fn revision(wire: u64) -> Option<Index> {
    (wire != 0).then_some(Index(wire))
}

pub(crate) fn acme(ca: &Ca, progress: Vec<String>) -> v1::Acme {
    v1::Acme {
        directory: ca.settings.directory.clone(),
        account_state: ca.registration.as_str().to_owned(),
        account_url: ca.account_url().unwrap_or_default().to_owned(),
        contacts: ca.settings.contacts.clone(),
        progress,
    }
}

/// All members, and what each last said of itself.
pub(crate) fn members(
    state: &State,
    reports: &[NodeReport],
    leader: Option<NodeId>,
) -> Vec<v1::Member> {
    let one = |member: &Member| v1::Member {
        name: names::member_name(member.id),
        node_name: member.name.clone(),
        peer_address: member.peer_address.clone(),
        admin_address: member.admin_address.clone(),
        standing: member_standing(state, member).to_owned(),
        leader: leader == Some(member.id),
        report: heard(reports, member.id).map(report),
        joined_at: Some(timestamp(member.joined_at)),
        certificate_not_after: member
            .certificate
            .as_ref()
            .map(|certificate| timestamp(certificate.not_after)),
    };
    state.members().map(|member| one(member)).collect()
}

fn member_standing(state: &State, member: &Member) -> &'static str {
    if member.leaving {
        "leaving"
    } else if state.voters().contains(&member.id) {
        "voting"
    } else {
        "admitted"
    }
}

fn report(report: &NodeReport) -> v1::Report {
    v1::Report {
        published_index: report.published.unwrap_or_default().0,
        clock_offset_ms: report.clock_offset_ms,
        version: report.version.clone(),
        faults: report.faults.clone(),
        draining: report.draining,
        silent_ms: u64::try_from(report.silent.as_millis()).unwrap_or(u64::MAX),
    }
}

pub(crate) fn invitation(state: &State, invitation: &Invitation, now: Timestamp) -> v1::Invitation {
    let standing = match &invitation.redemption {
        Some(_) => "spent",
        None if invitation.revoked => "revoked",
        None if invitation.expires_at <= now => "expired",
        None => "open",
    };
    let redeemed_by = match invitation.redemption.as_ref().map(|spent| spent.became) {
        None => String::new(),
        Some(Became::Node(node)) => names::member_name(node),
        Some(Became::Operator(id)) => state.operator(id).map_or_else(
            || format!("operator {id}"),
            |operator| operator.name.clone(),
        ),
    };
    v1::Invitation {
        name: names::invitation_name(invitation.id),
        role: wire_role(invitation.role).into(),
        created_at: Some(timestamp(invitation.created_at)),
        expires_at: Some(timestamp(invitation.expires_at)),
        created_by: invitation.created_by.to_string(),
        state: standing.to_owned(),
        redeemed_by,
    }
}

fn wire_role(role: Role) -> v1::Role {
    match role {
        Role::Node => v1::Role::Node,
        Role::Admin => v1::Role::Admin,
        Role::Viewer => v1::Role::Viewer,
    }
}

pub(crate) fn role(wire: i32) -> Result<Role, Problem> {
    match v1::Role::try_from(wire) {
        Ok(v1::Role::Node) => Ok(Role::Node),
        Ok(v1::Role::Admin) => Ok(Role::Admin),
        Ok(v1::Role::Viewer) => Ok(Role::Viewer),
        Ok(v1::Role::Unspecified) | Err(_) => Err(Problem::field(
            "role",
            "a role is needed: node, admin or viewer",
        )),
    }
}

/// How long an invitation lives, in seconds; 0: the usual time.
pub(crate) fn ttl(wire: u32) -> Result<std::time::Duration, Problem> {
    let seconds = if wire == 0 { limits::TTL } else { wire };
    if !(limits::TTL_MIN..=limits::TTL_MAX).contains(&seconds) {
        let message = format!(
            "{seconds} s is no life of a token; it is {} to {} s",
            limits::TTL_MIN,
            limits::TTL_MAX
        );
        return Err(Problem::field("ttl_seconds", message));
    }
    Ok(std::time::Duration::from_secs(seconds.into()))
}
