//! Raft's membership, one change at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use openraft::ChangeMembers;
use openraft::error::{ClientWriteError, RaftError};
use state::ports::{Configuration, Leadership, Members, MembersError};
use state::{NodeId, State, Term};
use tokio::time::timeout;

use crate::leadership::vote_of;
use crate::replica::Replica;
use crate::run::Shared;
use crate::types::{Metrics, Peer};

/// A membership change passes through the log twice; after this its outcome is
/// unknown, though it may yet happen.
const CHANGE_WITHIN: Duration = Duration::from_secs(10);

/// A learner that lacks more entries than this is not made a voter (Consul's default).
const MAX_LAG: u64 = 250;

/// A voter that acknowledged nothing for so long does not count as there.
const PRESENT_WITHIN: Duration = Duration::from_secs(2);

#[async_trait]
impl Members for Replica {
    fn configuration(&self) -> Configuration {
        let state = self.life.outward.published.state();
        let joint = self.life.run().is_some_and(|run| {
            run.metrics(|metrics| {
                let membership = metrics.membership_config.membership();
                membership.get_joint_config().len() > 1
            })
        });
        Configuration {
            voters: state.voters().iter().copied().collect(),
            learners: state.learners().iter().copied().collect(),
            joint,
        }
    }

    fn lag(&self, node: NodeId) -> Option<u64> {
        self.life.run()?.metrics(|metrics| lag(metrics, node))
    }

    async fn add_learner(&self, node: NodeId, peer_address: &str) -> Result<(), MembersError> {
        let peer = Peer {
            address: peer_address.to_owned(),
        };
        let shared = self.life.to_change()?;
        let present = shared.metrics(|metrics| {
            metrics
                .membership_config
                .membership()
                .get_node(&node.0)
                .map(|known| known == &peer)
        });
        match present {
            Some(true) => self.shows(|state| takes_part(state, node)).await,
            Some(false) => Err(MembersError::Refused(format!(
                "node {node} takes part already, at another address"
            ))),
            None => {
                shared
                    .change(
                        ChangeMembers::AddNodes(BTreeMap::from([(node.0, peer)])),
                        true,
                    )
                    .await
            }
        }
    }

    async fn set_voters(&self, voters: Vec<NodeId>) -> Result<(), MembersError> {
        let voters: BTreeSet<u64> = voters.into_iter().map(|node| node.0).collect();
        let shared = self.life.to_change()?;
        shared.check_voters(&voters)?;
        shared
            .change(ChangeMembers::ReplaceAllVoters(voters), true)
            .await
    }

    async fn remove_learner(&self, node: NodeId) -> Result<(), MembersError> {
        let shared = self.life.to_change()?;
        let (voter, known) = shared.metrics(|metrics| {
            let membership = metrics.membership_config.membership();
            (
                membership.voter_ids().any(|voter| voter == node.0),
                membership.get_node(&node.0).is_some(),
            )
        });
        if voter {
            return Err(MembersError::Refused(format!(
                "node {node} is a voter; make it a learner first"
            )));
        }
        if !known {
            return self.shows(|state| !takes_part(state, node)).await;
        }
        shared
            .change(ChangeMembers::RemoveNodes(BTreeSet::from([node.0])), false)
            .await
    }

    async fn transfer(&self, target: Option<NodeId>) -> Result<NodeId, MembersError> {
        let shared = self.life.to_change()?;
        let leadership = *shared.outward.leadership.borrow();
        match leadership {
            Leadership::Leading(_) => shared.transfer_here(target).await,
            Leadership::Following {
                leader: Some(leader),
                ..
            } => shared.transfer_there(leader, target).await,
            Leadership::Following { leader: None, .. } => Err(MembersError::NotLeader(None)),
            Leadership::Stopped => Err(shared.stopped()),
        }
    }
}

fn takes_part(state: &State, node: NodeId) -> bool {
    state.voters().contains(&node) || state.learners().contains(&node)
}

impl Replica {
    /// Waits until what is applied shows what stands in the log already, be it by a leader
    /// before. To say at once that it is done would let a leader without a majority, which
    /// plans by what is applied, say so to itself for ever.
    async fn shows(&self, so: impl Fn(&State) -> bool) -> Result<(), MembersError> {
        let mut states = self.state();
        let seen = timeout(CHANGE_WITHIN, states.wait_for(|state| so(state))).await;
        match seen {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(MembersError::Unknown),
        }
    }
}

