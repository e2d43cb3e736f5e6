//! The sending half: what openraft asks of its network.

use std::future::Future;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::error::{
    Fatal, NetworkError, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable,
};
use openraft::network::{Backoff, RPCOption};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, RaftNetwork, RaftNetworkFactory};
use proto::peer::v1::snapshot_part::Part;
use proto::peer::v1::{RaftMessage, SnapshotHeader, SnapshotPart};
use state::NodeId;
use state::ports::Clock;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use super::links::{LinkError, Links, Purpose};
use super::{CHUNK_BYTES, SNAPSHOT_IDLE, SNAPSHOT_INSTALL};
use crate::acks::Acks;
use crate::blocking;
use crate::snapshot::{SnapshotFile, Snapshots};
use crate::types::{Peer, Snapshot, TypeConfig, Vote};
use crate::wire;

type RpcError = RPCError<u64, Peer, RaftError<u64>>;

/// Makes the sending halves.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) links: Arc<Links>,
    pub(crate) acks: Arc<Acks>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) snapshots: Snapshots,
    /// See [`crate::store::Store::blocks`].
    pub(crate) blocks: bool,
    /// Between two attempts at a peer that cannot be reached.
    pub(crate) pause: Duration,
}

/// The sending half towards one peer.
pub(crate) struct Sender {
    network: Network,
    target: NodeId,
    address: String,
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Sender;

    async fn new_client(&mut self, target: u64, node: &Peer) -> Sender {
        Sender {
            network: self.clone(),
            target: NodeId(target),
            address: node.address.clone(),
        }
    }
}

impl Sender {
    fn message(&self, body: Vec<u8>) -> RaftMessage {
        RaftMessage {
            envelope: self.network.links.envelope(self.target),
            version: u32::from(wire::VERSION),
            body: Bytes::from(body),
        }
    }

    fn to(&self) -> (NodeId, &str) {
        (self.target, &self.address)
    }
}

fn unreachable(error: &LinkError) -> RpcError {
    RPCError::Unreachable(Unreachable::new(error))
}

fn nonsense(error: &wire::WireError) -> RpcError {
    RPCError::Network(NetworkError::new(error))
}

impl RaftNetwork<TypeConfig> for Sender {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, RpcError> {
        let message = self.message(wire::to_sent(&rpc).map_err(|error| nonsense(&error))?);
        let sent = self.network.clock.boottime();
        let call = |mut client: super::links::Client| async move { client.append(message).await };
        let answer = self
            .network
            .links
            .call(self.to(), Purpose::Raft, option.soft_ttl(), call)
            .await;
        let answer = answer.map_err(|error| unreachable(&error))?;
        let answer: AppendEntriesResponse<u64> =
            wire::from_sent(answer.version, &answer.body).map_err(|error| nonsense(&error))?;
        if rpc.vote.is_committed() && !matches!(answer, AppendEntriesResponse::HigherVote(_)) {
            self.network
                .acks
                .acknowledged(self.target.0, rpc.vote, sent);
        }
        Ok(answer)
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<u64>,
        option: RPCOption,
    ) -> Result<VoteResponse<u64>, RpcError> {
        let message = self.message(wire::to_sent(&rpc).map_err(|error| nonsense(&error))?);
        let call = |mut client: super::links::Client| async move { client.vote(message).await };
        let answer = self
            .network
            .links
            .call(self.to(), Purpose::Raft, option.soft_ttl(), call)
            .await;
        let answer = answer.map_err(|error| unreachable(&error))?;
        wire::from_sent(answer.version, &answer.body).map_err(|error| nonsense(&error))
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<u64>, StreamingError<TypeConfig, Fatal<u64>>> {
        let nonsense = |error: &wire::WireError| NetworkError::new(error);
        let file = *snapshot.snapshot;
        let header = SnapshotHeader {
            envelope: self.network.links.envelope(self.target),
            version: u32::from(wire::VERSION),
            vote: wire::to_sent(&vote)
                .map_err(|error| nonsense(&error))?
                .into(),
            meta: wire::to_sent(&snapshot.meta)
                .map_err(|error| nonsense(&error))?
                .into(),
            digest: Bytes::copy_from_slice(&file.digest),
            length: file.length,
        };
        // Few, because each is large; the feeder runs beside the call, which would
        // otherwise wait for an answer to what it was not given.
        let (parts, stream) = mpsc::channel(4);
        let feeding = tokio::spawn(feed(header, file, self.network.blocks, parts));
        let call = |mut client: super::links::Client| async move {
            client.install_snapshot(ReceiverStream::new(stream)).await
        };
        let answer = tokio::select! {
            answer = self.network.links.call(self.to(), Purpose::Snapshot, SNAPSHOT_INSTALL, call) => answer,
            closed = cancel => {
                feeding.abort();
                return Err(StreamingError::Closed(closed));
            }
        };
        feeding.abort();
        let answer = answer.map_err(|error| {
            if matches!(&error, LinkError::Failed(_, status) if status.code() == Code::DataLoss) {
                self.network.snapshots.doubt();
            }
            StreamingError::Unreachable(Unreachable::new(&error))
        })?;
        let answer =
            wire::from_sent(answer.version, &answer.body).map_err(|error| nonsense(&error))?;
        Ok(SnapshotResponse::new(answer))
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(self.network.pause))
    }
}

/// Sends the header and then the file, piece by piece; ends early when nobody
/// takes the next piece in time. The receiver notices what is missing.
async fn feed(
    header: SnapshotHeader,
    file: SnapshotFile,
    blocks: bool,
    parts: mpsc::Sender<SnapshotPart>,
) {
    let length = file.length;
    let mut part = Some(Part::Header(header));
    let mut offset = 0;
    while let Some(next) = part.take() {
        let sent =
            tokio::time::timeout(SNAPSHOT_IDLE, parts.send(SnapshotPart { part: Some(next) }))
                .await;
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
        if offset < length {
            match read(&file, offset, blocks).await {
                Ok(chunk) => {
                    offset += chunk.len() as u64;
                    part = Some(Part::Chunk(chunk));
                }
                Err(error) => {
                    tracing::warn!(%error, path = %file.path.display(), "cannot read the snapshot to send it");
                    return;
                }
            }
        }
    }
}

/// The next piece, from wherever the file is now: its handle outlives its name.
async fn read(file: &SnapshotFile, offset: u64, blocks: bool) -> std::io::Result<Bytes> {
    let wanted =
        usize::try_from(file.length - offset).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
    let file = Arc::clone(&file.file);
    blocking::run(blocks, move || {
        let mut chunk = vec![0; wanted];
        match file.read_at(&mut chunk, offset)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            count => {
                chunk.truncate(count);
                Ok(Bytes::from(chunk))
            }
        }
    })
    .await
}
