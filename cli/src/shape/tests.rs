//! What is shown, held by files under `snapshots`: a program may read these, so a
//! change is a decision. `HOSTQUORUM_REGENERATE=1 cargo test -p cli` writes them
//! anew.

mod backup;
mod check;
mod issuance;
mod stats;
mod traffic;

use std::{
    cell::RefCell,
    fs,
    io::{self, Write},
    path::Path,
    rc::Rc,
};

use proto::admin::v1 as wire;

use super::{
    cluster::{Issuance, Leaving, Members, Status, Transferred},
    context::{Context, Contexts, Entered},
    hostname::{Explanation, Happening, Hostname, Hostnames, Removed, Serving},
    invitation::{Invitation, Invitations, Made, Revoked},
    origin::Origin,
    rotation::Rotated,
    upgrade::UpgradeCheck,
};
use crate::{
    arguments::Format,
    output::{Output, Shape},
};

/// Keeps what is written.
#[derive(Clone, Default)]
struct Kept(Rc<RefCell<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn shown(shape: &impl Shape, format: Format) -> String {
    let kept = Kept::default();
    let mut output = Output::new(format, Box::new(kept.clone()));
    output.show(shape).unwrap();
    String::from_utf8(kept.0.take()).unwrap()
}

/// Holds a shape to its three files.
#[track_caller]
fn check(name: &str, shape: &impl Shape) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/shape/snapshots");
    let regenerate = std::env::vars().any(|(name, _)| name == "HOSTQUORUM_REGENERATE");
    for (format, ending) in [
        (Format::Table, "txt"),
        (Format::Json, "json"),
        (Format::Yaml, "yaml"),
    ] {
        let file = folder.join(format!("{name}.{ending}"));
        let new = shown(shape, format);
        if regenerate {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&file, &new).unwrap();
        }
        let kept = fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(new, kept, "{name} as {ending}");
    }
}

fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    let seconds = 1_767_225_600 + seconds;
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

fn serving(id: u64, current: bool, silent_seconds: Option<u64>) -> wire::NodeServing {
    wire::NodeServing {
        member: format!("members/{id}"),
        node_name: format!("node-{id}"),
        current,
        silent_seconds,
    }
}

fn live() -> wire::Hostname {
    wire::Hostname {
        name: "hostnames/shop.client.example".to_owned(),
        state: wire::HostnameState::Live.into(),
        authorized_at: at(0),
        authorized_by: "operator:alice".to_owned(),
        tenant: "acme".to_owned(),
        wants: Some(wire::Wants::default()),
        ownership: Some(wire::Ownership {
            standing: "vouched".to_owned(),
            since: at(0),
            token: "04g2081040g2081040g2081040".to_owned(),
            ..Default::default()
        }),
        certificate: Some(wire::Certificate {
            id: "ab".repeat(32),
            serial: "0a1b2c3d4e5f".to_owned(),
            issuer: "Test CA R1".to_owned(),
            not_before: at(-3600),
            not_after: at(90 * 86_400),
            renew_at: at(60 * 86_400),
            name: format!("certificates/{}", "ab".repeat(32)),
            hostname: "hostnames/shop.client.example".to_owned(),
            algorithm: wire::KeyAlgorithm::Ecdsa.into(),
            ca: "cas/letsencrypt".to_owned(),
            served: true,
            ..Default::default()
        }),
        order: None,
        failure: None,
        revision: 42,
        serving: vec![
            serving(1, true, Some(0)),
            serving(2, true, Some(1)),
            serving(3, true, Some(0)),
        ],
        ..Default::default()
    }
}

fn issuing() -> wire::Hostname {
    wire::Hostname {
        name: "hostnames/new.client.example".to_owned(),
        state: wire::HostnameState::Issuing.into(),
        certificate: None,
        order: Some(wire::Order {
            id: 7,
            stage: "ready-intent".to_owned(),
            since: at(5),
            url: "https://ca.example/order/7".to_owned(),
            attempt: 2,
            ca: "cas/letsencrypt".to_owned(),
            algorithm: wire::KeyAlgorithm::Ecdsa.into(),
            budget: "new".to_owned(),
        }),
        ..live()
    }
}

fn failed() -> wire::Hostname {
    wire::Hostname {
        name: "hostnames/bad.client.example".to_owned(),
        state: wire::HostnameState::Failed.into(),
        certificate: None,
        failure: Some(wire::Failure {
            reason: "challenge: connection refused\u{1b}[2J".to_owned(),
            count: 3,
            at: at(60),
            next_try: at(360),
            class: "challenge".to_owned(),
            since: at(30),
            parked: false,
        }),
        serving: vec![
            serving(1, true, Some(0)),
            serving(2, false, Some(1)),
            serving(3, false, Some(65)),
            serving(4, false, None),
        ],
        ..live()
    }
}