/// What `node` lacks, by the leader's last knowledge.
pub(crate) fn lag(metrics: &Metrics, node: NodeId) -> Option<u64> {
    let matched = metrics
        .replication
        .as_ref()?
        .get(&node.0)?
        .map_or(0, |matched| matched.index + 1);
    Some(
        metrics
            .last_log_index
            .map_or(0, |last| last + 1)
            .saturating_sub(matched),
    )
}

impl Shared {
    /// Looks at the present figures without holding them.
    pub(crate) fn metrics<T>(&self, look: impl FnOnce(&Metrics) -> T) -> T {
        look(&self.raft.metrics().borrow())
    }

    pub(crate) fn stopped(&self) -> MembersError {
        let halt = self.fence.halted();
        MembersError::Stopped(halt.map_or_else(|| "it has ended".into(), |halt| halt.to_string()))
    }

    pub(crate) fn not_leader(&self) -> MembersError {
        MembersError::NotLeader(self.outward.leadership.borrow().leader(self.identity.node))
    }

    /// Refuses a set of voters that could not commit anything, or without the
    /// leader: removing it costs seconds, handing over first does not.
    fn check_voters(&self, voters: &BTreeSet<u64>) -> Result<(), MembersError> {
        let Leadership::Leading(term) = *self.outward.leadership.borrow() else {
            return Err(self.not_leader());
        };
        if !voters.contains(&self.identity.node.0) {
            return Err(MembersError::Refused(
                "the leader would lose its vote; hand leadership over first".into(),
            ));
        }
        let now = self.clock.boottime();
        if !self.acks.quorum(
            self.identity.node.0,
            vote_of(term),
            std::slice::from_ref(voters),
            now,
            PRESENT_WITHIN,
        ) {
            return Err(MembersError::Refused(
                "a majority of those voters does not answer: nothing could be agreed on".into(),
            ));
        }
        let present: BTreeSet<u64> =
            self.metrics(|metrics| metrics.membership_config.voter_ids().collect());
        for node in voters.difference(&present) {
            if !self.answers(NodeId(*node), term) {
                return Err(MembersError::Refused(format!(
                    "node {node} does not answer"
                )));
            }
            match self.metrics(|metrics| lag(metrics, NodeId(*node))) {
                Some(lag) if lag <= MAX_LAG => {}
                Some(lag) => {
                    return Err(MembersError::Refused(format!(
                        "node {node} lacks {lag} entries yet"
                    )));
                }
                None => return Err(MembersError::Refused(format!("node {node} is no learner"))),
            }
        }
        Ok(())
    }

    /// Whether `node` acknowledged the leader of `term` lately. Of two, both are the
    /// majority.
    pub(crate) fn answers(&self, node: NodeId, term: Term) -> bool {
        let me = self.identity.node.0;
        let now = self.clock.boottime();
        self.acks.quorum(
            me,
            vote_of(term),
            &[BTreeSet::from([me, node.0])],
            now,
            PRESENT_WITHIN,
        )
    }

    /// Carries one change through the log.
    async fn change(
        &self,
        changes: ChangeMembers<u64, Peer>,
        retain: bool,
    ) -> Result<(), MembersError> {
        if !matches!(*self.outward.leadership.borrow(), Leadership::Leading(_)) {
            return Err(self.not_leader());
        }
        let Ok(_one) = self.changing.try_lock() else {
            return Err(MembersError::Refused(
                "another change of the membership is under way".into(),
            ));
        };
        let changed = tokio::select! {
            changed = timeout(CHANGE_WITHIN, self.raft.change_membership(changes, retain)) => changed,
            _ = self.fence.tripped() => return Err(MembersError::Unknown),
        };
        match changed {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(error)))) => {
                Err(MembersError::Refused(error.to_string()))
            }
            // It led when it began: the entry may stand in others' logs.
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))) | Err(_) => {
                Err(MembersError::Unknown)
            }
            Ok(Err(RaftError::Fatal(error))) => Err(MembersError::Stopped(error.to_string())),
        }
    }

    /// Whether a majority of the voters answered lately; for a leader.
    pub(crate) fn has_quorum(&self) -> bool {
        let Leadership::Leading(term) = *self.outward.leadership.borrow() else {
            return false;
        };
        let voters = self.metrics(|metrics| {
            metrics
                .membership_config
                .membership()
                .get_joint_config()
                .clone()
        });
        let now = self.clock.boottime();
        self.acks.quorum(
            self.identity.node.0,
            vote_of(term),
            &voters,
            now,
            PRESENT_WITHIN,
        )
    }
}
