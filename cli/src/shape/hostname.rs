//! Hostnames.

mod claim;

use proto::admin::v1 as wire;
use serde::Serialize;

use super::{
    certificate::Certificate,
    id, moment,
    traffic::{Setting, lines, settings},
};
use crate::output::{Shape, clean, pairs, rows};
use claim::{Contest, Ownership, Wants};

/// A hostname.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Hostname {
    pub(crate) hostname: String,
    /// pending, issuing, live, renewing, failed, unproven or parked.
    pub(crate) state: &'static str,
    /// Whose it is.
    pub(crate) tenant: String,
    pub(crate) wants: Wants,
    /// Absent from a node that is older than this program.
    pub(crate) ownership: Option<Ownership>,
    /// Another tenant's claim.
    pub(crate) contest: Option<Contest>,
    pub(crate) authorized_at: Option<String>,
    pub(crate) authorized_by: String,
    pub(crate) certificate: Option<Certificate>,
    /// The one with an RSA key.
    pub(crate) rsa_certificate: Option<Certificate>,
    /// When a request was made that waits to be signed.
    pub(crate) request_at: Option<String>,
    pub(crate) order: Option<Order>,
    pub(crate) failure: Option<Failure>,
    /// How its traffic is served, and whence each setting is; only of a hostname that is
    /// shown alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) traffic: Vec<Setting>,
    pub(crate) revision: u64,
    pub(crate) serving: Vec<Serving>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Order {
    pub(crate) id: u64,
    /// admitted, prepared, ready-intent or finalize-intent.
    pub(crate) stage: String,
    pub(crate) since: Option<String>,
    pub(crate) url: String,
    pub(crate) attempt: u32,
    /// At which CA.
    pub(crate) ca: String,
    /// What it is counted as: new, renewal, urgent or exempt.
    pub(crate) budget: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Failure {
    /// challenge, rejected, rate-limited, unavailable, unusable, preflight or paused.
    pub(crate) class: String,
    pub(crate) reason: String,
    pub(crate) count: u32,
    pub(crate) at: Option<String>,
    pub(crate) next_try: Option<String>,
    /// When the first of them in a row was.
    pub(crate) since: Option<String>,
    /// It failed too often.
    pub(crate) parked: bool,
}

/// Whether a member serves what is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Serving {
    /// The member's id.
    pub(crate) member: String,
    pub(crate) node: String,
    pub(crate) current: bool,
    /// Absent if it was never heard.
    pub(crate) silent_seconds: Option<u64>,
}

impl From<wire::Hostname> for Hostname {
    fn from(wire: wire::Hostname) -> Self {
        let zone = wire.zone_traffic.as_ref();
        let traffic = zone.map(|zone| settings(wire.traffic.as_ref(), zone));
        Self {
            traffic: traffic.unwrap_or_default(),
            state: state(wire.state()),
            hostname: id(&wire.name).to_owned(),
            authorized_at: moment(wire.authorized_at.as_ref()),
            authorized_by: wire.authorized_by,
            tenant: wire.tenant,
            wants: Wants::from(wire.wants.unwrap_or_default()),
            ownership: wire.ownership.map(Ownership::from),
            contest: wire.contest.map(Contest::from),
            certificate: wire.certificate.map(Certificate::from),
            rsa_certificate: wire.rsa_certificate.map(Certificate::from),
            request_at: moment(wire.request.and_then(|it| it.created_at).as_ref()),
            order: wire.order.map(Order::from),
            failure: wire.failure.map(Failure::from),
            revision: wire.revision,
            serving: wire.serving.into_iter().map(Serving::from).collect(),
        }
    }
}

impl From<wire::Order> for Order {
    fn from(wire: wire::Order) -> Self {
        Self {
            since: moment(wire.since.as_ref()),
            id: wire.id,
            stage: wire.stage,
            ca: id(&wire.ca).to_owned(),
            url: wire.url,
            attempt: wire.attempt,
            budget: wire.budget,
        }
    }
}

impl From<wire::Failure> for Failure {
    fn from(wire: wire::Failure) -> Self {
        Self {
            at: moment(wire.at.as_ref()),
            next_try: moment(wire.next_try.as_ref()),
            since: moment(wire.since.as_ref()),
            class: wire.class,
            reason: wire.reason,
            count: wire.count,
            parked: wire.parked,
        }
    }
}

