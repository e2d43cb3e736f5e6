//! Who takes part in Raft, who votes, and who has which data key.
//!
//! An admitted member becomes a learner, and a voter once it has the control key and has
//! kept up for a while; voters are an odd number, five at most. Nobody is demoted but who
//! leaves. A leaving leader hands over first. One change of Raft's configuration at a time.

mod act;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use state::{
    FeatureLevel, KeyPurpose, NodeId, State,
    ports::{Configuration, NodeReport},
};

pub(crate) use self::act::{act, survey};

/// Who becomes a voter, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Most voters; an odd number. More do not make a cluster safer, and each is waited
    /// for by some write.
    pub voters_max: usize,
    /// Most entries that a learner may lack.
    pub lag_max: u64,
    /// For how long it must have lacked no more.
    pub stable_for: Duration,
    /// How recently the serving set must have heard of it.
    pub heard_within: Duration,
    /// A member that this leader has not heard of for so long is removed, if others can take its
    /// place; absent: removing is for operators.
    pub remove_silent_after: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            voters_max: 5,
            lag_max: 250,
            stable_for: Duration::from_secs(2),
            heard_within: Duration::from_secs(3),
            remove_silent_after: None,
        }
    }
}

/// For how long, by this leader's own eyes, members have been as they are.
#[derive(Debug, Default)]
pub(crate) struct Steady {
    since: BTreeMap<NodeId, Duration>,
}

impl Steady {
    /// Notes at `now` who is so, and answers with those who have been for `long_enough`.
    pub(crate) fn observe(
        &mut self,
        so: &BTreeSet<NodeId>,
        long_enough: Duration,
        now: Duration,
    ) -> BTreeSet<NodeId> {
        self.since.retain(|node, _| so.contains(node));
        for node in so {
            self.since.entry(*node).or_insert(now);
        }
        let steady = self
            .since
            .iter()
            .filter(|(_, since)| now.saturating_sub(**since) >= long_enough);
        steady.map(|(node, _)| *node).collect()
    }
}

/// What a leader remembers of the members.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Learners that keep up.
    keeping_up: Steady,
    /// Members that are not heard of.
    silent: Steady,
}

/// Of whom the serving set has heard lately.
pub(crate) fn heard(config: &Config, reports: &[NodeReport]) -> BTreeSet<NodeId> {
    let heard = reports
        .iter()
        .filter(|report| report.silent <= config.heard_within);
    heard.map(|report| report.node).collect()
}

/// All that a plan depends on.
pub(crate) struct Picture<'a> {
    pub(crate) state: &'a State,
    pub(crate) configuration: &'a Configuration,
    pub(crate) me: NodeId,
    /// Heard of lately.
    pub(crate) heard: &'a BTreeSet<NodeId>,
    /// Have kept up for long enough.
    pub(crate) ready: &'a BTreeSet<NodeId>,
    /// Were not heard of for so long that they are to go.
    pub(crate) dead: &'a BTreeSet<NodeId>,
    /// What all members know; absent if one was not heard of lately.
    pub(crate) common: Option<FeatureLevel>,
    /// Who is to lead instead of this node, whose clock is off.
    pub(crate) successor: Option<NodeId>,
    pub(crate) voters_max: usize,
}

/// Members that must be left when one is removed unasked: so many that one more may fail.
const VOTERS_LEFT: usize = 3;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Hand leadership over.
    Transfer(Option<NodeId>),
    /// Make exactly these the voters.
    SetVoters(Vec<NodeId>),
    /// Take a learner out.
    RemoveLearner(NodeId),
    /// Forget a member that has left Raft.
    Finish(NodeId),
    /// Ask for the removal of a member that is dead.
    Dismiss(NodeId),
    /// Begin to replicate to a member.
    AddLearner(NodeId, String),
    /// Give a member a copy of a data key.
    Share(NodeId, KeyPurpose, u32),
    /// Make the next generation of a data key.
    Rotate(KeyPurpose, Vec<NodeId>),
    /// Let what is of a higher level be written, which these know: whoever is admitted
    /// meanwhile was not asked.
    RaiseLevel(FeatureLevel, Vec<NodeId>),
}

impl Step {
    fn is_raft(&self) -> bool {
        matches!(
            self,
            Self::Transfer(_) | Self::SetVoters(_) | Self::RemoveLearner(_) | Self::AddLearner(..)
        )
    }

