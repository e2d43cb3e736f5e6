//! The cluster and its members.

use proto::admin::v1 as wire;
use serde::Serialize;

use super::{id, moment};
use crate::output::{Shape, pairs, rows};

/// Reports come several times a second: what was said longer ago than this, in
/// milliseconds, tells nothing about now.
pub(crate) const SILENT_MS: u64 = 3000;

/// How the cluster is, as one node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Status {
    pub(crate) cluster_id: String,
    /// Who answered: the member's id.
    pub(crate) member: String,
    pub(crate) node: String,
    pub(crate) version: String,
    pub(crate) quorum: bool,
    /// The leader's id; empty if unknown.
    pub(crate) leader: String,
    pub(crate) term: u64,
    pub(crate) applied_index: u64,
    pub(crate) published_index: u64,
    /// Why the node's replica stopped; empty while it runs.
    pub(crate) replica_fault: String,
    pub(crate) hostnames: Counts,
    /// The CA that is asked first.
    pub(crate) acme: Option<Acme>,
    /// All of them, in the order in which they are asked.
    pub(crate) cas: Vec<Ca>,
    /// Why nothing is issued, if so.
    pub(crate) issuance_pause: Option<Pause>,
    /// What secrets are sealed under; those that are not the newest of their purpose are to
    /// go.
    pub(crate) data_keys: Vec<DataKey>,
    /// How many secrets are still under those.
    pub(crate) secrets_to_reseal: u64,
    /// What all members understand.
    pub(crate) feature_level: u32,
    /// When the online CA that signs members' certificates ends.
    pub(crate) issuing_ca_not_after: Option<String>,
    /// Where it comes from, if it began with a backup.
    pub(crate) restored: Option<Restored>,
    /// What an operator should look at.
    pub(crate) warnings: Vec<String>,
    pub(crate) members: Vec<Member>,
}

/// An operator's word that nothing is to be issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Pause {
    pub(crate) by: String,
    pub(crate) reason: String,
    pub(crate) since: Option<String>,
}

/// A generation of a data key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct DataKey {
    /// serving or control.
    pub(crate) purpose: String,
    pub(crate) generation: u32,
    pub(crate) created_at: Option<String>,
}

impl From<wire::DataKey> for DataKey {
    fn from(wire: wire::DataKey) -> Self {
        Self {
            purpose: wire.purpose,
            generation: wire.generation,
            created_at: moment(wire.created_at.as_ref()),
        }
    }
}

/// The backup that the cluster began with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Restored {
    /// The cluster that the backup is of.
    pub(crate) cluster_id: String,
    pub(crate) taken_at: Option<String>,
    /// incomplete, quarantined or released.
    pub(crate) progress: String,
}

impl From<wire::Restored> for Restored {
    fn from(wire: wire::Restored) -> Self {
        Self {
            cluster_id: wire.cluster_id,
            taken_at: moment(wire.taken_at.as_ref()),
            progress: wire.progress,
        }
    }
}

/// A CA, as far as the cluster's health goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Ca {
    pub(crate) name: String,
    /// none, key-committed, registered, rollover-wanted or rolling.
    pub(crate) registration: String,
    /// Why the leader leaves it alone, if it does and answered.
    pub(crate) pause: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    pub(crate) total: u64,
    pub(crate) live: u64,
    pub(crate) orders_in_flight: u64,
    pub(crate) failing: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Acme {
    pub(crate) directory: String,
    /// none, key-committed or registered.
    pub(crate) account_state: String,
    pub(crate) account_url: String,
    pub(crate) contacts: Vec<String>,
    /// What the answering node does about issuance, if it leads.
    pub(crate) progress: Vec<String>,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) node: String,
    /// admitted, voting or leaving.
    pub(crate) standing: String,
    pub(crate) leader: bool,
    pub(crate) peer_address: String,
    pub(crate) admin_address: String,
    pub(crate) joined_at: Option<String>,
    pub(crate) certificate_not_after: Option<String>,
    /// Absent if it was never heard.
    pub(crate) report: Option<Report>,
}

/// What a member last said of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    pub(crate) published_index: u64,
    pub(crate) clock_offset_ms: i64,
    pub(crate) version: String,
    pub(crate) faults: Vec<String>,
    pub(crate) draining: bool,
    pub(crate) silent_ms: u64,
    /// The highest feature level that it knows, or is told to be content with.
    pub(crate) feature_level: u32,
}