impl From<wire::NodeServing> for Serving {
    fn from(wire: wire::NodeServing) -> Self {
        Self {
            member: id(&wire.member).to_owned(),
            node: wire.node_name,
            current: wire.current,
            silent_seconds: wire.silent_seconds,
        }
    }
}

fn state(state: wire::HostnameState) -> &'static str {
    match state {
        wire::HostnameState::Unspecified => "unknown",
        wire::HostnameState::Pending => "pending",
        wire::HostnameState::Issuing => "issuing",
        wire::HostnameState::Live => "live",
        wire::HostnameState::Renewing => "renewing",
        wire::HostnameState::Failed => "failed",
        wire::HostnameState::Unproven => "unproven",
        wire::HostnameState::Parked => "parked",
    }
}

impl Hostname {
    /// It has a valid certificate.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.state, "live" | "renewing")
    }

    /// It has none, and the last attempt failed.
    pub(crate) fn is_failed(&self) -> bool {
        matches!(self.state, "failed" | "parked")
    }

    /// The same but for how long nodes have been silent.
    pub(crate) fn is_still(&self, other: &Self) -> bool {
        let silenced = |hostname: &Self| {
            let mut hostname = hostname.clone();
            for node in &mut hostname.serving {
                node.silent_seconds = None;
            }
            hostname
        };
        silenced(self) == silenced(other)
    }

    /// Every node serves what is shown.
    pub(crate) fn is_everywhere(&self) -> bool {
        self.serving.iter().all(|node| node.current)
    }

    /// The columns of a listing.
    fn row(&self) -> Vec<String> {
        let certificate = self.certificate.as_ref().or(self.rsa_certificate.as_ref());
        vec![
            self.hostname.clone(),
            self.tenant.clone(),
            self.state.to_owned(),
            certificate
                .map(|certificate| certificate.issuer.clone())
                .unwrap_or_default(),
            certificate
                .and_then(|certificate| certificate.not_after.clone())
                .unwrap_or_default(),
            served(&self.serving),
            self.trouble(),
        ]
    }

    fn trouble(&self) -> String {
        match (&self.failure, &self.order) {
            (_, Some(order)) => format!("order {} is {}", order.id, order.stage),
            (Some(failure), None) => failure.reason.clone(),
            (None, None) => String::new(),
        }
    }
}

/// `2 of 3`.
fn served(serving: &[Serving]) -> String {
    let current = serving.iter().filter(|node| node.current).count();
    format!("{current} of {}", serving.len())
}

/// Which nodes do not serve it, and for how long they have been silent.
fn behind(serving: &[Serving]) -> String {
    let one = |node: &Serving| match node.silent_seconds {
        None => format!("{} was never heard", node.node),
        Some(0..=2) => format!("{} is behind", node.node),
        Some(silent) => format!("{} is silent for {silent} s", node.node),
    };
    let behind: Vec<String> = serving
        .iter()
        .filter(|node| !node.current)
        .map(one)
        .collect();
    behind.join(", ")
}

impl Shape for Hostname {
    fn table(&self) -> String {
        let mut said = vec![
            ("hostname", self.hostname.clone()),
            ("state", self.state.to_owned()),
            (
                "authorized",
                format!(
                    "{} by {}",
                    self.authorized_at.as_deref().unwrap_or("-"),
                    self.authorized_by
                ),
            ),
        ];
        said.push(("tenant", self.tenant.clone()));
        said.push(("wants", self.wants.text()));
        if let Some(ownership) = &self.ownership {
            said.extend(ownership.pairs());
        }
        for certificate in [&self.certificate, &self.rsa_certificate]
            .into_iter()
            .flatten()
        {
            let moment = |at: &Option<String>| at.clone().unwrap_or_default();
            let from = match certificate.source.as_str() {
                "uploaded" => ", uploaded".to_owned(),
                ca => format!(" from {ca}"),
            };
            let key = format!("{}{from}", certificate.algorithm);
            said.push(("certificate", key));
            said.push(("issuer", certificate.issuer.clone()));
            said.push(("serial", certificate.serial.clone()));
            said.push(("not after", moment(&certificate.not_after)));
            said.push(("renew at", moment(&certificate.renew_at)));
            if let Some(window) = &certificate.window {
                let (start, end) = (moment(&window.start), moment(&window.end));
                said.push(("ca's window", format!("{start} to {end}")));
            }
        }
        said.push(("request made", self.request_at.clone().unwrap_or_default()));
        if let Some(order) = &self.order {
            let since = order.since.as_deref().unwrap_or("-");
            let text = format!(
                "{}, attempt {}, {} since {since}",
                order.id, order.attempt, order.stage
            );
            said.push(("order", text));
            said.push(("order url", order.url.clone()));
        }
        if let Some(failure) = &self.failure {
            said.push(("failure", failure.reason.clone()));
            let parked = if failure.parked { ", parked" } else { "" };
            said.push(("failures", format!("{}{parked}", failure.count)));
            said.push(("next try", failure.next_try.clone().unwrap_or_default()));
        }
        if let Some(contest) = &self.contest {
            let text = format!(
                "by tenant {}, until {}; token {}",
                contest.tenant,
                contest.ends_at.as_deref().unwrap_or("-"),
                contest.token
            );
            said.push(("contested", text));
            said.push(("contest fault", contest.fault.clone()));
        }
        said.extend(lines(&self.traffic));
        said.push(("served by", served(&self.serving)));
        said.push(("not by", behind(&self.serving)));
        said.push(("revision", self.revision.to_string()));
        pairs(said)
    }
}

