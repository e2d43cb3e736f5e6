//! May a member be removed? Only if those who would remain can go on.

use std::{collections::BTreeSet, time::Duration};

use state::{NodeId, ports::Configuration};

use crate::{limits, names, problem::Problem};

/// What a removal is judged by.
pub(crate) struct Circumstances<'a> {
    /// Who would be removed.
    pub(crate) target: NodeId,
    /// Raft's present configuration.
    pub(crate) configuration: &'a Configuration,
    /// Those whose removal was asked for before.
    pub(crate) leaving: &'a BTreeSet<NodeId>,
    /// This node: it hears itself.
    pub(crate) me: NodeId,
    /// When each member was last heard, as a time since then.
    pub(crate) silent: &'a [(NodeId, Duration)],
}

/// Refuses a removal after which the voters that were heard lately would be no
/// majority: nothing could be agreed on any more, not even an addition.
pub(crate) fn check(circumstances: &Circumstances<'_>) -> Result<(), Problem> {
    let Circumstances {
        target,
        configuration,
        leaving,
        me,
        silent,
    } = circumstances;
    let remaining: Vec<NodeId> = configuration
        .voters
        .iter()
        .filter(|voter| *voter != target && !leaving.contains(voter))
        .copied()
        .collect();
    let heard = |voter: &&NodeId| {
        *voter == me
            || silent
                .iter()
                .any(|(node, since)| node == *voter && *since <= limits::HEARD_WITHIN)
    };
    let present = remaining.iter().filter(heard).count();
    if present > remaining.len() / 2 {
        return Ok(());
    }
    let missing: Vec<String> = remaining
        .iter()
        .filter(|voter| !heard(voter))
        .map(|voter| names::member_name(*voter))
        .collect();
    let message = if remaining.is_empty() {
        format!(
            "{}: no voter would remain; add another node first",
            names::member_name(*target)
        )
    } else {
        format!(
            "{}: of the {} voters that would remain only {present} were heard within {} s, \
             which is no majority; bring {} back or add a node first",
            names::member_name(*target),
            remaining.len(),
            limits::HEARD_WITHIN.as_secs(),
            missing.join(", ")
        )
    };
    Err(Problem::precondition(
        "QUORUM_AT_RISK",
        names::member_name(*target),
        message,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_case(voters: &[u64], leaving: &[u64], silent: &[(u64, u64)], target: u64, may: bool) {
        let configuration = Configuration {
            voters: voters.iter().copied().map(NodeId).collect(),
            ..Configuration::default()
        };
        let silent: Vec<_> = silent
            .iter()
            .map(|(node, ms)| (NodeId(*node), Duration::from_millis(*ms)))
            .collect();
        let result = check(&Circumstances {
            target: NodeId(target),
            configuration: &configuration,
            leaving: &leaving.iter().copied().map(NodeId).collect(),
            me: NodeId(1),
            silent: &silent,
        });
        assert_eq!(result.is_ok(), may, "{result:?}");
    }

    #[test]
    fn a_removal_leaves_a_majority_of_the_remaining() {
        check_case(&[1, 2, 3], &[], &[(2, 10), (3, 10)], 3, true);
        check_case(&[1, 2, 3], &[], &[(2, 10), (3, 9000)], 3, true);
        check_case(&[1, 2, 3], &[], &[(2, 2001), (3, 10)], 3, false);
        check_case(&[1, 2, 3], &[], &[], 3, false);
        check_case(&[1, 2, 3, 4, 5], &[], &[(2, 0), (3, 0)], 5, true);
        check_case(&[1, 2, 3, 4, 5], &[], &[(2, 0)], 5, false);
    }

    #[test]
    fn those_already_leaving_do_not_count() {
        check_case(&[1, 2, 3], &[2], &[(2, 0), (3, 0)], 3, true);
        check_case(&[1, 2, 3, 4], &[2], &[(2, 0), (3, 9000)], 4, false);
    }

    #[test]
    fn somebody_must_remain() {
        check_case(&[1], &[], &[], 1, false);
        check_case(&[1, 2], &[2], &[(2, 0)], 1, false);
    }

    #[test]
    fn a_learner_goes_while_the_voters_are_there() {
        check_case(&[1, 2, 3], &[], &[(2, 0), (3, 9000)], 4, true);
        check_case(&[1, 2, 3], &[], &[(2, 9000), (3, 9000)], 4, false);
    }
}
