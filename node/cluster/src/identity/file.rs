//! The public part of an identity as written. Shapes on disk change by a new format
//! only.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use state::{ClusterId, NodeId};

use super::{Public, SeedPeer, envelope};

/// A [`Public`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PublicFile {
    #[serde(with = "envelope::hex")]
    cluster: Vec<u8>,
    node: u64,
    name: String,
    #[serde(with = "envelope::base64")]
    root: Bytes,
    chain: Vec<Der>,
    seeds: Vec<SeedFile>,
    /// Absent until it did, and in files of programs that did not note it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    took_part: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct SeedFile {
    node: u64,
    peer_address: String,
    public_key: Der,
}

#[derive(Debug, Serialize, Deserialize)]
struct Der(#[serde(with = "envelope::base64")] Bytes);

impl From<&Public> for PublicFile {
    fn from(public: &Public) -> Self {
        let seed = |seed: &SeedPeer| SeedFile {
            node: seed.node.0,
            peer_address: seed.peer_address.clone(),
            public_key: Der(seed.public_key.clone()),
        };
        Self {
            cluster: public.cluster.0.to_vec(),
            node: public.node.0,
            name: public.name.clone(),
            root: public.root.clone(),
            chain: public.chain.iter().cloned().map(Der).collect(),
            seeds: public.seeds.iter().map(seed).collect(),
            took_part: public.took_part,
        }
    }
}

impl PublicFile {
    /// Back to what it means.
    pub(super) fn into_public(self) -> Option<Public> {
        let seed = |seed: SeedFile| SeedPeer {
            node: NodeId(seed.node),
            peer_address: seed.peer_address,
            public_key: seed.public_key.0,
        };
        Some(Public {
            cluster: ClusterId(self.cluster.try_into().ok()?),
            node: NodeId(self.node),
            name: self.name,
            root: self.root,
            chain: self.chain.into_iter().map(|der| der.0).collect(),
            seeds: self.seeds.into_iter().map(seed).collect(),
            took_part: self.took_part,
        })
    }
}
