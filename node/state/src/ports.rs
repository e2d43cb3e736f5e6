//! What the rooms around the state offer each other, as traits. Each is
//! implemented once for production and by the simulation or a test's double.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    Actor, Certificate, CertificateBody, CertificateId, Change, Event, FeatureLevel, Hostname,
    HostnameRecord, Index, KeyPurpose, Member, NodeId, Operator, OperatorId, Outcome, Role, Sealed,
    Secret, State, Term, Timestamp, bodies, codec, event, reach::Nonce, sealed::SealContext,
};

/// The door to the replicated log.
#[async_trait]
pub trait Propose: Send + Sync {
    /// Proposes a change for `actor`. On a follower it travels to the leader,
    /// which stamps the time. The answer comes when it is applied here too.
    async fn propose(&self, actor: Actor, change: Change) -> Result<Applied, ProposeError>;

    /// Proposes a duty of the leader of `term`; never forwarded, and refused by
    /// apply once another term has taken over.
    async fn propose_as(&self, term: Term, change: Change) -> Result<Applied, ProposeError>;

    /// Waits until this node has applied everything that was committed before the
    /// call (a linearizable read follows), and says up to where.
    async fn barrier(&self) -> Result<Index, ProposeError>;
}

/// A change that was agreed on and applied here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its place in the log.
    pub index: Index,
    /// What became of it.
    pub outcome: Outcome,
}

/// Why a proposal has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// It may have been or may yet be agreed on.
    #[error("no quorum answered in time: the outcome is unknown; look before trying again")]
    Unknown,
    /// Nothing was proposed.
    #[error("this node does not lead{}", leader(.0))]
    NotLeader(Option<NodeId>),
    /// Nothing was proposed.
    #[error("no leader is known; is a majority of the voters up and reachable?")]
    NoLeader,
    /// Nothing was proposed.
    #[error("too many changes are waiting; try again in a moment")]
    Overloaded,
    /// Nothing was proposed.
    #[error("this node's replica has stopped: {0}")]
    Stopped(String),
    /// Nothing was proposed.
    #[error(
        "this needs feature level {needs}, and the cluster is at {is}: it rises by itself once \
         every member runs a version that knows it (`hostquorum cluster upgrade-check` shows who \
         does not)"
    )]
    Level {
        /// What the change needs.
        needs: FeatureLevel,
        /// Where the cluster is.
        is: FeatureLevel,
    },
}

fn leader(node: &Option<NodeId>) -> String {
    node.map(|id| format!("; node {id} does"))
        .unwrap_or_default()
}

/// Who leads, as a node knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// This node, in that term.
    Leading(Term),
    /// Another, or nobody known.
    Following {
        /// The present term.
        term: Term,
        /// Who leads in it.
        leader: Option<NodeId>,
    },
    /// This node's replica has halted.
    Stopped,
}

impl Leadership {
    /// Who leads, if known; `me` is this node.
    pub fn leader(self, me: NodeId) -> Option<NodeId> {
        match self {
            Self::Leading(_) => Some(me),
            Self::Following { leader, .. } => leader,
            Self::Stopped => None,
        }
    }

    /// The term, if the replica runs.
    pub fn term(self) -> Option<Term> {
        match self {
            Self::Leading(term) | Self::Following { term, .. } => Some(term),
            Self::Stopped => None,
        }
    }
}

/// Whether this node may still speak as the leader of a term. Asked right before
/// bytes leave for the CA; never waits.
pub trait Lease: Send + Sync {
    /// True if the term has not changed and a quorum acknowledged this leader
    /// within half the election timeout.
    fn holds(&self, term: Term) -> bool;
}

/// Raft's membership, for the leader's duty. One change at a time.
#[async_trait]
pub trait Members: Send + Sync {
    /// Voters and learners of the last committed configuration.
    fn configuration(&self) -> Configuration;

    /// How many entries `node` lacks, by the leader's last knowledge; `None` if
    /// this node does not lead or the node is not replicated to.
    fn lag(&self, node: NodeId) -> Option<u64>;

    /// Begins to replicate to `node`. Returns when the change is committed, not
    /// when the node has caught up.
    async fn add_learner(&self, node: NodeId, peer_address: &str) -> Result<(), MembersError>;

    /// Makes exactly these the voters; others stay learners.
    async fn set_voters(&self, voters: Vec<NodeId>) -> Result<(), MembersError>;

    /// Takes a learner out.
    async fn remove_learner(&self, node: NodeId) -> Result<(), MembersError>;

