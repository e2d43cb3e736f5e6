//! Whether a node may be stopped for an upgrade, and whose turn it is.

use serde::Serialize;

use super::cluster::{Member, Report, SILENT_MS, Status};
use crate::output::Shape;

/// Behind the most advanced by more entries than this, a member has not caught up.
const LAG_MOST: u64 = 100;

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct UpgradeCheck {
    /// One node may be stopped now, and all goes on.
    pub(crate) ready: bool,
    /// What stands against it.
    pub(crate) hindrances: Vec<String>,
    /// The versions that run, the members of each by name.
    pub(crate) versions: Vec<Version>,
    /// In which order to upgrade, the leader last.
    pub(crate) order: Vec<String>,
    /// What all members understand.
    pub(crate) feature_level: u32,
    /// The members, by name, that keep it from rising: they know no more, are told not to, or are away.
    /// Empty if nobody knows more.
    pub(crate) kept_by: Vec<String>,
}

/// One version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Version {
    pub(crate) version: String,
    pub(crate) members: Vec<String>,
}

impl UpgradeCheck {
    /// As one node sees the cluster.
    pub(crate) fn of(status: &Status) -> Self {
        let mut hindrances = Vec::new();
        if !status.quorum {
            hindrances.push("there is no quorum".to_owned());
        }
        let voters = status.members.iter();
        let voters: Vec<&Member> = voters
            .filter(|member| member.standing == "voting")
            .collect();
        let sound = voters
            .iter()
            .filter(|voter| faults(voter, status).is_empty());
        // What is left without the one that is stopped must be more than half of all.
        let left = sound.count().saturating_sub(1);
        if left * 2 <= voters.len() {
            hindrances.push(format!(
                "of {} voters only {left} would be left in good health: no majority",
                voters.len()
            ));
        }
        for member in &status.members {
            let faults = faults(member, status);
            hindrances.extend(
                faults
                    .iter()
                    .map(|fault| format!("{}: {fault}", member.node)),
            );
        }
        let versions = versions(&status.members);
        Self {
            ready: hindrances.is_empty(),
            hindrances,
            order: order(&status.members, &versions),
            versions,
            feature_level: status.feature_level,
            kept_by: kept_by(status),
        }
    }
}

/// Why a member is not well enough for another to be stopped.
fn faults(member: &Member, status: &Status) -> Vec<String> {
    let Some(report) = &member.report else {
        return vec!["it was never heard".to_owned()];
    };
    let mut faults = report.faults.clone();
    if report.silent_ms > SILENT_MS {
        faults.push(format!("silent for {} s", report.silent_ms / 1000));
    }
    if report.draining {
        faults.push("it is draining, so it is being stopped already".to_owned());
    }
    if member.standing == "leaving" {
        faults.push("it is being removed".to_owned());
    }
    let reports = status
        .members
        .iter()
        .filter_map(|member| member.report.as_ref());
    let most = reports.map(|report| report.published_index).max();
    let lag = most.unwrap_or(0).saturating_sub(report.published_index);
    if lag > LAG_MOST {
        faults.push(format!("it is {lag} entries behind"));
    }
    faults
}

/// Who keeps the level from rising to what another member knows.
fn kept_by(status: &Status) -> Vec<String> {
    let is = status.feature_level;
    // What a member that is away knows, nobody knows.
    let knows = |member: &Member| {
        let report = member.report.as_ref();
        let report = report.filter(|report| report.silent_ms <= SILENT_MS);
        report.map_or(0, |report| report.feature_level)
    };
    let members = status.members.iter();
    if !members.clone().any(|member| knows(member) > is) {
        return Vec::new();
    }
    let kept = members.filter(|member| knows(member) <= is);
    kept.map(|member| member.node.clone()).collect()
}

fn versions(members: &[Member]) -> Vec<Version> {
    let mut versions: Vec<Version> = Vec::new();
    let version = |report: &Report| report.version.clone();
    for member in members {
        let version = member.report.as_ref().map_or("unknown".to_owned(), version);
        match versions.iter_mut().find(|known| known.version == version) {
            Some(known) => known.members.push(member.node.clone()),
            None => versions.push(Version {
                version,
                members: vec![member.node.clone()],
            }),
        }
    }
    versions
}

/// Everybody, with the version that runs. Versions are not compared: which is wanted is the
/// operator's to know, and going back is an upgrade, too.
fn order(members: &[Member], versions: &[Version]) -> Vec<String> {
    let mut order: Vec<&Member> = members.iter().collect();
    // A stable sort: learners, then voters, then the leader, each in the order of their ids.
    order.sort_by_key(|member| (member.leader, member.standing == "voting"));
    let names = order.into_iter().map(|member| {
        let version = versions.iter().find(|it| it.members.contains(&member.node));
        let version = version.map_or("unknown", |it| it.version.as_str());
        let last = if member.leader {
            ", which leads: transfer first"
        } else {
            ""
        };
        format!("{} (runs {version}{last})", member.node)
    });
    names.collect()
}

impl Shape for UpgradeCheck {
    fn table(&self) -> String {
        let mut lines = Vec::new();
        if self.ready {
            lines.push("one node may be stopped now".to_owned());
        } else {
            lines.push("do not stop a node now:".to_owned());
            let hindrances = self.hindrances.iter();
            lines.extend(hindrances.map(|hindrance| format!("  {hindrance}")));
        }
        for Version { version, members } in &self.versions {
            lines.push(format!("version {version}: {}", members.join(", ")));
        }
        let level = self.feature_level;
        if self.kept_by.is_empty() {
            lines.push(format!("feature level {level}"));
        } else {
            let kept_by = self.kept_by.join(", ");
            lines.push(format!(
                "feature level {level}, kept there by {kept_by}: until it rises, all may go back \
                 to the version before"
            ));
        }
        lines.push("in this order, one at a time, and this check before each:".to_owned());
        lines.extend(self.order.iter().map(|node| format!("  {node}")));
        lines.join("\n")
    }
}
