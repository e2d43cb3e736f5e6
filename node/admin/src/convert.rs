//! Between the domain and the wire; pure, and the only such place.

mod ca;
mod certificate;
mod hostname;
mod ledger;
mod traffic;
mod zone;

use std::time::Duration;

use proto::admin::v1;
use state::{
    Ca, DataKey, Event, Index, Invitation, Member, NodeId, Pause, Restored, Role, State, Timestamp,
    invitation::Became, ports::NodeReport,
};

use crate::{limits, names, problem::Problem};

pub(crate) use ca::{ca, limit_kind, limit_override, settings};
pub(crate) use certificate::{algorithm, certificate, pem, reason, request, served_algorithm};
pub(crate) use hostname::{
    heard, hostname, hostname_state, serving, standing, state_filter, tenant, wants, wants_edited,
};
pub(crate) use ledger::{bucket, forecast, kind_filter};
pub(crate) use traffic::{traffic, traffic_edited, traffic_settings};
pub(crate) use zone::{origin, shown_origin, zone, zone_settings};

pub(crate) fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    let millis = at.as_millis();
    prost_types::Timestamp {
        seconds: i64::try_from(millis / 1000).unwrap_or(i64::MAX),
        nanos: i32::try_from(millis % 1000 * 1_000_000).unwrap_or(0),
    }
}

pub(crate) fn event(event: &Event) -> v1::TimelineEvent {
    v1::TimelineEvent {
        at: Some(timestamp(event.at)),
        kind: event.kind.as_str().to_owned(),
        detail: event.detail.clone(),
    }
}

pub(crate) fn pause(pause: &Pause) -> v1::IssuancePause {
    v1::IssuancePause {
        by: pause.by.to_string(),
        reason: pause.reason.clone(),
        since: Some(timestamp(pause.since)),
    }
}

pub(crate) fn data_key(key: &DataKey) -> v1::DataKey {
    v1::DataKey {
        purpose: key.purpose.as_str().to_owned(),
        generation: key.generation,
        created_at: Some(timestamp(key.created_at)),
    }
}

pub(crate) fn restored(restored: &Restored) -> v1::Restored {
    v1::Restored {
        cluster_id: restored.of.cluster.to_string(),
        taken_at: Some(timestamp(restored.of.taken_at)),
        progress: restored.progress.as_str().to_owned(),
    }
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

/// Moments that come: the far future, at which nothing is meant to happen, is none.
pub(crate) fn moment(at: Timestamp) -> Option<prost_types::Timestamp> {
    (at.as_secs() < FAR).then(|| timestamp(at))
}

/// The last second of the year 9999, beyond which RFC 3339 cannot name a moment.
const FAR: u64 = 253_402_300_799;

/// A moment as somebody sent it, from the field called `field`.
pub(crate) fn moment_from(
    field: &'static str,
    wire: prost_types::Timestamp,
) -> Result<Timestamp, Problem> {
    let seconds = u64::try_from(wire.seconds).ok().filter(|at| *at < FAR);
    let nanos = u64::try_from(wire.nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000);
    match (seconds, nanos) {
        (Some(seconds), Some(nanos)) => Ok(Timestamp(seconds * 1000 + nanos / 1_000_000)),
        _ => Err(Problem::field(field, "a moment lies between 1970 and 9999")),
    }
}

pub(crate) fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

/// A span of time as somebody sent it, from the field called `field`.
pub(crate) fn duration_from(
    field: &'static str,
    wire: prost_types::Duration,
) -> Result<Duration, Problem> {
    let bad = |_| Problem::field(field, "a span of time is not negative");
    let seconds = u64::try_from(wire.seconds).map_err(bad)?;
    let nanos = u32::try_from(wire.nanos).map_err(bad)?;
    Ok(Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos.into())))
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
        feature_level: report.level.map_or(0, |level| level.0),
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
pub(crate) fn ttl(wire: u32) -> Result<Duration, Problem> {
    let seconds = if wire == 0 { limits::TTL } else { wire };
    if !(limits::TTL_MIN..=limits::TTL_MAX).contains(&seconds) {
        let message = format!(
            "{seconds} s is no life of a token; it is {} to {} s",
            limits::TTL_MIN,
            limits::TTL_MAX
        );
        return Err(Problem::field("ttl_seconds", message));
    }
    Ok(Duration::from_secs(seconds.into()))
}
