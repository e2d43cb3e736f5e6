//! Who leads, as a watched value; and whether this node may still act on it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::ServerState;
use openraft::error::Fatal;
use state::ports::{Leadership, Lease};
use state::{NodeId, Term};

use crate::acks::Acks;
use crate::fence::Halt;
use crate::replica::Replica;
use crate::run::Shared;
use crate::types::{Metrics, Vote};

/// openraft tells leaders apart by term *and* node: in one of its terms a second
/// node may be elected after a first. Everywhere else a [`Term`] has one leader. So
/// ours is openraft's with the node's id in the last six digits; ids are drawn from a
/// counter and stay far below that (a replica does not start under a larger one).
pub(crate) const NODES_PER_TERM: u64 = 1_000_000;

/// The term of the leader, or candidate, that `vote` is for.
pub(crate) fn term_of(vote: &Vote) -> Term {
    let leader = vote.leader_id();
    Term(
        leader
            .term
            .saturating_mul(NODES_PER_TERM)
            .saturating_add(leader.node_id % NODES_PER_TERM),
    )
}

/// The vote that made the leader of `term`.
pub(crate) fn vote_of(term: Term) -> Vote {
    Vote::new_committed(term.0 / NODES_PER_TERM, term.0 % NODES_PER_TERM)
}

/// What Raft's figures say about who leads. A leader that starts again takes itself
/// for one at once, though another may have been elected meanwhile: so this node leads
/// only once a majority has acknowledged it in this process.
fn leadership(metrics: &Metrics, acks: &Acks) -> Leadership {
    let term = term_of(&metrics.vote);
    let voters = metrics.membership_config.membership().get_joint_config();
    if metrics.state == ServerState::Leader
        && metrics.vote.is_committed()
        && metrics.current_leader == Some(metrics.id)
        && acks.quorum(
            metrics.id,
            metrics.vote,
            voters,
            Duration::ZERO,
            Duration::MAX,
        )
    {
        return Leadership::Leading(term);
    }
    // A leader that was removed goes on naming itself. And the leader is that of the vote
    // in memory, the term that of the durable one: while a slow disk still flushes, the one
    // does not lead in the other.
    let leader = metrics
        .current_leader
        .filter(|leader| *leader != metrics.id && *leader == metrics.vote.leader_id().node_id)
        .map(NodeId);
    Leadership::Following { term, leader }
}

/// Keeps the watched value until the run ends; notices when Raft itself ends.
pub(crate) async fn follow(shared: Arc<Shared>) {
    let mut metrics = shared.raft.metrics();
    let mut connected = Vec::new();
    loop {
        let (now, running, members) = {
            // Not held across an await: it would block Raft's core.
            let metrics = metrics.borrow_and_update();
            let members: Vec<u64> = metrics
                .membership_config
                .nodes()
                .map(|(id, _)| *id)
                .collect();
            (
                leadership(&metrics, &shared.acks),
                metrics.running_state.clone(),
                members,
            )
        };
        if let Err(error) = running {
            shared.fence.trip(reason(&error));
        }
        if shared.fence.halted().is_some() {
            break;
        }
        let changed = shared
            .outward
            .leadership
            .send_if_modified(|known| std::mem::replace(known, now) != now);
        if changed {
            tracing::info!(?now, "leadership");
        }
        if changed || members != connected {
            let leader = now.leader(shared.identity.node);
            shared
                .links
                .retain(|peer| members.contains(&peer.0) || leader == Some(peer));
            shared.remember_members();
            connected = members;
        }
        tokio::select! {
            changed = metrics.changed() => {
                if changed.is_err() {
                    shared.fence.trip(Halt::Raft("its core is gone".into()));
                }
            }
            _ = shared.fence.tripped() => {}
        }
    }
    shared.outward.leadership.send_replace(Leadership::Stopped);
}

/// Why Raft has ended: a store that could not read or write, or itself.
fn reason(error: &Fatal<u64>) -> Halt {
    match error {
        Fatal::StorageError(error) => Halt::Store {
            database: "store",
            reason: error.to_string(),
        },
        Fatal::Panicked | Fatal::Stopped => Halt::Raft(error.to_string()),
    }
}

impl Lease for Replica {
    fn holds(&self, term: Term) -> bool {
        self.life.run().is_some_and(|run| run.lease_holds(term))
    }
}

impl Shared {
    /// See [`Lease::holds`]. Followers refuse another leader for `election_max` after
    /// an append came in; an acknowledgement counts from before that append was sent,
    /// and for half as long. Handing over is the one way around that refusal, so
    /// there is no lease meanwhile.
    pub(crate) fn lease_holds(&self, term: Term) -> bool {
        if self.fence.halted().is_some()
            || self.transferring.load(Ordering::SeqCst)
            || *self.outward.leadership.borrow() != Leadership::Leading(term)
        {
            return false;
        }
        let voters = self
            .raft
            .metrics()
            .borrow()
            .membership_config
            .membership()
            .get_joint_config()
            .clone();
        let within = self.config.election_max / 2;
        self.acks.quorum(
            self.identity.node.0,
            vote_of(term),
            &voters,
            self.clock.boottime(),
            within,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_names_one_leader_and_grows_with_votes() {
        let votes = [(1, 1), (1, 2), (2, 1), (2, 3), (30, 2)]
            .map(|(term, node)| Vote::new_committed(term, node));
        assert!(
            votes
                .windows(2)
                .all(|pair| pair[0] < pair[1] && term_of(&pair[0]) < term_of(&pair[1]))
        );
        assert!(votes.iter().all(|vote| vote_of(term_of(vote)) == *vote));
        assert_eq!(term_of(&votes[3]), Term(2_000_003));
    }

    #[test]
    fn a_leader_is_named_in_its_own_term_only() {
        let mut metrics = Metrics::new_initial(3);
        let mut follows = |vote, leader| {
            metrics.vote = vote;
            metrics.current_leader = Some(leader);
            leadership(&metrics, &Acks::default())
        };
        let in_term = |term, leader: Option<u64>| Leadership::Following {
            term: Term(term),
            leader: leader.map(NodeId),
        };
        assert_eq!(
            follows(Vote::new_committed(13, 1), 1),
            in_term(13_000_001, Some(1))
        );
        // Another was elected, and this node's disk still flushes what it was told of it.
        assert_eq!(
            follows(Vote::new_committed(13, 1), 4),
            in_term(13_000_001, None)
        );
        // Granted, and durable, before it was elected.
        assert_eq!(follows(Vote::new(17, 4), 4), in_term(17_000_004, Some(4)));
    }
}
