//! Alerts, dashboard and runbooks against the figures that the nodes tell.
//!
//! The names are read from the sources: what a node tells depends on what it does (a leader
//! tells more, one without DNS less), so no single reading of `/metrics` has them all.

use std::collections::BTreeSet;

use crate::{
    none,
    tree::{self, Text},
};

const FOLDER: &str = "deploy/observability/";
const RUNBOOKS: &str = "docs/runbooks/";
const PREFIX: &str = "hostquorum_";

/// Where rooms list their counters for themselves, and what comes before their names.
const LISTS: [(&str, &str); 2] = [
    ("node/edge/src/metrics.rs", "edge_"),
    ("node/edge/src/dns/metrics.rs", "dns_"),
];

#[test]
fn every_figure_that_is_shown_is_told() {
    let told = told();
    assert!(told.len() > 100, "{} figures were found", told.len());
    let mut wrong = Vec::new();
    let mut shown = 0;
    for text in within(FOLDER).chain(within(RUNBOOKS)) {
        for (place, line) in text.lines() {
            for name in names(line) {
                shown += 1;
                if !told.contains(name) {
                    wrong.push(format!("{place}: no node tells {name}"));
                }
            }
        }
    }
    assert!(shown > 100, "{shown} figures are shown");
    none("figures", wrong);
}

#[test]
fn every_alert_has_its_runbook_and_its_test() {
    let rules = within(FOLDER).find(|text| text.path.ends_with(".rules.yml"));
    let tests = within(FOLDER).find(|text| text.path.ends_with(".test.yml"));
    let (rules, tests) = (rules.unwrap(), tests.unwrap());
    let mut wrong = Vec::new();
    let mut alerts = 0;
    for alert in rules.text.split("- alert: ").skip(1) {
        alerts += 1;
        let name = alert.lines().next().unwrap_or_default();
        if !tests.text.contains(&format!("alertname: {name}\n")) {
            wrong.push(format!("{name} has no test"));
        }
        let runbook = alert.split("runbook_url: ").nth(1);
        let runbook = runbook.and_then(|after| after.lines().next());
        if !runbook.is_some_and(|path| tree::root().join(path).is_file()) {
            wrong.push(format!("{name} has no runbook"));
        }
    }
    assert!(alerts > 10, "{alerts} alerts");
    for runbook in within(RUNBOOKS) {
        let asked = within("deploy/").any(|text| text.text.contains(&runbook.path));
        if !asked {
            wrong.push(format!("{} belongs to no alert", runbook.path));
        }
    }
    none("alerts", wrong);
}

fn within(folder: &'static str) -> impl Iterator<Item = &'static Text> {
    let texts = tree::texts().iter();
    texts.filter(move |text| text.path.starts_with(folder))
}

/// What the nodes can tell, as Prometheus names it.
fn told() -> BTreeSet<String> {
    let mut told = BTreeSet::new();
    for text in tree::sources().filter(|text| text.path.starts_with("node/src/figures")) {
        let calls = [
            ("Sample::gauge(", ""),
            ("Sample::counter(", "_total"),
            ("tell(", "_total"),
        ];
        for (call, suffix) in calls {
            for after in text.text.split(call).skip(1) {
                let literal = after.trim_start().strip_prefix('"');
                let name = literal.and_then(|literal| literal.split('"').next());
                told.extend(name.map(|name| format!("{PREFIX}{name}{suffix}")));
            }
        }
    }
    for (path, prefix) in LISTS {
        let list = tree::sources().find(|text| text.path == path).unwrap();
        for line in list.text.lines() {
            let entry = line.trim().strip_suffix(',').unwrap_or_default();
            let (kind, name) = entry.split_once(' ').unwrap_or_default();
            match kind {
                "Counter" => told.insert(format!("{PREFIX}{prefix}{name}_total")),
                "Gauge" => told.insert(format!("{PREFIX}{prefix}{name}")),
                _ => false,
            };
        }
    }
    told
}

/// The figures that a line names.
fn names(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices(PREFIX).map(|(at, _)| {
        let name = &line[at..];
        let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        &name[..end.unwrap_or(name.len())]
    })
}
