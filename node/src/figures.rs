//! What each room counted, as metrics; and what the leader is at, as sentences.

mod issuance;

use leader::{
    metrics::{CLASSES, STAGES},
    status::Status,
};
use state::{Timestamp, ports::ServingSet as _};

use crate::{
    metrics::{Metrics, Sample},
    services::{Open, leads},
    telemetry,
    wiring::Rooms,
};

/// Every room's figures.
pub(crate) fn all(rooms: &Rooms, open: &Open) -> Metrics {
    let mut metrics = Metrics::default();
    metrics.add(|| {
        let version = env!("CARGO_PKG_VERSION");
        vec![
            Sample::gauge("build", "The running program", 1.0).labelled("version", version),
            Sample::counter(
                "log_lines_lost",
                "Lines of the log that standard error did not take",
                float(telemetry::lost()),
            ),
        ]
    });
    let (replica, clock) = (rooms.replica.clone(), rooms.clock.clone());
    metrics.add(move || consensus_figures(&replica, clock.now()));
    let edge = open.edge.clone();
    metrics.add(move || {
        edge.metrics()
            .map(|snapshot| edge_figures(&snapshot))
            .unwrap_or_default()
    });
    let edge = open.edge.clone();
    metrics.add(move || {
        let lost = edge.access_log_lost().map(|lost| {
            Sample::counter(
                "access_log_lost",
                "Lines of the access log that could not be written",
                float(lost),
            )
        });
        lost.into_iter().collect()
    });
    let (hostnames, top) = (open.edge.hostnames().clone(), open.top);
    metrics.add(move || hostname_figures(&hostnames, top));
    let edge = open.edge.clone();
    metrics.add(move || {
        edge.dns_metrics()
            .map(|snapshot| rendered("dns", snapshot.figures()))
            .unwrap_or_default()
    });
    let edge = open.edge.clone();
    metrics.add(move || {
        edge.on_demand_metrics()
            .map(|snapshot| rendered("ask", snapshot.figures()))
            .unwrap_or_default()
    });
    let leader = open.leader.clone();
    metrics.add(move || leader_figures(&leader.metrics()));
    let (leader, replica, clock) = (
        open.leader.clone(),
        rooms.replica.clone(),
        rooms.clock.clone(),
    );
    metrics.add(move || {
        let state = replica.state().borrow().clone();
        issuance::issuance_figures(&leader.status(), &state, clock.now())
    });
    let serving = open.serving.clone();
    metrics.add(move || {
        let silent = |report: &state::ports::NodeReport| {
            Sample::gauge(
                "member_silent_seconds",
                "Time since a member was last heard of",
                report.silent.as_secs_f64(),
            )
            .labelled("member", report.node.to_string())
        };
        serving.reports().iter().map(silent).collect()
    });
    metrics
}

/// Counters and positions fit a double for longer than any machine runs.
#[expect(
    clippy::cast_precision_loss,
    reason = "figures for people, exact to 2^53"
)]
fn float(value: u64) -> f64 {
    value as f64
}

fn consensus_figures(replica: &consensus::Replica, now: Timestamp) -> Vec<Sample> {
    let figures = replica.figures();
    let state = replica.state().borrow().clone();
    let halted = replica.halted().borrow().is_some();
    let flag = |set: bool| if set { 1.0 } else { 0.0 };
    let mut samples = vec![
        Sample::gauge("leader", "1 if this node leads", flag(leads(replica))),
        Sample::gauge(
            "quorum",
            "1 if this node leads and a majority answered within 2 s",
            flag(figures.quorum),
        ),
        Sample::gauge(
            "replica_halted",
            "1 if this node's replica has stopped",
            flag(halted),
        ),
        Sample::counter(
            "replica_reopened",
            "Times that this node's replica ran again by itself after its disk had failed",
            float(figures.reopened),
        ),
        Sample::counter(
            "bodies_borrowed",
            "Certificates and events read from other members, because the own store could not be",
            float(figures.borrowed),
        ),
        Sample::gauge(
            "log_last_index",
            "The last entry of the log",
            float(figures.last_log),
        ),
        Sample::gauge(
            "log_applied_index",
            "The last entry applied",
            float(figures.applied),
        ),
        Sample::gauge(
            "log_snapshot_index",
            "The last entry in the snapshot",
            float(figures.snapshot),
        ),
        Sample::gauge(
            "hostnames",
            "Authorized hostnames",
            float(state.hostname_count() as u64),
        ),
        Sample::gauge(
            "orders_in_flight",
            "Orders in flight",
            float(state.order_count() as u64),
        ),
        Sample::gauge(
            "certificates_due",
            "Hostnames that are due for an order",
            float(due(&state, now)),
        ),
        Sample::gauge(
            "issuance_paused",
            "1 while an operator has paused issuance",
            flag(state.pause().is_some()),
        ),
    ];
    let members = state.members().count() as u64;
    samples.push(Sample::gauge(
        "members",
        "Members of the cluster",
        float(members),
    ));
    samples
}

fn due(state: &state::State, now: Timestamp) -> u64 {
    state
        .due(now)
        .filter(|(_, due)| matches!(due, state::Due::Order(..)))
        .count() as u64
}

fn edge_figures(snapshot: &edge::Snapshot) -> Vec<Sample> {
    let mut samples = rendered("edge", snapshot.figures());
    samples.extend(snapshot.reasons.iter().map(|(reason, count)| {
        Sample::counter(
            "edge_answers",
            "Requests answered by the node itself, by reason",
            float(*count),
        )
        .labelled("reason", *reason)
    }));
    samples
}

