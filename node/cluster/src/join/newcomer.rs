//! The half that asks: pins the root, proves its right, checks the answer, keeps
//! the identity.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use enroll::{EnrollError, Session, Subject, Token, Trust, session::certificates};
use proto::cluster::v1 as wire;
use rustls::pki_types::UnixTime;
use state::{ClusterId, FeatureLevel, HpkeSealed, KeyPurpose, NodeId, ports::Clock};
use tokio::time::{Instant, sleep, timeout};

use super::machine::{MachineError, ThisMachine};
use crate::{
    facts::{FactError, NodeFacts},
    hpke::{HpkeError, Label},
    identity::{
        Candidate, DataKeys, Identity, IdentityError, IdentityStore, Invited, KeysError, NodeKeys,
        Public, SeedPeer,
    },
    meeting::Claim,
    tls::{ClockTime, unix_time},
    wire::Connect,
};

/// Pauses between attempts: each twice the last, and never longer than the second.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Longest wait for a connection; `Connect` has its own, shorter one.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// Most members that an answer may name.
const PEERS_MAX: usize = 1024;

/// Why a machine may enter.
#[derive(Clone, Copy)]
pub enum Right<'a> {
    /// It was invited.
    Token(&'a Token),
    /// Its cloud vouches for it.
    Machine {
        /// The cluster that was founded.
        claim: &'a Claim,
        /// Which machine it is.
        machine: &'a dyn ThisMachine,
    },
}

impl Right<'_> {
    fn invited(&self) -> Invited {
        match self {
            Self::Token(token) => Invited::from(*token),
            Self::Machine { claim, .. } => Invited {
                cluster: claim.prefix(),
                invitation: None,
            },
        }
    }

    fn trust(&self) -> Trust {
        match self {
            Self::Token(token) => Trust::of_token(token),
            Self::Machine { claim, .. } => Trust::Pinned {
                root: claim.root,
                cluster: claim.prefix(),
            },
        }
    }
}

/// A machine with a right to enter.
pub struct Newcomer<'a> {
    /// Where its keys and its identity are kept.
    pub store: &'a IdentityStore,
    /// How to reach others.
    pub connect: &'a dyn Connect,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The right.
    pub right: Right<'a>,
    /// host:port of any member's admin port.
    pub address: &'a str,
    /// What it says of itself.
    pub facts: &'a NodeFacts,
    /// Its program's version.
    pub version: &'a str,
}

/// Why a machine did not become a member.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// What it would say of itself is not usable.
    #[error(transparent)]
    Fact(#[from] FactError),
    /// Its own files.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Its own keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The cluster, or the way to it.
    #[error("joining over {address} failed")]
    Enroll {
        /// Whom it asked.
        address: String,
        /// What came of it.
        source: EnrollError,
    },
    /// A data key in the answer.
    #[error(transparent)]
    Hpke(#[from] HpkeError),
    /// This machine cannot show which one it is.
    #[error("this machine cannot show which one it is")]
    Machine(#[from] MachineError),
}

impl JoinError {
    /// True if trying again may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Enroll { source, .. } => source.is_transient(),
            Self::Machine(error) => matches!(error, MachineError::Unavailable(_)),
            Self::Fact(_) | Self::Identity(_) | Self::Keys(_) | Self::Hpke(_) => false,
        }
    }
}

