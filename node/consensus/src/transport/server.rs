//! The receiving half: checks who asks, then hands on.
//!
//! Every call is refused unless the connection's authenticated owner, the cluster
//! and both ends named in the message agree, unless the sender may be a member as far
//! as this node knows, and while the replica stands still. Bodies only are told then,
//! too, if the store can be read.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use openraft::raft::{AppendEntriesRequest, VoteRequest};
use proto::peer::v1::consensus_server::{Consensus, ConsensusServer};
use proto::peer::v1::{
    Applied, ElectReply, ElectRequest, Envelope, Failure, HeardReply, HeardRequest, ProposeReply,
    ProposeRequest, RaftMessage, ReadBodyReply, ReadBodyRequest, ReadIndexReply, ReadIndexRequest,
    SnapshotPart, TransferReply, TransferRequest, propose_reply, read_index_reply, transfer_reply,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use state::ports::{MembersError, ProposeError};
use state::{NodeId, codec};
use tonic::{Request, Response, Status, Streaming};

use super::{MAX_MESSAGE_BYTES, PeerIdentity};
use crate::blocking;
use crate::elsewhere::MAX_BODY_BYTES;
use crate::fence::Halt;
use crate::life::Life;
use crate::run::Shared;
use crate::snapshot_receiver;
use crate::store::MAX_KEY_BYTES;
use crate::types::{TypeConfig, Vote};
use crate::wire;

/// The service that peers call, for the listener to mount.
pub type PeerService = ConsensusServer<Receiver>;

/// See the module. Does not keep the replica: a peer may hold its connection open for
/// longer than the replica lives.
pub struct Receiver {
    life: Weak<Life>,
}

impl Receiver {
    pub(crate) fn service(life: &Arc<Life>) -> PeerService {
        ConsensusServer::new(Self {
            life: Arc::downgrade(life),
        })
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// Whom the connection belongs to.
    fn caller<T>(request: &Request<T>) -> Result<NodeId, Status> {
        let identity = request.extensions().get::<PeerIdentity>();
        let PeerIdentity(node) = identity
            .ok_or_else(|| Status::unauthenticated("the connection belongs to no member"))?;
        Ok(*node)
    }

    /// Checks the envelope against the connection's owner and what is known here, and
    /// that the replica runs. Answers with the run, and the sender.
    fn check(
        &self,
        caller: NodeId,
        envelope: Option<&Envelope>,
    ) -> Result<(Arc<Shared>, NodeId), Status> {
        let (_, shared) = self.check_sender(caller, envelope)?;
        match shared.fence.halted() {
            // Told apart from a call that was begun: of this one nothing was read.
            Some(halt) => Err(Status::failed_precondition(format!(
                "this replica has stopped: {halt}"
            ))),
            None => Ok((shared, caller)),
        }
    }

    /// Checks the envelope only: the run may have stopped.
    fn check_sender(
        &self,
        caller: NodeId,
        envelope: Option<&Envelope>,
    ) -> Result<(Arc<Life>, Arc<Shared>), Status> {
        let gone = || Status::unavailable("this replica has ended");
        let life = self.life.upgrade().ok_or_else(gone)?;
        let closed = || Status::failed_precondition("this replica is being reopened");
        let shared = life.run().ok_or_else(closed)?;
        let envelope =
            envelope.ok_or_else(|| Status::invalid_argument("the message has no envelope"))?;
        let me = shared.identity;
        if envelope.cluster_id[..] != me.cluster.0[..] {
            return Err(Status::permission_denied(
                "the message is for another cluster",
            ));
        }
        if envelope.to != me.node.0 {
            let text = format!(
                "the message is for node {}, this is node {}",
                envelope.to, me.node
            );
            return Err(Status::permission_denied(text));
        }
        if envelope.from != caller.0 {
            return Err(Status::permission_denied(
                "the message names another sender than the connection's owner",
            ));
        }
        if !shared.may_be_member(caller) {
            return Err(Status::permission_denied(format!(
                "node {caller} is no member of this cluster"
            )));
        }
        Ok((life, shared))
    }

    fn read<T: DeserializeOwned>(message: &RaftMessage) -> Result<T, Status> {
        wire::from_sent(message.version, &message.body)
            .map_err(|error| Status::invalid_argument(error.to_string()))
    }
}

/// Waits for `answer`, but not beyond the end of the replica: Raft's core may be stuck
/// behind a disk that hangs.
async fn until_ended<T>(shared: &Shared, answer: impl Future<Output = T>) -> Result<T, Status> {
    tokio::select! {
        answer = answer => Ok(answer),
        halt = shared.fence.tripped() => Err(ended(&halt)),
    }
}

fn ended(halt: &Halt) -> Status {
    Status::unavailable(format!("this replica has ended: {halt}"))
}

fn reply<T: Serialize>(
    shared: &Shared,
    to: NodeId,
    body: &T,
) -> Result<Response<RaftMessage>, Status> {
    let body = wire::to_sent(body).map_err(|error| Status::internal(error.to_string()))?;
    Ok(Response::new(RaftMessage {
        envelope: shared.links.envelope(to),
        version: u32::from(wire::VERSION),
        body: Bytes::from(body),
    }))
}

/// openraft answers a peer with an error only when it has stopped.
fn stopped(error: impl std::fmt::Display) -> Status {
    Status::unavailable(format!("raft has stopped: {error}"))
}

#[tonic::async_trait]
impl Consensus for Receiver {
    async fn append(&self, request: Request<RaftMessage>) -> Result<Response<RaftMessage>, Status> {
        let caller = Self::caller(&request)?;
        let message = request.into_inner();
        let (shared, from) = self.check(caller, message.envelope.as_ref())?;
        let rpc: AppendEntriesRequest<TypeConfig> = Self::read(&message)?;
        // Before the core sees it: the core may be waiting for the disk.
        shared.heard.heard(rpc.vote, shared.clock.boottime());
        let answer = until_ended(&shared, shared.raft.append_entries(rpc))
            .await?
            .map_err(stopped)?;
        reply(&shared, from, &answer)
    }

    async fn vote(&self, request: Request<RaftMessage>) -> Result<Response<RaftMessage>, Status> {
        let caller = Self::caller(&request)?;
        let message = request.into_inner();
        let (shared, from) = self.check(caller, message.envelope.as_ref())?;
        let rpc: VoteRequest<u64> = Self::read(&message)?;
        let answer = until_ended(&shared, shared.raft.vote(rpc))
            .await?
            .map_err(stopped)?;
        reply(&shared, from, &answer)
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<SnapshotPart>>,
    ) -> Result<Response<RaftMessage>, Status> {
        let caller = Self::caller(&request)?;
        let mut parts = request.into_inner();
        let header = snapshot_receiver::header(&mut parts).await?;
        let (shared, from) = self.check(caller, header.envelope.as_ref())?;
        let receive = snapshot_receiver::receive(&shared, header, parts);
        let vote: Vote = until_ended(&shared, receive).await??;
        reply(&shared, from, &vote)
    }

    async fn heard(&self, request: Request<HeardRequest>) -> Result<Response<HeardReply>, Status> {
        let caller = Self::caller(&request)?;
        let (shared, _) = self.check(caller, request.get_ref().envelope.as_ref())?;
        let since = shared.heard.since(shared.clock.boottime());
        let since_ms = since.map(|since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        Ok(Response::new(HeardReply { since_ms }))
    }

    async fn propose(
        &self,
        request: Request<ProposeRequest>,
    ) -> Result<Response<ProposeReply>, Status> {
        let caller = Self::caller(&request)?;
        let message = request.into_inner();
        let (shared, _) = self.check(caller, message.envelope.as_ref())?;
        let (actor, change) = codec::proposal_from(&message.command)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let reply = match shared
            .propose_here(actor, None, change, shared.deadline())
            .await
        {
            Ok(applied) => propose_reply::Reply::Applied(Applied {
                index: applied.index.0,
                outcome: codec::outcome_to(&applied.outcome).into(),
            }),
            Err(error) => match failure(&error) {
                Ok(leader) => propose_reply::Reply::NotLeader(leader),
                Err(failure) => propose_reply::Reply::Failure(failure.into()),
            },
        };
        Ok(Response::new(ProposeReply { reply: Some(reply) }))
    }

    async fn read_index(
        &self,
        request: Request<ReadIndexRequest>,
    ) -> Result<Response<ReadIndexReply>, Status> {
        let caller = Self::caller(&request)?;
        let (shared, _) = self.check(caller, request.get_ref().envelope.as_ref())?;
        let reply = match shared.read_index_here(shared.deadline()).await {
            Ok(index) => read_index_reply::Reply::Index(index.0),
            Err(error) => match failure(&error) {
                Ok(leader) => read_index_reply::Reply::NotLeader(leader),
                Err(failure) => read_index_reply::Reply::Failure(failure.into()),
            },
        };
        Ok(Response::new(ReadIndexReply { reply: Some(reply) }))
    }

    async fn transfer(
        &self,
        request: Request<TransferRequest>,
    ) -> Result<Response<TransferReply>, Status> {
        let caller = Self::caller(&request)?;
        let (shared, _) = self.check(caller, request.get_ref().envelope.as_ref())?;
        let target = request.get_ref().target;
        let target = (target != 0).then_some(NodeId(target));
        let reply = match shared.transfer_here(target).await {
            Ok(leader) => transfer_reply::Reply::Leader(leader.0),
            Err(MembersError::NotLeader(leader)) => {
                transfer_reply::Reply::NotLeader(leader.unwrap_or_default().0)
            }
            Err(error) => transfer_reply::Reply::Refused(error.to_string()),
        };
        Ok(Response::new(TransferReply { reply: Some(reply) }))
    }

    async fn elect(&self, request: Request<ElectRequest>) -> Result<Response<ElectReply>, Status> {
        let caller = Self::caller(&request)?;
        let (shared, from) = self.check(caller, request.get_ref().envelope.as_ref())?;
        shared.stand_for(from, request.get_ref().term).await?;
        Ok(Response::new(ElectReply {}))
    }

    async fn read_body(
        &self,
        request: Request<ReadBodyRequest>,
    ) -> Result<Response<ReadBodyReply>, Status> {
        let caller = Self::caller(&request)?;
        let ReadBodyRequest { envelope, key } = request.into_inner();
        let (life, shared) = self.check_sender(caller, envelope.as_ref())?;
        if key.len() > MAX_KEY_BYTES {
            return Err(Status::invalid_argument("no body has so long a key"));
        }
        let Ok(_place) = life.lending.try_acquire() else {
            return Err(Status::resource_exhausted("too many bodies are being read"));
        };
        let published = Arc::clone(&life.outward.published);
        let read = blocking::run(shared.blocks, move || published.body(&key)).await;
        let body = read.map_err(Status::unavailable)?;
        if body
            .as_ref()
            .is_some_and(|body| body.len() > MAX_BODY_BYTES)
        {
            return Err(Status::failed_precondition(
                "the body is too large to travel",
            ));
        }
        Ok(Response::new(ReadBodyReply { body }))
    }
}

/// What a peer is told of a failure here: who leads, or why it failed.
fn failure(error: &ProposeError) -> Result<u64, Failure> {
    match error {
        ProposeError::NotLeader(leader) => Ok(leader.unwrap_or_default().0),
        ProposeError::NoLeader => Ok(0),
        ProposeError::Unknown => Err(Failure::Unknown),
        ProposeError::Overloaded => Err(Failure::Overloaded),
        // Whoever forwards has asked itself that before.
        ProposeError::Stopped(_) | ProposeError::Level { .. } => Err(Failure::Stopped),
    }
}

/// How long a peer is given for a forwarded call: the answer must be back before
/// its asker's own deadline, so that an unknown outcome is rare.
pub(crate) const FORWARD_MARGIN: Duration = Duration::from_millis(100);
