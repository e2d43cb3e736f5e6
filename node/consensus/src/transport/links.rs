//! Connections to peers, made when needed and dropped when in doubt.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper_util::rt::TokioIo;
use proto::peer::v1::Envelope;
use proto::peer::v1::consensus_client::ConsensusClient;
use state::NodeId;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

use super::{Dial, MAX_MESSAGE_BYTES};
use crate::fence::Fence;
use crate::identity::Identity;

/// A peer that does not even complete a connection within this is down.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// Finds connections that died without a word, between calls.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(5);
const KEEP_ALIVE_WITHIN: Duration = Duration::from_secs(5);

/// What a connection is for; see the parent module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    Raft,
    Question,
    Snapshot,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// There was no connection: the peer cannot have seen it.
    #[error("node {0} cannot be reached: {1}")]
    NotSent(NodeId, String),
    /// It did not answer in time, and may have seen it.
    #[error("node {0} did not answer within {1:?}")]
    Timeout(NodeId, Duration),
    /// It, or the connection to it, answered with an error, and it may have seen the call.
    #[error("node {0} answered: {1}")]
    Failed(NodeId, Status),
    /// Our own replica has ended.
    #[error("this replica has ended")]
    Ended,
}

struct Slot {
    address: String,
    channel: Channel,
    connected: Arc<AtomicBool>,
}

pub(crate) type Client = ConsensusClient<Channel>;

/// All connections of a replica.
pub(crate) struct Links {
    pub(crate) identity: Identity,
    dial: Arc<dyn Dial>,
    fence: Fence,
    slots: Mutex<BTreeMap<(NodeId, Purpose), Arc<Slot>>>,
}

impl Links {
    pub(crate) fn new(identity: Identity, dial: Arc<dyn Dial>, fence: Fence) -> Self {
        Self {
            identity,
            dial,
            fence,
            slots: Mutex::default(),
        }
    }

    /// What every message begins with.
    pub(crate) fn envelope(&self, to: NodeId) -> Option<Envelope> {
        Some(Envelope {
            cluster_id: Bytes::copy_from_slice(&self.identity.cluster.0),
            from: self.identity.node.0,
            to: to.0,
        })
    }

    /// Makes one call to `peer` at `address` and waits `within` for its answer.
    pub(crate) async fn call<T, F>(
        &self,
        (peer, address): (NodeId, &str),
        purpose: Purpose,
        within: Duration,
        call: impl FnOnce(Client) -> F,
    ) -> Result<T, LinkError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        if self.fence.halted().is_some() {
            return Err(LinkError::Ended);
        }
        let slot = self.slot(peer, address, purpose);
        let client = ConsensusClient::new(slot.channel.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let answer = tokio::select! {
            answer = tokio::time::timeout(within, call(client)) => answer,
            _ = self.fence.tripped() => return Err(LinkError::Ended),
        };
        let error = match answer {
            Ok(Ok(answer)) => return Ok(answer.into_inner()),
            Ok(Err(status)) if is_answer(&status) => return Err(LinkError::Failed(peer, status)),
            Ok(Err(status)) => LinkError::Failed(peer, status),
            Err(_) => LinkError::Timeout(peer, within),
        };
        self.discard(peer, purpose, &slot);
        if slot.connected.load(Ordering::Acquire) {
            Err(error)
        } else {
            Err(LinkError::NotSent(peer, error.to_string()))
        }
    }

    /// Closes connections to all but `members`.
    pub(crate) fn retain(&self, members: impl Fn(NodeId) -> bool) {
        self.lock().retain(|(peer, _), _| members(*peer));
    }

    fn slot(&self, peer: NodeId, address: &str, purpose: Purpose) -> Arc<Slot> {
        let mut slots = self.lock();
        if let Some(slot) = slots.get(&(peer, purpose))
            && slot.address == address
        {
            return Arc::clone(slot);
        }
        let slot = Arc::new(self.open(peer, address));
        slots.insert((peer, purpose), Arc::clone(&slot));
        slot
    }

    fn open(&self, peer: NodeId, address: &str) -> Slot {
        let connected = Arc::new(AtomicBool::new(false));
        let (dial, to, done) = (
            Arc::clone(&self.dial),
            address.to_owned(),
            Arc::clone(&connected),
        );
        let connector = tower::service_fn(move |_| {
            let (dial, to, done) = (Arc::clone(&dial), to.clone(), Arc::clone(&done));
            async move {
                let stream = dial.dial(peer, &to).await?;
                done.store(true, Ordering::Release);
                Ok::<_, std::io::Error>(TokioIo::new(stream))
            }
        });
        // The name is not used: the dialer knows where and whom.
        let channel = Endpoint::from_static("http://peer.invalid")
            .connect_timeout(CONNECT_WITHIN)
            .http2_keep_alive_interval(KEEP_ALIVE_EVERY)
            .keep_alive_timeout(KEEP_ALIVE_WITHIN)
            .keep_alive_while_idle(true)
            .connect_with_connector_lazy(connector);
        Slot {
            address: address.to_owned(),
            channel,
            connected,
        }
    }

    /// Forgets `slot`, unless another has taken its place.
    fn discard(&self, peer: NodeId, purpose: Purpose, slot: &Arc<Slot>) {
        let mut slots = self.lock();
        if slots
            .get(&(peer, purpose))
            .is_some_and(|present| Arc::ptr_eq(present, slot))
        {
            slots.remove(&(peer, purpose));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(NodeId, Purpose), Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the peer itself said so, over a connection that works.
fn is_answer(status: &Status) -> bool {
    use tonic::Code;
    matches!(
        status.code(),
        Code::PermissionDenied
            | Code::Unauthenticated
            | Code::InvalidArgument
            | Code::FailedPrecondition
            | Code::ResourceExhausted
            | Code::DataLoss
    )
}