fn member(id: u64, standing: &str) -> wire::Member {
    wire::Member {
        name: format!("members/{id}"),
        node_name: format!("node-{id}"),
        peer_address: format!("10.0.0.{id}:7443"),
        admin_address: format!("10.0.0.{id}:7444"),
        standing: standing.to_owned(),
        leader: id == 2,
        report: Some(wire::Report {
            published_index: 100 + id,
            clock_offset_ms: 3 - i64::try_from(id).unwrap(),
            version: "0.1.0".to_owned(),
            faults: if id == 3 {
                vec!["the disk is slow".to_owned()]
            } else {
                Vec::new()
            },
            draining: false,
            silent_ms: 120,
            feature_level: 2,
        }),
        joined_at: at(0),
        certificate_not_after: at(7 * 86_400),
    }
}

/// A voter that is well.
fn sound(id: u64) -> wire::Member {
    let mut member = member(id, "voting");
    if let Some(report) = &mut member.report {
        report.faults = Vec::new();
    }
    member
}

fn members() -> Vec<wire::Member> {
    let unheard = wire::Member {
        report: None,
        ..member(4, "admitted")
    };
    let mut silent = member(5, "voting");
    if let Some(report) = &mut silent.report {
        report.silent_ms = 6014;
    }
    vec![
        member(1, "voting"),
        member(2, "voting"),
        member(3, "leaving"),
        unheard,
        silent,
    ]
}

fn status(quorum: bool) -> wire::ClusterStatus {
    wire::ClusterStatus {
        cluster_id: "07".repeat(16),
        member: "members/1".to_owned(),
        node_name: "node-1".to_owned(),
        version: "0.1.0".to_owned(),
        term: 9,
        leader: if quorum { "members/2" } else { "" }.to_owned(),
        quorum,
        applied_index: 120,
        published_index: 118,
        replica_fault: if quorum {
            ""
        } else {
            "no space left on device"
        }
        .to_owned(),
        hostnames: Some(wire::Counts {
            total: 3,
            live: 1,
            orders_in_flight: 1,
            failing: 1,
        }),
        acme: Some(wire::Acme {
            directory: "https://ca.example/directory".to_owned(),
            account_state: "registered".to_owned(),
            account_url: "https://ca.example/account/1".to_owned(),
            contacts: vec!["mailto:ops@saas.example".to_owned()],
            progress: vec!["bad.client.example: waits until 00:06".to_owned()],
        }),
        members: members(),
        warnings: if quorum {
            vec!["the uploaded certificate of b.example ends soon".to_owned()]
        } else {
            Vec::new()
        },
        issuance_pause: (!quorum).then(|| wire::IssuancePause {
            by: "operator:alice".to_owned(),
            reason: "the CA asked for it".to_owned(),
            since: at(60),
        }),
        restored: (!quorum).then(|| wire::Restored {
            cluster_id: "01".repeat(16),
            taken_at: at(30),
            progress: "quarantined".to_owned(),
        }),
        cas: vec![
            ca_status("letsencrypt", "registered", ""),
            ca_status("zerossl", "none", "503 Service Unavailable"),
        ],
        data_keys: if quorum {
            vec![data_key("serving", 1), data_key("control", 1)]
        } else {
            vec![
                data_key("serving", 1),
                data_key("serving", 2),
                data_key("control", 1),
            ]
        },
        secrets_to_reseal: if quorum { 0 } else { 12_345 },
        issuing_ca_not_after: at(31_536_000),
        feature_level: if quorum { 2 } else { 1 },
    }
}

fn data_key(purpose: &str, generation: u32) -> wire::DataKey {
    wire::DataKey {
        purpose: purpose.to_owned(),
        generation,
        created_at: at(0),
    }
}

fn ca_status(name: &str, registration: &str, pause: &str) -> wire::CaStatus {
    wire::CaStatus {
        name: format!("cas/{name}"),
        registration: registration.to_owned(),
        pause: pause.to_owned(),
    }
}

fn invitation(id: u64, role: wire::Role, state: &str, redeemed_by: &str) -> wire::Invitation {
    wire::Invitation {
        name: format!("invitations/{id}"),
        role: role.into(),
        created_at: at(0),
        expires_at: at(900),
        created_by: "operator:alice".to_owned(),
        state: state.to_owned(),
        redeemed_by: redeemed_by.to_owned(),
    }
}

fn context(name: &str, current: bool) -> Context {
    Context {
        name: name.to_owned(),
        current,
        file: format!("/home/alice/.config/hostquorum/contexts/{name}.toml"),
        cluster_id: "07".repeat(16),
        operator: "alice".to_owned(),
        role: "admin".to_owned(),
        addresses: vec!["10.0.0.1:7444".to_owned(), "10.0.0.2:7444".to_owned()],
        not_after: super::moment(at(90 * 86_400).as_ref()),
        fault: String::new(),
    }
}

#[test]
fn hostnames() {
    check("hostname-live", &Hostname::from(live()));
    check("hostname-issuing", &Hostname::from(issuing()));
    check("hostname-failed", &Hostname::from(failed()));
    let hostnames = [live(), issuing(), failed()].map(Hostname::from).to_vec();
    let total = Some(3);
    check("hostnames", &Hostnames { hostnames, total });
    let removed = Removed {
        hostname: "bad.client.example".to_owned(),
        index: 50,
        serving: failed().serving.into_iter().map(Serving::from).collect(),
    };
    check("hostname-removed", &removed);
    check("hostname-happening", &Happening(issuing().into()));
}