/// A hostname as one line of what happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Happening(pub(crate) Hostname);

impl Shape for Happening {
    fn table(&self) -> String {
        let Hostname {
            hostname,
            state,
            revision,
            ..
        } = &self.0;
        let served = served(&self.0.serving);
        let mut line = format!("{hostname}  {state}  served by {served}  revision {revision}");
        let trouble = self.0.trouble();
        if !trouble.is_empty() {
            line.push_str("  ");
            line.push_str(&trouble);
        }
        clean(&line)
    }
}

/// Many hostnames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Hostnames {
    pub(crate) hostnames: Vec<Hostname>,
    /// All in the cluster, whatever was asked for; absent where it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) total: Option<u64>,
}

impl Shape for Hostnames {
    fn table(&self) -> String {
        let header = [
            "hostname",
            "tenant",
            "state",
            "issuer",
            "not after",
            "served by",
            "",
        ];
        rows(&header, self.hostnames.iter().map(Hostname::row).collect())
    }
}

/// Why a hostname is as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Explanation {
    pub(crate) hostname: Option<Hostname>,
    pub(crate) summary: String,
    pub(crate) next_try: Option<String>,
    /// Oldest first.
    pub(crate) timeline: Vec<Event>,
    /// Why there is no timeline; empty if there is one.
    pub(crate) timeline_fault: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Event {
    pub(crate) at: Option<String>,
    pub(crate) kind: String,
    pub(crate) detail: String,
}

impl From<wire::Explanation> for Explanation {
    fn from(wire: wire::Explanation) -> Self {
        let event = |event: wire::TimelineEvent| Event {
            at: moment(event.at.as_ref()),
            kind: event.kind,
            detail: event.detail,
        };
        Self {
            next_try: moment(wire.next_try.as_ref()),
            hostname: wire.hostname.map(Hostname::from),
            summary: wire.summary,
            timeline: wire.timeline.into_iter().map(event).collect(),
            timeline_fault: wire.timeline_fault,
        }
    }
}

impl Shape for Explanation {
    fn table(&self) -> String {
        let mut text = clean(&self.summary);
        if let Some(next) = &self.next_try {
            text.push_str(&format!("\n\nnext try: {next}"));
        }
        text.push_str("\n\n");
        if self.timeline_fault.is_empty() {
            let row = |event: &Event| {
                let at = event.at.clone().unwrap_or_default();
                vec![at, event.kind.clone(), event.detail.clone()]
            };
            let timeline = self.timeline.iter().map(row).collect();
            text.push_str(&rows(&["at", "what", ""], timeline));
        } else {
            let fault = clean(&self.timeline_fault);
            text.push_str(&format!("the timeline could not be read: {fault}"));
        }
        text
    }
}

/// A hostname that was withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Removed {
    pub(crate) hostname: String,
    /// The log index of the change.
    pub(crate) index: u64,
    /// Which nodes have applied it.
    pub(crate) serving: Vec<Serving>,
}

impl Shape for Removed {
    fn table(&self) -> String {
        let mut text = format!(
            "{} was removed at index {}, applied on {} nodes",
            self.hostname,
            self.index,
            served(&self.serving)
        );
        let behind = behind(&self.serving);
        if !behind.is_empty() {
            text.push_str("; ");
            text.push_str(&clean(&behind));
        }
        text
    }
}
