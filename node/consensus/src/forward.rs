//! The door to the log from any node: propose and barrier, here if this node leads,
//! else at the leader.

use std::time::Duration;

use async_trait::async_trait;
use openraft::error::{CheckIsLeaderError, RaftError};
use proto::peer::v1::{
    Failure, ProposeReply, ProposeRequest, ReadIndexReply, ReadIndexRequest, propose_reply,
    read_index_reply,
};
use state::ports::{Applied, Leadership, Propose, ProposeError};
use state::{Actor, Change, Index, NodeId, Term, codec};
use tokio::time::{Instant, timeout_at};

use crate::replica::Replica;
use crate::run::Shared;
use crate::transport::links::{Client, LinkError, Purpose};
use crate::transport::server::FORWARD_MARGIN;

/// Between two attempts while nobody leads or the one that did cannot be reached.
const PAUSE: Duration = Duration::from_millis(50);

#[async_trait]
impl Propose for Replica {
    async fn propose(&self, actor: Actor, change: Change) -> Result<Applied, ProposeError> {
        let shared = self.life.to_propose()?;
        shared.check_level(&change)?;
        let deadline = shared.deadline();
        loop {
            let attempt = match shared.leads()? {
                Leads::Here => {
                    shared
                        .propose_here(actor.clone(), None, change.clone(), deadline)
                        .await
                }
                Leads::There(leader) => {
                    shared
                        .propose_there(leader, &actor, &change, deadline)
                        .await
                }
                Leads::Nobody => Err(ProposeError::NoLeader),
            };
            match attempt {
                // Certainly not proposed: ask whoever leads next, while there is time.
                Err(ProposeError::NotLeader(_) | ProposeError::NoLeader)
                    if Instant::now() < deadline =>
                {
                    shared.pause(deadline).await;
                }
                Err(ProposeError::NotLeader(_)) => return Err(ProposeError::NoLeader),
                answer => return answer,
            }
        }
    }

    async fn propose_as(&self, term: Term, change: Change) -> Result<Applied, ProposeError> {
        let shared = self.life.to_propose()?;
        shared.check_level(&change)?;
        let deadline = shared.deadline();
        shared
            .propose_here(Actor::leader(), Some(term), change, deadline)
            .await
    }

    async fn barrier(&self) -> Result<Index, ProposeError> {
        let shared = self.life.to_propose()?;
        let deadline = shared.deadline();
        loop {
            let attempt = match shared.leads()? {
                Leads::Here => shared.read_index_here(deadline).await,
                Leads::There(leader) => shared.read_index_there(leader, deadline).await,
                Leads::Nobody => Err(ProposeError::NoLeader),
            };
            match attempt {
                Ok(index) if shared.applied(index, deadline).await => return Ok(index),
                Ok(_) => return Err(ProposeError::Unknown),
                Err(stopped @ ProposeError::Stopped(_)) => return Err(stopped),
                // A read has no outcome to be unknown: ask again.
                Err(_) if Instant::now() < deadline => shared.pause(deadline).await,
                Err(_) => return Err(ProposeError::NoLeader),
            }
        }
    }
}

/// How long a deposed leader's answer is still waited for.
const LATE_ANSWER: Duration = Duration::from_millis(300);

/// Where a proposal goes.
enum Leads {
    Here,
    There(NodeId),
    Nobody,
}

