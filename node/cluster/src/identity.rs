//! Who this node is: what it shows to others and what it keeps for itself.

pub(crate) mod envelope;
mod file;
mod secrets;
pub(crate) mod store;

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use enroll::PrivateKey;
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use state::{ClusterId, KeyPurpose, Member, NodeId};

pub use self::store::{IdentityError, IdentityStore};
use crate::{data_key::KeyBytes, hpke};

/// A member's identity, complete.
#[derive(Clone)]
pub struct Identity {
    /// What it shows.
    pub public: Public,
    /// The keys that it made for itself.
    pub keys: NodeKeys,
    /// The cluster's data keys that it was given.
    pub data_keys: DataKeys,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Public { cluster, node, .. } = &self.public;
        write!(f, "Identity(node {node} of {cluster})")
    }
}

/// The data keys of each purpose and generation.
pub type DataKeys = BTreeMap<(KeyPurpose, u32), KeyBytes>;

/// The part of an identity that is no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Public {
    /// The cluster.
    pub cluster: ClusterId,
    /// Drawn from the cluster's counter; for life.
    pub node: NodeId,
    /// What its operator calls it.
    pub name: String,
    /// The cluster's root (DER).
    pub root: Bytes,
    /// Its certificate: leaf first, then the online CA (DER).
    pub chain: Vec<Bytes>,
    /// Members as they were when it joined, for the time until its own state knows
    /// itself.
    pub seeds: Vec<SeedPeer>,
    /// Its replica has run: if it finds no data from now on, they were lost. Kept here
    /// because a disk of the replica's own, or a directory of it, is lost more easily
    /// than all of the node.
    pub took_part: bool,
}

impl Public {
    /// What it presents: leaf, online CA, root. The root goes along so that a
    /// newcomer that knows only its hash can find it.
    pub fn presented(&self) -> Vec<CertificateDer<'static>> {
        let chain = self.chain.iter().chain([&self.root]);
        chain
            .map(|der| CertificateDer::from(der.to_vec()))
            .collect()
    }

    /// The root.
    pub fn root(&self) -> CertificateDer<'static> {
        CertificateDer::from(self.root.to_vec())
    }
}

/// A member as a newcomer was told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedPeer {
    /// Its id.
    pub node: NodeId,
    /// host:port.
    pub peer_address: String,
    /// SubjectPublicKeyInfo (DER).
    pub public_key: Bytes,
}

impl From<&Member> for SeedPeer {
    fn from(member: &Member) -> Self {
        Self {
            node: member.id,
            peer_address: member.peer_address.clone(),
            public_key: member.public_key.clone(),
        }
    }
}

/// The keys that a node makes for itself before it is anybody.
#[derive(Clone)]
pub struct NodeKeys {
    /// For TLS.
    pub tls: std::sync::Arc<PrivateKey>,
    /// For data keys sealed to it.
    pub hpke: hpke::KeyPair,
}

/// A newcomer's keys, kept until the cluster answers: asking again with the same
/// key is asking for the same.
#[derive(Clone)]
pub struct Candidate {
    /// For which invitation.
    pub for_token: Invited,
    /// The keys.
    pub keys: NodeKeys,
}

/// A right to enter, by what a token says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invited {
    /// First bytes of the cluster's id.
    pub cluster: [u8; 4],
    /// The invitation's id; absent where a cloud vouches for the machine.
    pub invitation: Option<u64>,
}

impl From<&enroll::Token> for Invited {
    fn from(token: &enroll::Token) -> Self {
        Self {
            cluster: token.cluster,
            invitation: Some(token.invitation),
        }
    }
}

/// Why a node has no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// For TLS.
    #[error(transparent)]
    Tls(#[from] enroll::key::KeyError),
    /// For data keys.
    #[error(transparent)]
    Hpke(#[from] hpke::HpkeError),
}

impl NodeKeys {
    /// Makes both pairs.
    pub fn generate() -> Result<Self, KeysError> {
        Ok(Self {
            tls: std::sync::Arc::new(PrivateKey::generate()?),
            hpke: hpke::KeyPair::generate()?,
        })
    }

    /// The SubjectPublicKeyInfo (DER) that the cluster pins.
    pub fn public_key(&self) -> Vec<u8> {
        self.tls.public_key()
    }
}