    /// Hands leadership to `target`, or to the most up-to-date other voter. Works
    /// from any node. Answers with who leads then.
    async fn transfer(&self, target: Option<NodeId>) -> Result<NodeId, MembersError>;
}

/// Who takes part in Raft.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// Those who vote.
    pub voters: Vec<NodeId>,
    /// Those who are only replicated to.
    pub learners: Vec<NodeId>,
    /// A change is under way.
    pub joint: bool,
}

/// Why the membership was not changed, or leadership not handed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MembersError {
    /// Only the leader can.
    #[error("this node does not lead{}", leader(.0))]
    NotLeader(Option<NodeId>),
    /// It may yet happen.
    #[error("no quorum answered in time: the outcome is unknown")]
    Unknown,
    /// It cannot be, and why.
    #[error("{0}")]
    Refused(String),
    /// The replica has halted.
    #[error("this node's replica has stopped: {0}")]
    Stopped(String),
}

/// What each member last reported of itself.
#[async_trait]
pub trait ServingSet: Send + Sync {
    /// The present reports, this node's own among them, by id.
    fn reports(&self) -> Vec<NodeReport>;

    /// Waits until every member that is heard of has published `index`, at most
    /// for `within`. Answers with those that have not.
    async fn published(&self, index: Index, within: Duration) -> Vec<NodeId>;
}

/// What a member said of itself, and how long ago.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeReport {
    /// Who.
    pub node: NodeId,
    /// The log index that its edge serves; `None` if it was never heard.
    pub published: Option<Index>,
    /// Its clock less ours, in milliseconds, uncertain by half a round trip.
    pub clock_offset_ms: i64,
    /// Its program's version.
    pub version: String,
    /// The highest level that it knows, or is told to be content with; `None` if it was never
    /// heard.
    pub level: Option<FeatureLevel>,
    /// What ails it, in a few words each.
    pub faults: Vec<String>,
    /// It is about to stop.
    pub draining: bool,
    /// Since it was last heard.
    pub silent: Duration,
}

/// Certificates' bodies and events, from this node's own disk. Blocks: call it
/// off the runtime's threads.
pub trait Bodies: Send + Sync {
    /// False where nothing blocks, as in a simulation, which must stay on its one thread.
    fn blocks(&self) -> bool {
        true
    }

    /// The bytes under `key`.
    fn read(&self, key: &[u8]) -> Result<Option<Bytes>, BodiesError>;

    /// What a handshake needs of a certificate.
    fn certificate(
        &self,
        certificate: &Certificate,
    ) -> Result<Option<CertificateBody>, BodiesError> {
        let Some(own) = self.read(&bodies::certificate_key(certificate))? else {
            return Ok(None);
        };
        let Some(issuers) = self.read(&bodies::chain_key(&certificate.chain))? else {
            return Ok(None);
        };
        let decoded = codec::certificate_body(&own, &issuers);
        decoded
            .map(Some)
            .map_err(|error| BodiesError::certificate(certificate.id, &error))
    }

    /// The last events of a hostname, oldest first.
    fn events(
        &self,
        hostname: &Hostname,
        record: &HostnameRecord,
    ) -> Result<Vec<Event>, BodiesError> {
        let first = record.events.saturating_sub(event::KEPT);
        let mut events = Vec::new();
        for number in first..record.events {
            if let Some(bytes) = self.read(&bodies::event_key(hostname, number))? {
                events.push(
                    codec::event_from(&bytes)
                        .map_err(|error| BodiesError::event(hostname, &error))?,
                );
            }
        }
        Ok(events)
    }
}

/// A point of the log that can be read for as long as it takes.
pub trait Export: Send + Sync {
    /// What this node has applied. Until it is dropped no body that it names is deleted.
    ///
    /// # Errors
    ///
    /// While this node's store is closed.
    fn hold(&self) -> Result<Box<dyn Held>, BodiesError>;
}

/// See [`Export::hold`].
pub trait Held: Send {
    /// The state at that point.
    fn state(&self) -> &State;

    /// The bytes under a key that the state names. Blocks, as [`Bodies`] do.
    fn body(&self, key: &[u8]) -> Result<Bytes, BodiesError>;
}

/// A state that is still being read from this node's own disk, and of which single
/// hostnames can be looked up already.
pub trait Reading: Send + Sync {
    /// What was read so far, which may lack hostnames, their certificates and all that is
    /// there for each of them; once all is read, the whole.
    fn so_far(&self) -> Arc<State>;

