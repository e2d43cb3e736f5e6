//! `hostquorumd recover`: this node goes on alone, when a majority is lost for good.

use std::{collections::BTreeSet, fmt, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use cluster::SystemEntropy;
use consensus::{Survey, Survivor};
use state::{Actor, Change, ClusterId, Command, Index, NodeId, Timestamp, ports::Clock as _};

use crate::{config::Config, data_dir::DataDir, environment::SystemClock, keys, wiring};

/// What there is, and what was done about it.
#[derive(Clone, Debug)]
pub struct Report {
    /// The cluster.
    pub cluster: ClusterId,
    /// This node.
    pub node: NodeId,
    /// The last entry that it has.
    pub last: Index,
    /// Up to where that is applied, and so certainly committed.
    pub applied: Index,
    /// The highest term that it has seen.
    pub term: u64,
    /// Hostnames in the state.
    pub hostnames: usize,
    /// Certificates in the state.
    pub certificates: usize,
    /// Who votes besides, with their names.
    pub others: Vec<(NodeId, String)>,
    /// Up to where it wrote, if it did.
    pub recovered: Option<Index>,
}

/// Looks at this node's replica, which must not run; if `confirmed` is its cluster's id, makes
/// it the only voter, asks for the removal of all other members and pauses issuance.
///
/// # Errors
///
/// When the node runs, its disk cannot be read, or the id is another cluster's.
pub async fn recover(config: &Config, confirmed: Option<ClusterId>) -> Result<Report> {
    let _data_dir = DataDir::open(&config.data_dir)?;
    let entropy = Arc::new(SystemEntropy);
    let store = keys::identity_store(config, entropy).await?;
    let identity = store.load()?;
    let identity = identity.context("this node belongs to no cluster: there is nothing here")?;
    let (cluster, node) = (identity.public.cluster, identity.public.node);
    ensure!(
        confirmed.is_none_or(|confirmed| confirmed == cluster),
        "this node is of cluster {cluster}, not of the one that you named: nothing was done"
    );
    let replica = wiring::replica_store(config)?;
    let survivor = Survivor::open(&replica, consensus::Identity { cluster, node });
    let survivor = survivor.context("what this node has cannot be read")?;
    let mut report = Report::new(cluster, node, survivor.survey());
    if confirmed.is_some() {
        let others = members_but(survivor.survey(), node);
        let commands = commands(node, &others, SystemClock.now());
        let written = survivor.go_on_alone(commands);
        report.recovered = Some(written.context("this node's disk cannot be written")?);
    }
    Ok(report)
}

/// All members but this one.
fn members_but(survey: &Survey, node: NodeId) -> Vec<NodeId> {
    let members = survey.state.members().map(|member| member.id);
    // A voter of an entry that is not applied yet may be no member in this state.
    let known: BTreeSet<NodeId> = members.chain(survey.voters.iter().copied()).collect();
    known.into_iter().filter(|known| *known != node).collect()
}

/// The others are gone, whoever voted among them; what they did last at a CA is not known.
fn commands(node: NodeId, others: &[NodeId], at: Timestamp) -> Vec<Command> {
    let pause = Change::PauseIssuance {
        reason: format!("node {node} went on alone after a majority was lost"),
    };
    let removals = others.iter().map(|node| Change::RemoveNode { node: *node });
    let command = |change| Command {
        at,
        actor: Actor::local(node),
        duty: None,
        change,
    };
    std::iter::once(pause)
        .chain(removals)
        .map(command)
        .collect()
}

impl Report {
    fn new(cluster: ClusterId, node: NodeId, survey: &Survey) -> Self {
        let state = &survey.state;
        let name = |id: NodeId| {
            let member = state.member(id);
            let name = member.map_or_else(|| "unknown".to_owned(), |member| member.name.clone());
            (id, name)
        };
        Self {
            cluster,
            node,
            last: survey.last,
            applied: survey.applied,
            term: survey.term,
            hostnames: state.hostname_count(),
            certificates: state.certificates_by_id().len(),
            others: survey
                .voters
                .iter()
                .filter(|voter| **voter != node)
                .map(|voter| name(*voter))
                .collect(),
            recovered: None,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cluster,
            node,
            last,
            applied,
            term,
            hostnames,
            certificates,
            ..
        } = self;
        writeln!(f, "cluster {cluster}, node {node}")?;
        writeln!(
            f,
            "log up to index {last} in term {term}, of which {applied} is applied: {hostnames} \
             hostnames, {certificates} certificates"
        )?;
        let others: Vec<_> = self
            .others
            .iter()
            .map(|(id, name)| format!("{id} ({name})"))
            .collect();
        let others = match &others[..] {
            [] => "nobody".to_owned(),
            others => others.join(", "),
        };
        writeln!(f, "voters besides: {others}")?;
        match self.recovered {
            Some(index) => write!(
                f,
                "this node goes on alone from index {index} on. Start it; let new nodes join; look at \
                 what is missing; then `hostquorum issuance resume`"
            ),
            None => write!(
                f,
                "nothing was changed. If the others are lost for good, and no other survivor has a \
                 later index, say `--cluster-id {cluster}`: what they had agreed on and this node had \
                 not received is lost then. Never do it while they may come back: they would go on, \
                 too, and both would order certificates"
            ),
        }
    }
}