impl Shared {
    /// When a call that begins now must be answered.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.config.answer_within
    }

    /// The level that this node has applied is agreed on: all members know it, whoever leads.
    fn check_level(&self, change: &Change) -> Result<(), ProposeError> {
        let (needs, is) = (change.level(), self.outward.published.state().level());
        if needs <= is {
            Ok(())
        } else {
            Err(ProposeError::Level { needs, is })
        }
    }

    fn leads(&self) -> Result<Leads, ProposeError> {
        if let Some(halt) = self.fence.halted() {
            return Err(ProposeError::Stopped(halt.to_string()));
        }
        Ok(match *self.outward.leadership.borrow() {
            Leadership::Leading(_) => Leads::Here,
            Leadership::Following {
                leader: Some(leader),
                ..
            } => Leads::There(leader),
            Leadership::Following { leader: None, .. } | Leadership::Stopped => Leads::Nobody,
        })
    }

    /// Waits for another leader, or a moment.
    async fn pause(&self, deadline: Instant) {
        let mut leadership = self.outward.leadership.subscribe();
        let until = deadline.min(Instant::now() + PAUSE);
        let _ = timeout_at(until, leadership.changed()).await;
    }

    /// Proposes at this node; [`ProposeError::NotLeader`] if it does not lead.
    pub(crate) async fn propose_here(
        &self,
        actor: Actor,
        duty: Option<Term>,
        change: Change,
        deadline: Instant,
    ) -> Result<Applied, ProposeError> {
        if let Some(halt) = self.fence.halted() {
            return Err(ProposeError::Stopped(halt.to_string()));
        }
        self.queue.submit(actor, duty, change, deadline).await
    }

    /// Proposes at `leader` and waits until its answer is applied here.
    async fn propose_there(
        &self,
        leader: NodeId,
        actor: &Actor,
        change: &Change,
        deadline: Instant,
    ) -> Result<Applied, ProposeError> {
        let address = self.address(leader).ok_or(ProposeError::NoLeader)?;
        let request = ProposeRequest {
            envelope: self.links.envelope(leader),
            command: codec::proposal_to(actor, change).into(),
        };
        let within = left(deadline);
        let call = |mut client: Client| async move {
            let mut request = tonic::Request::new(request);
            request.set_timeout(within.saturating_sub(FORWARD_MARGIN));
            client.propose(request).await
        };
        let reply = tokio::select! {
            reply = self.links.call((leader, &address), Purpose::Question, within, call) => reply,
            () = self.deposed(leader) => return Err(ProposeError::Unknown),
        };
        let ProposeReply { reply } = reply.map_err(|error| unanswered(&error))?;
        let applied = match reply {
            Some(propose_reply::Reply::Applied(applied)) => applied,
            Some(propose_reply::Reply::NotLeader(_)) => return Err(ProposeError::NoLeader),
            Some(propose_reply::Reply::Failure(failure)) => return Err(failed(failure)),
            None => return Err(ProposeError::Unknown),
        };
        let outcome = codec::outcome_from(&applied.outcome).map_err(|_| ProposeError::Unknown)?;
        let index = Index(applied.index);
        if self.applied(index, deadline).await {
            Ok(Applied { index, outcome })
        } else {
            Err(ProposeError::Unknown)
        }
    }

    /// Waits until somebody else leads, and a moment more: a leader that hangs holds
    /// back its answer for long after another was elected.
    async fn deposed(&self, leader: NodeId) {
        let mut leadership = self.outward.leadership.subscribe();
        let me = self.identity.node;
        let other = leadership.wait_for(|now| now.leader(me).is_some_and(|now| now != leader));
        // It is not closed before the replica ends, which ends the call, too.
        let _ = other.await;
        tokio::time::sleep(LATE_ANSWER).await;
    }

    /// Confirms with a quorum that this node leads; the index that a read must have
    /// applied. Not before what the log had when this run began: openraft lets a leader that
    /// starts anew lead on in its term, for which it names the first entry of that term and what
    /// it knows to be committed. Of the entries behind that some may have been acknowledged
    /// before, and it will only learn so.
    pub(crate) async fn read_index_here(&self, deadline: Instant) -> Result<Index, ProposeError> {
        let confirmed = tokio::select! {
            confirmed = timeout_at(deadline, self.raft.get_read_log_id()) => confirmed,
            halt = self.fence.tripped() => return Err(ProposeError::Stopped(halt.to_string())),
        };
        match confirmed {
            Ok(Ok((read, _))) => Ok(Index(read.map_or(0, |read| read.index)).max(self.found)),
            Ok(Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(forward)))) => {
                Err(ProposeError::NotLeader(forward.leader_id.map(NodeId)))
            }
            Ok(Err(RaftError::Fatal(error))) => Err(ProposeError::Stopped(error.to_string())),
            Ok(Err(RaftError::APIError(CheckIsLeaderError::QuorumNotEnough(_)))) | Err(_) => {
                Err(ProposeError::NoLeader)
            }
        }
    }

    async fn read_index_there(
        &self,
        leader: NodeId,
        deadline: Instant,
    ) -> Result<Index, ProposeError> {
        let address = self.address(leader).ok_or(ProposeError::NoLeader)?;
        let request = ReadIndexRequest {
            envelope: self.links.envelope(leader),
        };
        let call = |mut client: Client| async move { client.read_index(request).await };
        let reply = self
            .links
            .call((leader, &address), Purpose::Question, left(deadline), call)
            .await;
        let ReadIndexReply { reply } = reply.map_err(|error| unanswered(&error))?;
        match reply {
            Some(read_index_reply::Reply::Index(index)) => Ok(Index(index)),
            Some(read_index_reply::Reply::Failure(failure)) => Err(failed(failure)),
            Some(read_index_reply::Reply::NotLeader(_)) | None => Err(ProposeError::NoLeader),
        }
    }

    /// Waits until `index` is applied and published here.
    async fn applied(&self, index: Index, deadline: Instant) -> bool {
        let mut state = self.outward.published.subscribe();
        let reached = state.wait_for(|state| state.index() >= index);
        tokio::select! {
            reached = timeout_at(deadline, reached) => matches!(reached, Ok(Ok(_))),
            _ = self.fence.tripped() => false,
        }
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

fn unanswered(error: &LinkError) -> ProposeError {
    tracing::debug!(%error, "the leader was asked in vain");
    match error {
        LinkError::NotSent(..) => ProposeError::NoLeader,
        LinkError::Timeout(..) => ProposeError::Unknown,
        // Turned away by the checks before anything was read.
        LinkError::Failed(_, status)
            if matches!(
                status.code(),
                tonic::Code::PermissionDenied
                    | tonic::Code::InvalidArgument
                    | tonic::Code::FailedPrecondition
            ) =>
        {
            ProposeError::NoLeader
        }
        LinkError::Failed(..) => ProposeError::Unknown,
        LinkError::Ended => ProposeError::Unknown,
    }
}

fn failed(failure: i32) -> ProposeError {
    match Failure::try_from(failure) {
        Ok(Failure::Overloaded) => ProposeError::Overloaded,
        // The other's replica, not ours: another will lead.
        Ok(Failure::Stopped) => ProposeError::NoLeader,
        Ok(Failure::Unknown | Failure::Unspecified) | Err(_) => ProposeError::Unknown,
    }
}