/// The sums of hostnames: of a few by name, and of none where there is no end of them.
fn hostname_figures(hostnames: &edge::Hostnames, top: usize) -> Vec<Sample> {
    let mut samples = vec![
        Sample::gauge(
            "hostnames_counted",
            "Hostnames whose requests are added up for each of them",
            float(hostnames.count() as u64),
        ),
        Sample::counter(
            "hostnames_uncounted_requests",
            "Requests of hostnames that there was no room to count apart",
            float(hostnames.others().requests()),
        ),
    ];
    let top = hostnames.top(top, edge::Totals::requests);
    let mut tell = |name: &str, help: &str, figure: fn(&edge::Totals) -> u64| {
        samples.extend(top.iter().map(|(hostname, totals)| {
            Sample::counter(name, help, float(figure(totals))).labelled("hostname", &**hostname)
        }));
    };
    tell(
        "top_hostname_requests",
        "Requests of the hostnames that have the most",
        edge::Totals::requests,
    );
    tell(
        "top_hostname_faults",
        "Those of them that were answered with 5xx",
        |totals| totals.classes[5],
    );
    tell(
        "top_hostname_bytes_in",
        "Bytes of bodies that their clients sent",
        |totals| totals.bytes_in,
    );
    tell(
        "top_hostname_bytes_out",
        "Bytes of bodies that their clients were sent",
        |totals| totals.bytes_out,
    );
    samples
}

fn rendered(prefix: &str, figures: Vec<edge::Figure>) -> Vec<Sample> {
    let sample = |figure: edge::Figure| {
        let name = format!("{prefix}_{}", figure.name);
        let help = figure.help.trim_end_matches('.');
        match figure.kind {
            edge::Kind::Counter => Sample::counter(&name, help, float(figure.value)),
            edge::Kind::Gauge => Sample::gauge(&name, help, float(figure.value)),
        }
    };
    figures.into_iter().map(sample).collect()
}

fn leader_figures(snapshot: &leader::metrics::Snapshot) -> Vec<Sample> {
    let mut samples = vec![
        Sample::counter(
            "takeovers",
            "Terms in which this node took over",
            float(snapshot.takeovers),
        ),
        Sample::counter(
            "orders_admitted",
            "Orders begun by this node",
            float(snapshot.admitted),
        ),
        Sample::counter(
            "orders_resumed",
            "Orders of earlier leaders taken up",
            float(snapshot.resumed),
        ),
        Sample::counter(
            "certificates_installed",
            "Certificates installed by this node",
            float(snapshot.installed),
        ),
        Sample::counter(
            "possible_duplicates",
            "Orders lost after their finalization was intended",
            float(snapshot.possible_duplicates),
        ),
        Sample::counter(
            "silent_at_barrier",
            "Members that had not said in time that they answer a challenge",
            float(snapshot.silent_at_barrier),
        ),
        Sample::counter(
            "ca_outages",
            "Faults of the CA or of the road to it",
            float(snapshot.outages),
        ),
        Sample::counter(
            "requests_fenced",
            "Requests held back because this node might lead no more",
            float(snapshot.fenced),
        ),
        Sample::counter(
            "renewal_answers",
            "Answers of CAs when to renew a certificate",
            float(snapshot.polled),
        ),
        Sample::counter(
            "renewal_questions_unanswered",
            "Questions when to renew a certificate that a CA did not answer",
            float(snapshot.unanswered),
        ),
        Sample::counter(
            "renewals_rescheduled",
            "Renewals set to another moment",
            float(snapshot.rescheduled),
        ),
        Sample::counter(
            "certificates_revoked",
            "Certificates revoked by this node",
            float(snapshot.revoked),
        ),
        Sample::counter(
            "looks",
            "Looks at hostnames' records, at claims and before orders",
            float(snapshot.looks),
        ),
        Sample::counter(
            "orders_deferred",
            "Orders not begun because they would have failed",
            float(snapshot.deferred),
        ),
        Sample::counter(
            "proofs_lapsed",
            "Proofs that held no more before a renewal",
            float(snapshot.lapsed),
        ),
    ];
    samples.extend(CLASSES.iter().zip(snapshot.failed).map(|(class, count)| {
        Sample::counter(
            "orders_failed",
            "Orders that came to nothing, by class",
            float(count),
        )
        .labelled("class", class.as_str())
    }));
    samples.extend(
        STAGES
            .iter()
            .zip(snapshot.stages)
            .map(|(stage, (_, time))| {
                Sample::counter(
                    "order_stage_seconds",
                    "Time that orders spent in each stage",
                    time.as_secs_f64(),
                )
                .labelled("stage", *stage)
            }),
    );
    samples
}

/// Most sentences told of orders in hand.
const TOLD_MAX: usize = 20;

/// What the leader is at, a sentence each.
pub(crate) fn progress(status: &Status) -> Vec<String> {
    let mut told = Vec::new();
    if let Some(pause) = &status.pause {
        told.push(format!("the CA is left alone: {}", pause.reason));
    }
    if let Some(clock) = &status.clock {
        told.push(clock.clone());
    }
    for (duty, at) in &status.duties {
        if let Some(error) = &at.error {
            told.push(format!("{}: {error}", duty.as_str()));
        }
        told.extend(
            at.doing
                .iter()
                .map(|doing| format!("{}: {doing}", duty.as_str())),
        );
    }
    for (hostname, order) in status.orders.iter().take(TOLD_MAX) {
        let error = order
            .error
            .as_ref()
            .map(|error| format!(" ({error})"))
            .unwrap_or_default();
        told.push(format!("{hostname}: {}{error}", order.doing));
    }
    told
}