impl From<wire::ClusterStatus> for Status {
    fn from(wire: wire::ClusterStatus) -> Self {
        let counts = |counts: wire::Counts| Counts {
            total: counts.total,
            live: counts.live,
            orders_in_flight: counts.orders_in_flight,
            failing: counts.failing,
        };
        let acme = |acme: wire::Acme| Acme {
            directory: acme.directory,
            account_state: acme.account_state,
            account_url: acme.account_url,
            contacts: acme.contacts,
            progress: acme.progress,
        };
        Self {
            cluster_id: wire.cluster_id,
            member: id(&wire.member).to_owned(),
            node: wire.node_name,
            version: wire.version,
            quorum: wire.quorum,
            leader: id(&wire.leader).to_owned(),
            term: wire.term,
            applied_index: wire.applied_index,
            published_index: wire.published_index,
            replica_fault: wire.replica_fault,
            hostnames: wire.hostnames.map(counts).unwrap_or_default(),
            acme: wire.acme.map(acme),
            cas: wire.cas.into_iter().map(Ca::from).collect(),
            issuance_pause: wire.issuance_pause.map(Pause::from),
            data_keys: wire.data_keys.into_iter().map(DataKey::from).collect(),
            secrets_to_reseal: wire.secrets_to_reseal,
            feature_level: wire.feature_level,
            issuing_ca_not_after: moment(wire.issuing_ca_not_after.as_ref()),
            restored: wire.restored.map(Restored::from),
            warnings: wire.warnings,
            members: wire.members.into_iter().map(Member::from).collect(),
        }
    }
}

impl Restored {
    fn text(&self) -> String {
        let taken_at = self.taken_at.as_deref().unwrap_or("a moment unknown");
        let of = format!(
            "from a backup of cluster {}, taken at {taken_at}",
            self.cluster_id
        );
        match self.progress.as_str() {
            "incomplete" => format!("{of}; NOT ALL OF IT IS THERE: restore it once more"),
            "quarantined" => format!("{of}; issuance is to be resumed with --cluster-id"),
            _ => of,
        }
    }
}

impl From<wire::IssuancePause> for Pause {
    fn from(wire: wire::IssuancePause) -> Self {
        Self {
            since: moment(wire.since.as_ref()),
            by: wire.by,
            reason: wire.reason,
        }
    }
}

impl From<wire::CaStatus> for Ca {
    fn from(wire: wire::CaStatus) -> Self {
        Self {
            name: id(&wire.name).to_owned(),
            registration: wire.registration,
            pause: wire.pause,
        }
    }
}

impl Ca {
    fn text(&self) -> String {
        let pause = match self.pause.as_str() {
            "" => String::new(),
            why => format!(", left alone: {why}"),
        };
        format!("{} ({}{pause})", self.name, self.registration)
    }
}

impl From<wire::Member> for Member {
    fn from(wire: wire::Member) -> Self {
        let report = |report: wire::Report| Report {
            published_index: report.published_index,
            clock_offset_ms: report.clock_offset_ms,
            version: report.version,
            faults: report.faults,
            draining: report.draining,
            silent_ms: report.silent_ms,
            feature_level: report.feature_level,
        };
        Self {
            id: id(&wire.name).to_owned(),
            node: wire.node_name,
            standing: wire.standing,
            leader: wire.leader,
            peer_address: wire.peer_address,
            admin_address: wire.admin_address,
            joined_at: moment(wire.joined_at.as_ref()),
            certificate_not_after: moment(wire.certificate_not_after.as_ref()),
            report: wire.report.map(report),
        }
    }
}

impl Status {
    /// It can agree on changes, as far as the answering node can tell.
    pub(crate) fn is_good(&self) -> bool {
        self.quorum && self.replica_fault.is_empty()
    }

    /// Generations of that purpose, the newest last.
    pub(crate) fn generations(&self, purpose: &str) -> Vec<u32> {
        let keys = self.data_keys.iter();
        let keys = keys.filter(|key| key.purpose == purpose);
        keys.map(|key| key.generation).collect()
    }

    /// What is being replaced; empty if nothing is.
    fn rotation(&self) -> String {
        let replaced: Vec<String> = ["serving", "control"]
            .into_iter()
            .filter_map(|purpose| match &self.generations(purpose)[..] {
                [_, .., newest] => Some(format!("the {purpose} key, by {newest}")),
                _ => None,
            })
            .collect();
        match (&replaced[..], self.secrets_to_reseal) {
            ([], _) => String::new(),
            (all, left) => format!("{}; {left} secrets to be sealed anew", all.join("; ")),
        }
    }

    fn leader_name(&self) -> String {
        let leader = self.members.iter().find(|member| member.id == self.leader);
        match leader {
            Some(member) => format!("{} (member {})", member.node, member.id),
            None => "unknown".to_owned(),
        }
    }
}

