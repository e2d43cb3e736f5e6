//! From looking around to doing what was planned.

use std::time::Duration;

use state::{
    Change,
    ports::{IdentitiesError, MembersError},
};

use super::{Memory, Picture, Step, common_level, heard, plan};
use crate::{
    clocks::Doubt,
    reign::{CommitError, Reign},
};

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MembershipError {
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Members(#[from] MembersError),
    #[error(transparent)]
    Identities(#[from] IdentitiesError),
}

/// Looks at Raft and the serving set, and plans.
pub(crate) fn survey(reign: &Reign, memory: &mut Memory, doubt: &mut Doubt) -> Vec<Step> {
    let (state, config) = (reign.state(), &reign.config.membership);
    let configuration = reign.ports.members.configuration();
    let reports = reign.ports.serving.reports();
    let heard = heard(config, &reports);
    let successor = doubt.observe(&reports, reign.config.clock_tolerance, reign.boottime());
    let keeping_up = configuration
        .learners
        .iter()
        .filter(|node| heard.contains(node))
        .filter(|node| {
            let lag = reign.ports.members.lag(**node);
            lag.is_some_and(|lag| lag <= config.lag_max)
        });
    let keeping_up = keeping_up.copied().collect();
    let ready = memory
        .keeping_up
        .observe(&keeping_up, config.stable_for, reign.boottime());
    let silent = state.members().map(|member| member.id);
    let silent = silent.filter(|node| *node != reign.config.node && !heard.contains(node));
    let silent = silent.collect();
    let after = config.remove_silent_after.unwrap_or(Duration::MAX);
    let dead = memory.silent.observe(&silent, after, reign.boottime());
    plan(&Picture {
        state: &state,
        configuration: &configuration,
        me: reign.config.node,
        heard: &heard,
        ready: &ready,
        dead: &dead,
        common: common_level(config, &state, &reports),
        successor,
        voters_max: config.voters_max,
    })
}

/// Does what was planned. Keys first: a change of Raft's configuration may take long.
pub(crate) async fn act(reign: &Reign, mut steps: Vec<Step>) -> Result<(), MembershipError> {
    steps.sort_by_key(Step::is_raft);
    for step in steps {
        tracing::info!(step = step.describe(), "membership");
        take(reign, step).await?;
    }
    Ok(())
}

async fn take(reign: &Reign, step: Step) -> Result<(), MembershipError> {
    let (state, members) = (reign.state(), &reign.ports.members);
    let identities = &reign.ports.identities;
    let change = match step {
        Step::Transfer(target) => {
            members.transfer(target).await?;
            return Ok(());
        }
        Step::SetVoters(voters) => return Ok(members.set_voters(voters).await?),
        Step::RemoveLearner(node) => return Ok(members.remove_learner(node).await?),
        Step::AddLearner(node, address) => {
            return Ok(members.add_learner(node, &address).await?);
        }
        Step::Finish(node) => Change::FinishRemoval { node },
        Step::Dismiss(node) => Change::RemoveNode { node },
        Step::Share(node, purpose, generation) => match state.member(node) {
            Some(member) => identities.share_data_key(member, purpose, generation)?,
            None => return Ok(()),
        },
        Step::RaiseLevel(level, members) => Change::RaiseLevel { level, members },
        Step::Rotate(purpose, holders) => identities.rotate_data_key(&state, purpose, &holders)?,
    };
    reign.commit(change).await?;
    Ok(())
}