impl Newcomer<'_> {
    /// Becomes a member, trying again for `patience` while the cluster cannot be
    /// reached or has no leader. The same keys are used each time, also by a later
    /// start with the same token: asking twice admits once.
    pub async fn join(&self, patience: Duration) -> Result<Identity, JoinError> {
        self.facts.check()?;
        let keys = self.keys()?;
        let give_up = Instant::now() + patience;
        let mut pause = PAUSE_FIRST;
        loop {
            match self.ask(&keys).await {
                Ok(identity) => {
                    self.store.save_joined(&identity)?;
                    return Ok(identity);
                }
                Err(error) if error.is_transient() && Instant::now() + pause < give_up => {
                    let source = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%error, cause = source, "trying again");
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The keys of an earlier attempt with this right, or new ones, kept before
    /// anybody hears of them.
    fn keys(&self) -> Result<NodeKeys, JoinError> {
        let for_token = self.right.invited();
        if let Some(candidate) = self.store.candidate()?
            && candidate.for_token == for_token
        {
            return Ok(candidate.keys);
        }
        let candidate = Candidate {
            for_token,
            keys: NodeKeys::generate()?,
        };
        self.store.save_candidate(&candidate)?;
        Ok(candidate.keys)
    }

    async fn ask(&self, keys: &NodeKeys) -> Result<Identity, JoinError> {
        let failed = |source: EnrollError| JoinError::Enroll {
            address: self.address.to_owned(),
            source,
        };
        let session = self.session().await.map_err(failed)?;
        let request = self.request(keys).map_err(failed)?;
        let reply = match self.right {
            Right::Token(token) => session.join(token, request).await,
            Right::Machine { machine, .. } => {
                let proof = machine.prove(&session.digest(&request)).await?;
                let machine = Some(proof);
                session.ask(wire::JoinRequest { machine, ..request }).await
            }
        };
        let reply = reply.map_err(failed)?;
        let public = self.check(&session, keys, &reply).map_err(failed)?;
        let data_keys = open_data_keys(&public, keys, &reply.data_keys)?;
        if !data_keys
            .keys()
            .any(|(purpose, _)| *purpose == KeyPurpose::Serving)
        {
            return Err(failed(EnrollError::Answer("there is no serving key")));
        }
        Ok(Identity {
            public,
            keys: keys.clone(),
            data_keys,
        })
    }

    async fn session(&self) -> Result<Session, EnrollError> {
        let unreachable = |source: io::Error| EnrollError::Connect {
            address: self.address.to_owned(),
            source,
        };
        let connecting = timeout(CONNECT_MAX, self.connect.connect(self.address)).await;
        let stream = connecting.map_err(|_| EnrollError::TimedOut(CONNECT_MAX))?;
        let stream = stream.map_err(unreachable)?;
        let time = Arc::new(ClockTime(self.clock.clone()));
        Session::open(stream, self.right.trust(), time).await
    }

    fn request(&self, keys: &NodeKeys) -> Result<wire::JoinRequest, EnrollError> {
        Ok(wire::JoinRequest {
            proof: None,
            csr: keys.tls.request()?.into(),
            hpke_public_key: Bytes::copy_from_slice(keys.hpke.public()),
            node_name: self.facts.name.clone(),
            peer_address: self.facts.peer_address.clone(),
            admin_address: self.facts.admin_address.clone(),
            version: self.version.to_owned(),
            feature_level: FeatureLevel::NEWEST.0,
            machine: None,
        })
    }

    /// The answer must fit the cluster that was verified before anything was sent.
    fn check(
        &self,
        session: &Session,
        keys: &NodeKeys,
        reply: &wire::JoinReply,
    ) -> Result<Public, EnrollError> {
        let cluster = ClusterId(session.cluster());
        if reply.cluster_id.parse() != Ok(cluster) {
            return Err(EnrollError::Answer("it names another cluster"));
        }
        if reply.root[..] != session.root()[..] {
            return Err(EnrollError::Answer("it has another root"));
        }
        let now: UnixTime = unix_time(self.clock.now());
        let chain = certificates(&reply.certificate_chain);
        let (_, subject) = session.accept_chain(&chain, &keys.tls, now)?;
        if subject != Subject::Node(reply.node_id) {
            return Err(EnrollError::Answer("the certificate names another node"));
        }
        if reply.peers.is_empty() || reply.peers.len() > PEERS_MAX {
            return Err(EnrollError::Answer("it names no members, or too many"));
        }
        Ok(Public {
            cluster,
            node: NodeId(reply.node_id),
            name: self.facts.name.clone(),
            root: reply.root.clone(),
            chain: reply.certificate_chain.clone(),
            seeds: reply.peers.iter().map(seed).collect(),
            took_part: false,
        })
    }
}

fn seed(peer: &wire::Peer) -> SeedPeer {
    SeedPeer {
        node: NodeId(peer.node_id),
        peer_address: peer.peer_address.clone(),
        public_key: peer.public_key.clone(),
    }
}

fn open_data_keys(
    public: &Public,
    keys: &NodeKeys,
    sealed: &[wire::SealedKey],
) -> Result<DataKeys, HpkeError> {
    let mut opened = DataKeys::new();
    for copy in sealed {
        // A purpose of a newer program is none of ours to keep.
        let Some(purpose) = KeyPurpose::parse(&copy.purpose) else {
            continue;
        };
        let label = Label {
            cluster: public.cluster,
            purpose,
            generation: copy.generation,
            node: public.node,
        };
        let copy = HpkeSealed {
            encapsulated: copy.encapsulated.clone(),
            ciphertext: copy.ciphertext.clone(),
        };
        opened.insert((purpose, label.generation), keys.hpke.open(label, &copy)?);
    }
    Ok(opened)
}