    /// In a few words, for the status.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Transfer(Some(node)) => format!("handing leadership to node {node}"),
            Self::Transfer(None) => "handing leadership over".to_owned(),
            Self::SetVoters(nodes) => {
                let nodes: Vec<String> = nodes.iter().map(ToString::to_string).collect();
                format!("making nodes {} the voters", nodes.join(", "))
            }
            Self::RemoveLearner(node) => format!("taking node {node} out of Raft"),
            Self::Finish(node) => format!("finishing the removal of node {node}"),
            Self::Dismiss(node) => format!("asking for the removal of node {node}, which is dead"),
            Self::AddLearner(node, _) => format!("beginning to replicate to node {node}"),
            Self::Share(node, purpose, generation) => {
                format!("sharing the {purpose} key {generation} with node {node}")
            }
            Self::Rotate(purpose, _) => format!("rotating the {purpose} key"),
            Self::RaiseLevel(level, _) => format!("raising the feature level to {level}"),
        }
    }
}

/// What to do, at most one change of Raft's configuration among it.
pub(crate) fn plan(picture: &Picture<'_>) -> Vec<Step> {
    let shares = shares(picture);
    let keys_complete = shares.is_empty();
    let mut steps: Vec<Step> = raft(picture).into_iter().collect();
    // Whoever leaves may be the last that others can get a copy of an old key from.
    steps.retain(|step| keys_complete || !matches!(step, Step::Finish(_)));
    steps.extend(dismissal(picture));
    steps.extend(level(picture));
    steps.extend(shares);
    // Whoever was removed is out before its keys are replaced.
    if keys_complete {
        steps.extend(rotations(picture));
    }
    steps
}

fn raft(picture: &Picture<'_>) -> Option<Step> {
    if picture.configuration.joint {
        return finish(picture);
    }
    transfer(picture)
        .or_else(|| set_voters(picture))
        .or_else(|| depart(picture))
        .or_else(|| add_learner(picture))
}

/// A change that is half done is another leader's, which could not finish it: while it is
/// our own, nothing is planned. Nobody else finishes it, and until then no other change is
/// possible. Whoever votes on either side and stays votes.
fn finish(picture: &Picture<'_>) -> Option<Step> {
    let mut voters = staying_voters(picture);
    if picture.configuration.voters.contains(&picture.me) {
        voters.insert(picture.me);
    }
    (!voters.is_empty()).then(|| Step::SetVoters(voters.into_iter().collect()))
}

/// A leader that is to leave hands over, as soon as there is somebody to hand to; and one
/// whose clock is off, to a voter whose clock is not.
fn transfer(picture: &Picture<'_>) -> Option<Step> {
    let voters = &picture.configuration.voters;
    if let Some(successor) = picture.successor.filter(|node| voters.contains(node)) {
        return Some(Step::Transfer(Some(successor)));
    }
    let me = picture.state.member(picture.me)?;
    let voters = staying_voters(picture);
    if !me.leaving || voters.is_empty() {
        return None;
    }
    let target = voters.iter().find(|node| picture.heard.contains(node));
    Some(Step::Transfer(target.copied()))
}

/// The voters that stay, and as many ready learners as make them the next odd number up
/// to the target.
fn set_voters(picture: &Picture<'_>) -> Option<Step> {
    let staying = staying_voters(picture);
    let target = target(picture);
    let mut voters = staying.clone();
    let candidates = candidates(picture)
        .into_iter()
        .filter(|node| picture.ready.contains(node) && has_control_key(picture.state, *node));
    let mut candidates: Vec<NodeId> = candidates.collect();
    candidates.truncate(target.saturating_sub(staying.len()));
    if (staying.len() + candidates.len()).is_multiple_of(2) {
        candidates.pop();
    }
    voters.extend(candidates);
    // A leaving leader must keep its vote until it has handed over.
    let me_leaving =
        picture.configuration.voters.contains(&picture.me) && !voters.contains(&picture.me);
    if me_leaving {
        if voters.len() == staying.len() {
            return None;
        }
        voters.insert(picture.me);
    }
    let present: BTreeSet<NodeId> = picture.configuration.voters.iter().copied().collect();
    if voters.is_empty() || voters == present {
        return None;
    }
    Some(Step::SetVoters(voters.into_iter().collect()))
}

/// A leaving member that votes no more is taken out, and then forgotten.
fn depart(picture: &Picture<'_>) -> Option<Step> {
    let leaving = picture.state.members().filter(|member| member.leaving);
    leaving
        .filter(|member| !picture.configuration.voters.contains(&member.id))
        .map(|member| {
            if picture.configuration.learners.contains(&member.id) {
                Step::RemoveLearner(member.id)
            } else {
                Step::Finish(member.id)
            }
        })
        .next()
}

