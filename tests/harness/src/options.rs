//! What a test's cluster is made of.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use devca::{Agreement, Behaviour};

use crate::{Lan, lan, seat, unbound::Transport};

/// What a test's cluster is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many nodes join.
    pub nodes: u8,
    /// Certificates from Pebble, else from the development CA. By default as the
    /// environment says: `HOSTQUORUM_E2E_CA=pebble` runs the whole suite on Pebble.
    pub pebble: bool,
    /// How long certificates are valid.
    pub validity: Duration,
    /// How many nodes must answer rightly when the development CA looks for a challenge:
    /// all that are up, unless a load balancer would leave one out.
    pub agreement: Agreement,
    /// How the development CA behaves; can be changed while it runs ([`crate::Ca::control`]).
    pub behaviour: Behaviour,
    /// The nodes find the CA behind a road that can be cut ([`crate::Cluster::road`]).
    pub road: bool,
    /// The nodes answer for a DNS zone, which the CA asks through a strict resolver.
    pub dns: Option<Transport>,
    /// How the CA knows us otherwise: a key id and the HMAC key, unpadded base64url.
    pub external_account: Option<(String, String)>,
    /// The nodes are in namespaces of this network, and the test in its world
    /// ([`lan::within`]); else all are on loopback.
    pub lan: Option<Arc<Lan>>,
    /// More TOML for each node.
    pub extra: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 3,
            pebble: std::env::vars_os().any(|(name, value)| name == "HOSTQUORUM_E2E_CA" && value == "pebble"),
            validity: Duration::from_secs(90 * 86400),
            agreement: Agreement::EveryReachable,
            behaviour: Behaviour::default(),
            road: false,
            dns: None,
            external_account: None,
            lan: None,
            extra: "[edge]\nthreads = 1\nlame_duck = \"0s\"\ngrace = \"2s\"\n[issuance]\nretry = \"1s\"\n".to_owned(),
        }
    }
}

impl Options {
    /// Node `number`'s address.
    pub(crate) fn ip(&self, number: u8) -> Ipv4Addr {
        match self.lan {
            Some(_) => lan::ip(number),
            None => seat::ip(number),
        }
    }

    /// Where what serves the test itself is: the CA and the origin.
    pub(crate) fn world(&self) -> Ipv4Addr {
        match self.lan {
            Some(_) => lan::ip(lan::WORLD),
            None => Ipv4Addr::LOCALHOST,
        }
    }

    /// A port that node `number` can listen on: a namespace's are all free, and its own.
    pub(crate) fn port(&self, number: u8, in_namespace: u16) -> u16 {
        match self.lan {
            Some(_) => in_namespace,
            None => seat::free_port(seat::ip(number)),
        }
    }
}
