//! Raft's membership, one change at a time; and handing leadership over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use openraft::ChangeMembers;
use openraft::error::{ClientWriteError, RaftError};
use proto::peer::v1::{ElectRequest, TransferRequest, transfer_reply};
use state::ports::{Configuration, Leadership, Members, MembersError};
use state::{NodeId, Term};
use tokio::time::{Instant, timeout, timeout_at};
use tonic::Status;

use crate::leadership::{term_of, vote_of};
use crate::replica::{Replica, Shared};
use crate::transport::links::{Client, LinkError, Purpose};
use crate::types::{Metrics, Peer};

/// A membership change passes through the log twice; after this its outcome is
/// unknown, though it may yet happen.
const CHANGE_WITHIN: Duration = Duration::from_secs(10);

/// A learner that lacks more entries than this is not made a voter (Consul's default).
const MAX_LAG: u64 = 250;

/// A voter that acknowledged nothing for so long does not count as there.
const PRESENT_WITHIN: Duration = Duration::from_secs(2);

/// How long a chosen successor may take to catch up, while proposals wait.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(1);

/// How long it may take to win. With five voters another one's refusal to elect
/// anew must pass first, which takes up to the longest election timeout.
const TAKE_OVER_WITHIN: Duration = Duration::from_secs(3);

/// How often a successor stands until it wins.
const STAND_EVERY: Duration = Duration::from_millis(150);

#[async_trait]
impl Members for Replica {
    fn configuration(&self) -> Configuration {
        let state = self.shared.published.state.borrow().clone();
        let joint = self.shared.metrics(|metrics| {
            metrics
                .membership_config
                .membership()
                .get_joint_config()
                .len()
                > 1
        });
        Configuration {
            voters: state.voters().iter().copied().collect(),
            learners: state.learners().iter().copied().collect(),
            joint,
        }
    }

    fn lag(&self, node: NodeId) -> Option<u64> {
        self.shared.metrics(|metrics| lag(metrics, node))
    }