impl Shape for Status {
    fn table(&self) -> String {
        let Counts {
            total,
            live,
            orders_in_flight,
            failing,
        } = self.hostnames;
        let quorum = if self.quorum {
            "yes".to_owned()
        } else {
            "NO: nothing can be changed; what is known is served".to_owned()
        };
        let mut said = vec![
            ("cluster", self.cluster_id.clone()),
            ("quorum", quorum),
            ("leader", self.leader_name()),
            ("term", self.term.to_string()),
            (
                "hostnames",
                format!(
                    "{total}, {live} live, {failing} failing, {orders_in_flight} orders in flight"
                ),
            ),
        ];
        if let Some(acme) = &self.acme {
            said.push(("acme", acme.directory.clone()));
            said.push(("account", acme.account_state.clone()));
            said.push(("issuance", acme.progress.join("; ")));
        }
        let cas: Vec<String> = self.cas.iter().map(Ca::text).collect();
        said.push(("cas", cas.join(", ")));
        said.push((
            "answered by",
            format!(
                "{} (member {}), version {}",
                self.node, self.member, self.version
            ),
        ));
        said.push((
            "index",
            format!(
                "{} applied, {} published",
                self.applied_index, self.published_index
            ),
        ));
        said.push(("REPLICA STOPPED", self.replica_fault.clone()));
        said.push(("feature level", self.feature_level.to_string()));
        said.push(("rotation", self.rotation()));
        if let Some(restored) = &self.restored {
            said.push(("restored", restored.text()));
        }
        if let Some(Pause { by, reason, since }) = &self.issuance_pause {
            let since = since.as_deref().unwrap_or("a moment unknown");
            said.push((
                "ISSUANCE PAUSED",
                format!("by {by} since {since}: {reason}"),
            ));
        }
        let warnings = self.warnings.iter();
        said.extend(warnings.map(|warning| ("WARNING", warning.clone())));
        let members = members_table(&self.members);
        format!("{}\n\n{members}", pairs(said))
    }
}

/// All members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Members {
    pub(crate) members: Vec<Member>,
}

impl Shape for Members {
    fn table(&self) -> String {
        members_table(&self.members)
    }
}

fn members_table(members: &[Member]) -> String {
    let header = [
        "id",
        "node",
        "standing",
        "leader",
        "published",
        "clock",
        "heard",
        "admin",
        "peer",
        "health",
    ];
    rows(&header, members.iter().map(member_row).collect())
}

fn member_row(member: &Member) -> Vec<String> {
    let report = member.report.as_ref();
    let health = |report: &Report| match (report.faults.is_empty(), report.draining) {
        _ if report.silent_ms > SILENT_MS => "SILENT".to_owned(),
        (false, _) => report.faults.join("; "),
        (true, true) => "draining".to_owned(),
        (true, false) => "good".to_owned(),
    };
    let told = |tell: &dyn Fn(&Report) -> String| report.map(tell).unwrap_or_default();
    vec![
        member.id.clone(),
        member.node.clone(),
        member.standing.clone(),
        if member.leader { "leads" } else { "" }.to_owned(),
        told(&|report| report.published_index.to_string()),
        told(&|report| format!("{:+} ms", report.clock_offset_ms)),
        report.map_or("never".to_owned(), |report| {
            format!("{} ms ago", report.silent_ms)
        }),
        member.admin_address.clone(),
        member.peer_address.clone(),
        told(&health),
    ]
}

/// Leadership that was handed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Transferred {
    /// The id of the member that leads now.
    pub(crate) leader: String,
}

impl Shape for Transferred {
    fn table(&self) -> String {
        format!("member {} leads now", self.leader)
    }
}

/// Issuance, as it is since a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Issuance {
    pub(crate) paused: bool,
    /// The log index of the change.
    pub(crate) index: u64,
}

impl Shape for Issuance {
    fn table(&self) -> String {
        let Self { paused, index } = self;
        if *paused {
            format!(
                "issuance is paused, agreed on at index {index}: no order is begun or carried on \
                 until `hostquorum issuance resume`"
            )
        } else {
            format!("issuance goes on, agreed on at index {index}")
        }
    }
}

/// A member whose removal was agreed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Leaving {
    pub(crate) member: String,
    /// The log index of the change.
    pub(crate) index: u64,
    /// It is gone; else the leader is about to carry it out.
    pub(crate) gone: bool,
}

impl Shape for Leaving {
    fn table(&self) -> String {
        let Self {
            member,
            index,
            gone,
        } = self;
        if *gone {
            format!("member {member} was removed at index {index} and is gone")
        } else {
            format!(
                "the removal of member {member} was agreed on at index {index}; the leader \
                 carries it out (see `hostquorum cluster members`)"
            )
        }
    }
}