#[test]
fn no_hostname_at_all() {
    let empty = Hostnames {
        hostnames: Vec::new(),
        total: Some(0),
    };
    check("hostnames-none", &empty);
}

#[test]
fn explanations() {
    let event = |seconds, kind: &str, detail: &str| wire::TimelineEvent {
        at: at(seconds),
        kind: kind.to_owned(),
        detail: detail.to_owned(),
    };
    let explanation = wire::Explanation {
        hostname: Some(failed()),
        summary: "bad.client.example is not live: it was authorized 2 min ago.".to_owned(),
        next_try: at(360),
        timeline: vec![
            event(0, "authorized", "operator:alice"),
            event(1, "order-admitted", "order 7, attempt 3"),
            event(60, "order-failed", "challenge: connection refused"),
        ],
        timeline_fault: String::new(),
    };
    check("explanation", &Explanation::from(explanation.clone()));
    let blind = wire::Explanation {
        timeline: Vec::new(),
        timeline_fault: "this node's disk does not answer".to_owned(),
        next_try: None,
        ..explanation
    };
    check("explanation-blind", &Explanation::from(blind));
}

#[test]
fn the_cluster() {
    check("status-good", &Status::from(status(true)));
    check("status-bad", &Status::from(status(false)));
    let sound = wire::ClusterStatus {
        members: (1..=3).map(sound).collect(),
        ..status(true)
    };
    check("upgrade-ready", &UpgradeCheck::of(&Status::from(sound)));
    check(
        "upgrade-not-now",
        &UpgradeCheck::of(&Status::from(status(false))),
    );
    assert!(Status::from(status(true)).is_good());
    assert!(!Status::from(status(false)).is_good());
    let members = members().into_iter().map(Into::into).collect();
    check("members", &Members { members });
    let leader = "2".to_owned();
    check("transferred", &Transferred { leader });
    for (name, paused) in [("paused", true), ("resumed", false)] {
        check(name, &Issuance { paused, index: 77 });
    }
    for (name, done) in [("rotating", false), ("rotated", true)] {
        let what = ["serving-key", "issuing-ca"].map(str::to_owned).to_vec();
        let index = 77;
        check(name, &Rotated { what, index, done });
    }
    for (name, gone) in [("leaving", false), ("gone", true)] {
        let member = "3".to_owned();
        check(
            name,
            &Leaving {
                member,
                index: 77,
                gone,
            },
        );
    }
}

#[test]
fn origins() {
    let set = wire::Zone {
        name: "zones/default".to_owned(),
        origin: Some(wire::Origin {
            url: "http://app:8080".to_owned(),
            protocol: wire::OriginProtocol::Http2.into(),
        }),
        revision: 12,
        ..Default::default()
    };
    check("origin", &Origin::from(set.clone()));
    let none = wire::Zone {
        origin: None,
        ..set
    };
    check("origin-none", &Origin::from(none));
}

#[test]
fn invitations() {
    let all = [
        invitation(1, wire::Role::Node, "spent", "members/2"),
        invitation(2, wire::Role::Viewer, "open", ""),
    ];
    let invitations = all.clone().map(Invitation::from).to_vec();
    check("invitations", &Invitations { invitations });
    let [_, open] = all.map(Invitation::from);
    let made = Made {
        invitation: Some(open),
        token: Some("hq1.x".to_owned()),
        file: None,
    };
    check("token", &made);
    assert!(!format!("{made:?}").contains("hq1"));
    let written = Made {
        token: None,
        file: Some("token.txt".to_owned()),
        ..made
    };
    check("token-written", &written);
    let id = "2".to_owned();
    check("revoked", &Revoked { id, index: 80 });
}

#[test]
fn contexts() {
    check("context", &context("prod", true));
    let broken = Context {
        fault: "open to others (mode 644)".to_owned(),
        cluster_id: String::new(),
        operator: String::new(),
        role: String::new(),
        not_after: None,
        ..context("old", false)
    };
    let contexts = vec![context("prod", true), broken];
    check("contexts", &Contexts { contexts });
    for (name, formed) in [("formed", true), ("entered", false)] {
        let context = context("prod", true);
        check(name, &Entered { context, formed });
    }
}

#[test]
fn many_answers_are_lines_of_json_and_documents_of_yaml() {
    let kept = Kept::default();
    for format in [Format::Json, Format::Yaml] {
        let mut output = Output::new(format, Box::new(kept.clone()));
        for _ in 0..2 {
            output
                .show_next(&Transferred {
                    leader: "2".to_owned(),
                })
                .unwrap();
        }
    }
    let text = String::from_utf8(kept.0.take()).unwrap();
    assert_eq!(
        text,
        "{\"leader\":\"2\"}\n{\"leader\":\"2\"}\n---\nleader: '2'\n---\nleader: '2'\n"
    );
}