    async fn add_learner(&self, node: NodeId, peer_address: &str) -> Result<(), MembersError> {
        let peer = Peer {
            address: peer_address.to_owned(),
        };
        let present = self.shared.metrics(|metrics| {
            metrics
                .membership_config
                .membership()
                .get_node(&node.0)
                .map(|known| known == &peer)
        });
        match present {
            Some(true) => Ok(()),
            Some(false) => Err(MembersError::Refused(format!(
                "node {node} takes part already, at another address"
            ))),
            None => {
                self.shared
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
        self.shared.check_voters(&voters)?;
        self.shared
            .change(ChangeMembers::ReplaceAllVoters(voters), true)
            .await
    }

    async fn remove_learner(&self, node: NodeId) -> Result<(), MembersError> {
        let (voter, known) = self.shared.metrics(|metrics| {
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
            return Ok(());
        }
        self.shared
            .change(ChangeMembers::RemoveNodes(BTreeSet::from([node.0])), false)
            .await
    }

    async fn transfer(&self, target: Option<NodeId>) -> Result<NodeId, MembersError> {
        let shared = &self.shared;
        let leadership = *shared.leadership.borrow();
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

/// What `node` lacks, by the leader's last knowledge.
fn lag(metrics: &Metrics, node: NodeId) -> Option<u64> {
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

    fn stopped(&self) -> MembersError {
        let halt = self.fence.halted();
        MembersError::Stopped(halt.map_or_else(|| "it has ended".into(), |halt| halt.to_string()))
    }

    fn not_leader(&self) -> MembersError {
        MembersError::NotLeader(self.leadership.borrow().leader(self.identity.node))
    }

    /// Refuses a set of voters that could not commit anything, or without the
    /// leader: removing it costs seconds, handing over first does not.
    fn check_voters(&self, voters: &BTreeSet<u64>) -> Result<(), MembersError> {
        let Leadership::Leading(term) = *self.leadership.borrow() else {
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
    fn answers(&self, node: NodeId, term: Term) -> bool {
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
        if !matches!(*self.leadership.borrow(), Leadership::Leading(_)) {
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

    async fn transfer_there(
        &self,
        leader: NodeId,
        target: Option<NodeId>,
    ) -> Result<NodeId, MembersError> {
        let address = self
            .address(leader)
            .ok_or(MembersError::NotLeader(Some(leader)))?;
        let request = TransferRequest {
            envelope: self.links.envelope(leader),
            target: target.unwrap_or_default().0,
        };
        let within = CATCH_UP_WITHIN + TAKE_OVER_WITHIN + Duration::from_secs(1);
        let call = |mut client: Client| async move { client.transfer(request).await };
        let reply = self
            .links
            .call((leader, &address), Purpose::Question, within, call)
            .await;
        let reply = reply.map_err(|error| match error {
            LinkError::NotSent(..) => MembersError::NotLeader(Some(leader)),
            _ => MembersError::Unknown,
        })?;
        match reply.reply {
            Some(transfer_reply::Reply::Leader(node)) => Ok(NodeId(node)),
            Some(transfer_reply::Reply::NotLeader(0)) => Err(MembersError::NotLeader(None)),
            Some(transfer_reply::Reply::NotLeader(node)) => {
                Err(MembersError::NotLeader(Some(NodeId(node))))
            }
            Some(transfer_reply::Reply::Refused(why)) => Err(MembersError::Refused(why)),
            None => Err(MembersError::Unknown),
        }
    }

    /// Hands leadership over from this node, which must lead: proposals wait, the
    /// successor catches up, heartbeats cease, the successor stands. Whatever comes of
    /// it, this node works on as before if it still leads then.
    pub(crate) async fn transfer_here(
        &self,
        target: Option<NodeId>,
    ) -> Result<NodeId, MembersError> {
        let Leadership::Leading(_) = *self.leadership.borrow() else {
            return Err(self.not_leader());
        };
        let Ok(_one) = self.changing.try_lock() else {
            return Err(MembersError::Refused(
                "a change of the membership is under way".into(),
            ));
        };
        if target == Some(self.identity.node) {
            return Ok(self.identity.node);
        }
        let successor = self.successor(target)?;
        let _handover = Handover::begin(self);
        self.caught_up(successor).await?;
        let mut leadership = self.leadership.subscribe();
        let Leadership::Leading(term) = *leadership.borrow_and_update() else {
            return Err(self.not_leader());
        };
        let deadline = Instant::now() + TAKE_OVER_WITHIN;
        self.ask_to_stand(successor, term.0, deadline).await?;
        let other = leadership.wait_for(|now| match now {
            Leadership::Following { leader, .. } => leader.is_some(),
            Leadership::Leading(now) => *now != term,
            Leadership::Stopped => true,
        });
        match timeout_at(deadline, other).await {
            Ok(Ok(now)) => now.leader(self.identity.node).ok_or_else(|| self.stopped()),
            Ok(Err(_)) => Err(self.stopped()),
            Err(_) => Err(MembersError::Refused(format!(
                "node {successor} did not take over in time"
            ))),
        }
    }

    /// The voter to lead next.
    fn successor(&self, target: Option<NodeId>) -> Result<NodeId, MembersError> {
        let me = self.identity.node;
        let voters: BTreeSet<u64> =
            self.metrics(|metrics| metrics.membership_config.voter_ids().collect());
        if let Some(target) = target {
            return if voters.contains(&target.0) {
                Ok(target)
            } else {
                Err(MembersError::Refused(format!("node {target} is no voter")))
            };
        }
        let Leadership::Leading(term) = *self.leadership.borrow() else {
            return Err(self.not_leader());
        };
        let others = voters
            .iter()
            .filter(|node| **node != me.0 && self.answers(NodeId(**node), term));
        let best = others.min_by_key(|node| {
            self.metrics(|metrics| lag(metrics, NodeId(**node)))
                .unwrap_or(u64::MAX)
        });
        best.copied()
            .map(NodeId)
            .ok_or_else(|| MembersError::Refused("no other voter answers".into()))
    }

    /// Waits until `successor` has every entry.
    async fn caught_up(&self, successor: NodeId) -> Result<(), MembersError> {
        let mut metrics = self.raft.metrics();
        let there = metrics.wait_for(|metrics| {
            lag(metrics, successor) == Some(0) || metrics.running_state.is_err()
        });
        match timeout(CATCH_UP_WITHIN, there).await {
            Ok(_) => Ok(()),
            Err(_) => Err(MembersError::Refused(format!(
                "node {successor} did not catch up in time"
            ))),
        }
    }

    async fn ask_to_stand(
        &self,
        successor: NodeId,
        term: u64,
        deadline: Instant,
    ) -> Result<(), MembersError> {
        let address = self
            .address(successor)
            .ok_or_else(|| MembersError::Refused(format!("node {successor} has no address")))?;
        let request = ElectRequest {
            envelope: self.links.envelope(successor),
            term,
        };
        let call = |mut client: Client| async move { client.elect(request).await };
        let within = deadline.saturating_duration_since(Instant::now());
        match self
            .links
            .call((successor, &address), Purpose::Question, within, call)
            .await
        {
            Ok(_) => Ok(()),
            Err(error) => Err(MembersError::Refused(error.to_string())),
        }
    }

    /// Stands for election because `leader` of `term` hands over, until it wins or
    /// somebody else does.
    pub(crate) async fn stand_for(&self, leader: NodeId, term: u64) -> Result<(), Status> {
        let now = self.metrics(|metrics| (term_of(&metrics.vote).0, metrics.current_leader));
        if now != (term, Some(leader.0)) {
            return Err(Status::failed_precondition(
                "that leader does not lead any more",
            ));
        }
        let mut leadership = self.leadership.subscribe();
        let deadline = Instant::now() + TAKE_OVER_WITHIN;
        while Instant::now() < deadline {
            let elected = self.raft.trigger().elect().await;
            elected.map_err(|error| Status::unavailable(format!("raft has stopped: {error}")))?;
            let settled = leadership.wait_for(|now| match now {
                Leadership::Leading(_) | Leadership::Stopped => true,
                Leadership::Following { leader: other, .. } => {
                    other.is_some_and(|other| other != leader)
                }
            });
            if timeout(STAND_EVERY, settled).await.is_ok() {
                return Ok(());
            }
        }
        Err(Status::failed_precondition("no majority elected this node"))
    }

    /// Whether a majority of the voters answered lately; for a leader.
    pub(crate) fn has_quorum(&self) -> bool {
        let Leadership::Leading(term) = *self.leadership.borrow() else {
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

/// While it lives: no lease, no new proposals, no heartbeats.
struct Handover<'a>(&'a Shared);

impl<'a> Handover<'a> {
    fn begin(shared: &'a Shared) -> Self {
        shared.transferring.store(true, Ordering::SeqCst);
        shared.paused.send_replace(true);
        shared.raft.runtime_config().heartbeat(false);
        Self(shared)
    }
}

impl Drop for Handover<'_> {
    fn drop(&mut self) {
        self.0.raft.runtime_config().heartbeat(true);
        self.0.paused.send_replace(false);
        self.0.transferring.store(false, Ordering::SeqCst);
    }
}
