//! The arrows between our crates, and what must not come near some of them.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Package};

use crate::{none, tree};

/// Whom each of our crates may use. `state` is what all agree on; its five
/// neighbours meet as values in `node` and do not know each other.
const ARROWS: [(&str, &[&str]); 21] = [
    ("state", &[]),
    ("proto", &[]),
    ("devca", &[]),
    ("backup", &["proto"]),
    ("manual", &[]),
    ("enroll", &["proto"]),
    ("consensus", &["state", "proto"]),
    ("leader", &["state"]),
    ("edge", &["state"]),
    ("cluster", &["state", "proto", "enroll"]),
    ("admin", &["state", "proto"]),
    ("aws", &["cluster", "proto", "state"]),
    (
        "node",
        &[
            "admin",
            "aws",
            "backup",
            "cluster",
            "consensus",
            "devca",
            "edge",
            "enroll",
            "leader",
            "manual",
            "proto",
            "state",
        ],
    ),
    ("cli", &["proto", "backup", "enroll", "manual"]),
    (
        "simulation",
        &["state", "consensus", "leader", "cluster", "edge", "devca"],
    ),
    ("harness", &["node", "proto", "enroll", "devca", "state"]),
    (
        "e2e",
        &["harness", "node", "proto", "enroll", "devca", "state"],
    ),
    (
        "fuzz",
        &[
            "admin",
            "consensus",
            "edge",
            "enroll",
            "leader",
            "proto",
            "state",
        ],
    ),
    ("bench", &[]),
    ("moto", &[]),
    ("tidy", &[]),
];

/// What the tests of all may use besides: CAs, clusters and builders for them, and what there is
/// of AWS without AWS.
const TESTS_MAY: [&str; 4] = ["devca", "harness", "moto", "state"];

/// What the tests of one may use: the real thing at the other end.
const ITS_TESTS_MAY: [(&str, &str); 3] = [("admin", "admin"), ("cli", "admin"), ("e2e", "cluster")];

/// Crates of others that would break the promise of one of ours, with the promise.
const NEVER: [(&str, &[&str], &str); 8] = [
    (
        "state",
        &[
            "tokio",
            "tonic",
            "hyper",
            "rustls",
            "openraft",
            "sled",
            "redb",
            "rand",
            "getrandom",
            "time",
            "tracing",
        ],
        "a function of its commands: no runtime, clock, chance or I/O",
    ),
    (
        "leader",
        &["openraft", "sled", "redb", "tonic"],
        "acts on what is agreed, however",
    ),
    (
        "edge",
        &["openraft", "sled", "redb", "tonic", "instant-acme"],
        "serves without quorum, leader or CA",
    ),
    (
        "cluster",
        &["openraft", "sled", "redb", "instant-acme"],
        "admits, and leaves Raft alone",
    ),
    (
        "aws",
        &["openraft", "sled", "redb", "instant-acme", "tonic"],
        "asks AWS and tells what it said",
    ),
    (
        "admin",
        &["openraft", "sled", "redb", "instant-acme", "rustls"],
        "uses the door only",
    ),
    (
        "cli",
        &["openraft", "sled", "redb", "instant-acme"],
        "talks to the admin API only",
    ),
    (
        "node",
        &["openraft", "sled", "redb", "instant-acme"],
        "joins rooms, decides nothing",
    ),
];

/// Crates that nothing of ours may bring in, even through others.
const BANNED: [(&str, &str); 6] = [
    ("openssl", "TLS is rustls with aws-lc-rs"),
    ("openssl-sys", "TLS is rustls with aws-lc-rs"),
    ("native-tls", "TLS is rustls with aws-lc-rs"),
    (
        "ring",
        "one provider of cryptography, so that none is chosen by accident",
    ),
    ("reqwest", "clients are hyper's, with dialers of ours"),
    ("serde_yaml", "unmaintained: serde_norway"),
];

#[test]
fn arrows_between_our_crates_point_down() {
    let arrows = BTreeMap::from(ARROWS);
    let names: BTreeSet<&str> = tree::members()
        .iter()
        .map(|member| &**member.name)
        .collect();
    let mut wrong = Vec::new();
    for member in tree::members() {
        let Some(may) = arrows.get(&**member.name) else {
            wrong.push(format!("{} has no place among the arrows", member.name));
            continue;
        };
        for dependency in &member.dependencies {
            let name = &*dependency.name;
            let test = dependency.kind == DependencyKind::Development;
            let allowed = may.contains(&name)
                || test && TESTS_MAY.contains(&name)
                || test && ITS_TESTS_MAY.contains(&(&member.name, name));
            if names.contains(name) && !allowed {
                wrong.push(format!("{} must not use {name}", member.name));
            }
        }
    }
    for name in arrows.keys().filter(|name| !names.contains(*name)) {
        wrong.push(format!("{name} has arrows but is no member"));
    }
    none("arrows", wrong);
}

#[test]
fn crates_keep_clear_of_what_would_break_their_promise() {
    let mut wrong = Vec::new();
    for (name, never, promise) in NEVER {
        let members = tree::members();
        let Some(member) = members.iter().find(|member| *member.name == name) else {
            wrong.push(format!("{name} is no member"));
            continue;
        };
        let used = normal_dependencies(member);
        for other in never.iter().filter(|other| used.contains(*other)) {
            wrong.push(format!("{name} uses {other}, but {promise}"));
        }
    }
    none("promises", wrong);
}

#[test]
fn banned_crates_come_in_by_no_door() {
    let built = tree::built();
    let mut wrong = Vec::new();
    for (name, reason) in BANNED {
        if built.contains(name) {
            wrong.push(format!(
                "{name}: {reason}; see `cargo tree --workspace -i {name}`"
            ));
        }
    }
    none("banned crates", wrong);
}

#[test]
fn programs_are_called_by_their_names() {
    for (package, program) in [("node", "hostquorumd"), ("cli", "hostquorum")] {
        let members = tree::members();
        let member = members
            .iter()
            .find(|member| *member.name == package)
            .unwrap();
        let mut programs = member.targets.iter().filter(|target| target.is_bin());
        assert!(
            programs.any(|target| target.name == program),
            "{package} builds no {program}"
        );
    }
}

fn normal_dependencies(member: &Package) -> BTreeSet<&str> {
    let normal = member.dependencies.iter().filter(|dependency| {
        matches!(
            dependency.kind,
            DependencyKind::Normal | DependencyKind::Build
        )
    });
    normal.map(|dependency| &*dependency.name).collect()
}