    /// Reads what `name`, in lower case, is served with. Blocks, as [`Bodies`] do.
    fn look_up(&self, name: &str) -> Result<(), BodiesError>;
}

/// All of it is read.
impl Reading for State {
    fn so_far(&self) -> Arc<State> {
        Arc::new(self.clone())
    }

    fn look_up(&self, _: &str) -> Result<(), BodiesError> {
        Ok(())
    }
}

/// Why a body could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodiesError {
    /// The store failed.
    #[error("the store could not be read: {0}")]
    Store(String),
    /// What was read is no body.
    #[error("the {what} is corrupt: {why}")]
    Corrupt {
        /// Which body.
        what: String,
        /// What is wrong with it.
        why: String,
    },
}

impl BodiesError {
    fn certificate(id: CertificateId, error: &codec::DecodeError) -> Self {
        Self::Corrupt {
            what: format!("body of certificate {id}"),
            why: error.to_string(),
        }
    }

    fn event(hostname: &Hostname, error: &codec::DecodeError) -> Self {
        Self::Corrupt {
            what: format!("timeline of {hostname}"),
            why: error.to_string(),
        }
    }
}

/// Seals and opens secrets under the cluster's data keys.
pub trait Seal: Send + Sync {
    /// Under the newest generation of `purpose`.
    fn seal(
        &self,
        purpose: KeyPurpose,
        context: &SealContext,
        secret: &[u8],
    ) -> Result<Sealed, SealError>;

    /// What was sealed for `context`.
    fn open(&self, sealed: &Sealed, context: &SealContext) -> Result<Secret, SealError>;
}

/// Why a secret was not sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// This node was not given that key.
    #[error("this node has no {0} key of generation {1}")]
    NoKey(KeyPurpose, u32),
    /// Another key, another context or damaged bytes.
    #[error("a secret under the {0} key could not be opened: it is damaged or belongs elsewhere")]
    Damaged(KeyPurpose),
}

/// What only nodes of this cluster can say: see [`crate::reach`].
pub trait Reach: Send + Sync {
    /// What nodes say when `host` is asked for `nonce`: what this node says, and then what
    /// those say that have not met the newest key yet. Empty if this node has no key. `host`
    /// is in lower case and without a port.
    fn answers(&self, host: &str, nonce: &Nonce) -> Vec<String>;
}

/// Time, as an argument.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall clock.
    fn now(&self) -> Timestamp;

    /// Since the machine started, sleep included (`CLOCK_BOOTTIME`).
    fn boottime(&self) -> Duration;
}

/// What only a holder of the control key can make: identities and data keys. Each
/// answer is the change to propose. Called by the leader's duties.
pub trait Identities: Send + Sync {
    /// Signs a member's next certificate for its committed key.
    fn certify_node(
        &self,
        state: &State,
        member: &Member,
        now: Timestamp,
    ) -> Result<Change, IdentitiesError>;

    /// Signs an operator's certificate for its committed key.
    fn certify_operator(
        &self,
        state: &State,
        operator: &Operator,
        now: Timestamp,
    ) -> Result<Change, IdentitiesError>;

    /// Makes the next online CA, signed by the root.
    fn renew_issuing(&self, state: &State, now: Timestamp) -> Result<Change, IdentitiesError>;

    /// Seals a copy of a data key to a member.
    fn share_data_key(
        &self,
        member: &Member,
        purpose: KeyPurpose,
        generation: u32,
    ) -> Result<Change, IdentitiesError>;

    /// Makes the next generation of a data key, with a copy for each member that
    /// is to have it.
    fn rotate_data_key(
        &self,
        state: &State,
        purpose: KeyPurpose,
        holders: &[NodeId],
    ) -> Result<Change, IdentitiesError>;
}

/// Why an identity or a data key was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentitiesError {
    /// This node cannot open what it needs.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The record it is for is not as it should be.
    #[error("{0}")]
    Unusable(String),
}

/// Who is at the other end of a peer link, as mutual TLS established it. Set in
/// the extensions of each request by the peer listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    /// A present member.
    pub node: NodeId,
}

/// Who is at the other end of an admin connection, as mutual TLS established it.
/// Set in the extensions of each request by the admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorIdentity {
    /// By the certificate's name and key.
    pub operator: OperatorId,
    /// As the audit shows it.
    pub name: String,
    /// What it may do.
    pub role: Role,
}