/// One that is dead and can be replaced: whoever stays can vote, is heard of, and is enough to
/// lose another. Never while another member leaves, so that one mistake stays one.
fn dismissal(picture: &Picture<'_>) -> Option<Step> {
    let dead = staying(picture).find(|node| picture.dead.contains(node))?;
    let leaving = picture.state.members().any(|member| member.leaving);
    let others = staying(picture).filter(|node| *node != dead);
    let (heard, unheard): (Vec<_>, Vec<_>) =
        others.partition(|node| *node == picture.me || picture.heard.contains(node));
    let enough = heard.len() >= VOTERS_LEFT && unheard.is_empty();
    (enough && !leaving).then_some(Step::Dismiss(dead))
}

/// Higher than it is, if all members know it.
fn level(picture: &Picture<'_>) -> Option<Step> {
    let common = picture.common?;
    let members = picture.state.members().map(|member| member.id);
    (common > picture.state.level()).then(|| Step::RaiseLevel(common, members.collect()))
}

/// What all members know, this program among them.
pub(crate) fn common_level(
    config: &Config,
    state: &State,
    reports: &[NodeReport],
) -> Option<FeatureLevel> {
    let of = |node: NodeId| {
        let report = reports.iter().find(|report| report.node == node)?;
        report
            .level
            .filter(|_| report.silent <= config.heard_within)
    };
    let mut common = FeatureLevel::NEWEST;
    for member in state.members() {
        common = common.min(of(member.id)?);
    }
    Some(common)
}

fn add_learner(picture: &Picture<'_>) -> Option<Step> {
    let known = |node: &NodeId| {
        picture.configuration.voters.contains(node) || picture.configuration.learners.contains(node)
    };
    let mut members = picture.state.members();
    members
        .find(|member| !member.leaving && !known(&member.id))
        .map(|member| Step::AddLearner(member.id, member.peer_address.clone()))
}

/// The copies that members lack: of serving keys all, of control keys those that vote or
/// shall. All generations, since old secrets stay under old ones.
fn shares(picture: &Picture<'_>) -> Vec<Step> {
    let electors = electors(picture);
    let mut steps = Vec::new();
    for key in picture.state.data_keys() {
        let holders = picture.state.members().filter(|member| {
            !member.leaving && (key.purpose == KeyPurpose::Serving || electors.contains(&member.id))
        });
        let lacking = holders.filter(|member| !key.sealed_for.contains_key(&member.id));
        steps.extend(lacking.map(|member| Step::Share(member.id, key.purpose, key.generation)));
    }
    steps
}

fn rotations(picture: &Picture<'_>) -> Vec<Step> {
    let due = picture.state.rotations_due().into_iter();
    due.map(|purpose| {
        let holders = match purpose {
            KeyPurpose::Serving => staying(picture).collect(),
            KeyPurpose::Control => electors(picture).into_iter().collect(),
        };
        Step::Rotate(purpose, holders)
    })
    .collect()
}

/// Those that vote or shall vote.
fn electors(picture: &Picture<'_>) -> BTreeSet<NodeId> {
    let mut electors = staying_voters(picture);
    let missing = target(picture).saturating_sub(electors.len());
    electors.extend(candidates(picture).into_iter().take(missing));
    electors
}

/// Members that could be made voters, the most suitable first: heard of, holding the
/// control key already, admitted early.
fn candidates(picture: &Picture<'_>) -> Vec<NodeId> {
    let voting = &picture.configuration.voters;
    let mut candidates: Vec<NodeId> = staying(picture)
        .filter(|node| !voting.contains(node))
        .collect();
    candidates.sort_by_key(|node| {
        let heard = picture.heard.contains(node);
        let holds = has_control_key(picture.state, *node);
        (!heard, !holds, *node)
    });
    candidates
}

/// The largest odd number of voters that the members allow.
fn target(picture: &Picture<'_>) -> usize {
    let most = staying(picture).count().min(picture.voters_max);
    most - usize::from(most > 0 && most.is_multiple_of(2))
}

fn staying_voters(picture: &Picture<'_>) -> BTreeSet<NodeId> {
    let voting = &picture.configuration.voters;
    staying(picture)
        .filter(|node| voting.contains(node))
        .collect()
}

fn staying<'a>(picture: &Picture<'a>) -> impl Iterator<Item = NodeId> + 'a {
    let members = picture.state.members();
    members
        .filter(|member| !member.leaving)
        .map(|member| member.id)
}

fn has_control_key(state: &State, node: NodeId) -> bool {
    let mut generations = state
        .data_keys()
        .filter(|key| key.purpose == KeyPurpose::Control);
    generations.all(|key| key.sealed_for.contains_key(&node))
}

#[cfg(test)]
mod tests;
