//! Who may stand for election.
//!
//! openraft 0.9 has no pre-vote: a follower that was cut off comes back with a
//! higher term and deposes a healthy leader, which stopped writes for seconds. So
//! every 100 ms each voter that does not lead asks the others when they last heard a
//! leader, and lets itself stand only if a majority can be reached and none of them
//! heard one lately. In doubt it may stand.
//!
//! The leader's own word counts for being reachable only, and its figures not at all:
//! a leader whose disk hangs believes itself healthy for ever, but its followers hear
//! nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use openraft::ServerState;
use proto::peer::v1::HeardRequest;
use state::NodeId;

use crate::acks::is_quorum;
use crate::run::Shared;
use crate::transport::links::{Client, LinkError, Purpose};
use crate::types::Metrics;

/// How often peers are asked: well below the shortest election timeout.
const EVERY: Duration = Duration::from_millis(100);

/// A peer that does not answer within this counts as not reachable.
const ANSWER_WITHIN: Duration = Duration::from_millis(150);

/// What a peer said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// When it last heard a leader, if ever; for a peer that only refuses to tell,
    /// `None`.
    Heard(Option<Duration>),
    /// Nothing.
    Silent,
}

/// Whether a voter may stand, by what the others said. `lately` is the time for which
/// a voter refuses to elect anew after it heard a leader.
pub(crate) fn may_stand(
    me: u64,
    voters: &[BTreeSet<u64>],
    said: &[(u64, Said)],
    lately: Duration,
) -> bool {
    let of = |node: &u64| {
        said.iter()
            .find(|(peer, _)| peer == node)
            .map(|(_, said)| *said)
    };
    let reachable = |node: &u64| *node == me || matches!(of(node), Some(Said::Heard(_)));
    let heard = said
        .iter()
        .any(|(_, said)| matches!(said, Said::Heard(Some(since)) if *since < lately));
    voters.is_empty() || (is_quorum(voters, reachable) && !heard)
}

/// Those to ask, with their addresses; empty if there is no question.
fn peers(metrics: &Metrics) -> (Vec<BTreeSet<u64>>, Vec<(u64, String)>) {
    let membership = metrics.membership_config.membership();
    let voters = membership.get_joint_config().clone();
    let all: BTreeSet<u64> = membership.voter_ids().collect();
    if metrics.state == ServerState::Leader || !all.contains(&metrics.id) {
        return (voters, Vec::new());
    }
    let others = all.iter().filter(|node| **node != metrics.id);
    let address = |node: &u64| {
        membership
            .get_node(node)
            .map(|peer| (*node, peer.address.clone()))
    };
    (voters, others.filter_map(address).collect())
}

/// Lets this node stand or not, until the replica ends.
pub(crate) async fn watch(shared: Arc<Shared>) {
    let metrics = shared.raft.metrics();
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = shared.fence.tripped() => return,
        }
        let (voters, peers) = peers(&metrics.borrow());
        if peers.is_empty() {
            // A leader, a learner or a node alone: openraft knows what to do.
            shared.raft.runtime_config().elect(true);
            continue;
        }
        let asked = peers
            .iter()
            .map(|(node, address)| ask(&shared, *node, address));
        let said = join_all(asked).await;
        let may = may_stand(
            shared.identity.node.0,
            &voters,
            &said,
            shared.config.election_max,
        );
        shared.raft.runtime_config().elect(may);
    }
}

async fn ask(shared: &Shared, node: u64, address: &str) -> (u64, Said) {
    let envelope = shared.links.envelope(NodeId(node));
    let call = |mut client: Client| async move { client.heard(HeardRequest { envelope }).await };
    let answer = shared
        .links
        .call(
            (NodeId(node), address),
            Purpose::Question,
            ANSWER_WITHIN,
            call,
        )
        .await;
    let said = match answer {
        Ok(reply) => Said::Heard(reply.since_ms.map(Duration::from_millis)),
        // It is there, and refuses to tell: in doubt, it heard nobody.
        Err(LinkError::Failed(_, status)) if status.code() == tonic::Code::PermissionDenied => {
            Said::Heard(None)
        }
        Err(_) => Said::Silent,
    };
    (node, said)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATELY: Duration = Duration::from_millis(450);
    const NEVER: Said = Said::Heard(None);
    const NOW: Said = Said::Heard(Some(Duration::from_millis(90)));
    const LONG_AGO: Said = Said::Heard(Some(Duration::from_millis(450)));

    #[test]
    fn a_voter_stands_only_with_a_majority_that_hears_no_leader() {
        let three = [BTreeSet::from([1, 2, 3])];
        for (name, said, expected) in [
            (
                "the leader died",
                vec![(2, Said::Silent), (3, LONG_AGO)],
                true,
            ),
            (
                "the leader's disk hangs: it is reachable and hears nobody",
                vec![(2, NEVER), (3, LONG_AGO)],
                true,
            ),
            ("cut off", vec![(2, Said::Silent), (3, Said::Silent)], false),
            (
                "back again, the others hear a leader",
                vec![(2, NEVER), (3, NOW)],
                false,
            ),
            (
                "one hears it, one is down",
                vec![(2, Said::Silent), (3, NOW)],
                false,
            ),
            ("all just started", vec![(2, NEVER), (3, NEVER)], true),
        ] {
            assert_eq!(may_stand(1, &three, &said, LATELY), expected, "{name}");
        }
    }

    #[test]
    fn a_joint_configuration_needs_both_majorities() {
        let joint = [BTreeSet::from([1, 2, 3]), BTreeSet::from([1, 4, 5])];
        let said = [
            (2, NEVER),
            (3, Said::Silent),
            (4, Said::Silent),
            (5, Said::Silent),
        ];
        assert!(!may_stand(1, &joint, &said, LATELY));
        let said = [(2, NEVER), (3, Said::Silent), (4, NEVER), (5, Said::Silent)];
        assert!(may_stand(1, &joint, &said, LATELY));
        assert!(may_stand(1, &[], &[], LATELY), "in doubt");
    }
}
