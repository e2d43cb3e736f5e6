//! Handing leadership over: proposals wait, the successor catches up, heartbeats
//! cease, the successor stands. openraft 0.9 has no such thing; but a leader's own
//! refusal to elect anew has long passed, so with three voters the old leader and
//! the successor are a majority at once. With five, another voter's refusal must pass.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proto::peer::v1::{ElectRequest, TransferRequest, transfer_reply};
use state::NodeId;
use state::ports::{Leadership, MembersError};
use tokio::time::{Instant, timeout, timeout_at};
use tonic::Status;

use crate::leadership::term_of;
use crate::members::lag;
use crate::queue::MAX_IN_FLIGHT;
use crate::run::Shared;
use crate::transport::links::{Client, LinkError, Purpose};

/// How long a chosen successor may take to catch up, while proposals wait.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(1);

/// How long it may take to win. With five voters another one's refusal to elect
/// anew must pass first, which takes up to the longest election timeout.
const TAKE_OVER_WITHIN: Duration = Duration::from_secs(3);

/// How often a successor stands until it wins.
const STAND_EVERY: Duration = Duration::from_millis(150);

impl Shared {
    pub(crate) async fn transfer_there(
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
        let Leadership::Leading(_) = *self.outward.leadership.borrow() else {
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
        let mut leadership = self.outward.leadership.subscribe();
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
        let Leadership::Leading(term) = *self.outward.leadership.borrow() else {
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

    /// Waits until what was in flight has landed and `successor` has every entry. One that
    /// lacks an entry which others have stands in vain, and hinders them.
    async fn caught_up(&self, successor: NodeId) -> Result<(), MembersError> {
        let landed = self.flights.acquire_many(MAX_IN_FLIGHT);
        if timeout(CATCH_UP_WITHIN, landed).await.is_err() {
            return Err(MembersError::Refused(
                "what was proposed before was not agreed on in time".into(),
            ));
        }
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
        let mut leadership = self.outward.leadership.subscribe();
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
