//! An origin, and the TLS that it is spoken to by.

use std::{
    hash::{Hash, Hasher},
    sync::{Arc, OnceLock},
};

use rustls::ClientConfig;
use state::{
    Origin, OriginScheme, Traffic,
    traffic::{OriginIdentity, OriginName, OriginTrust, Switch},
};

/// Where connections go; each has a pool of its own, so that none is ever used for what
/// another's trust, name or certificate would be needed.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Destination {
    pub(crate) origin: Arc<Origin>,
    /// Absent: as by default.
    pub(super) tls: Option<Arc<OriginTls>>,
}

/// TLS towards an origin where it is not as by default.
#[derive(Debug)]
pub(super) struct OriginTls {
    pub(super) trust: OriginTrust,
    /// Absent: the origin's host.
    pub(super) name: Option<Box<str>>,
    pub(super) identity: Option<Arc<OriginIdentity>>,
    /// Made by the first connection, for it may cost a millisecond; a fault in words.
    pub(super) configs: OnceLock<Result<Configs, String>>,
}

/// One for each offer of protocols.
#[derive(Debug)]
pub(super) struct Configs {
    pub(super) any: Arc<ClientConfig>,
    pub(super) http1: Arc<ClientConfig>,
    pub(super) http2: Arc<ClientConfig>,
}

impl Destination {
    /// `origin` as `traffic` wants it to be spoken to for `name`.
    pub(crate) fn new(origin: &Arc<Origin>, traffic: &Traffic, name: &str) -> Self {
        let tls = (origin.scheme == OriginScheme::Https)
            .then(|| OriginTls::new(traffic, name))
            .flatten();
        Self {
            origin: Arc::clone(origin),
            tls: tls.map(Arc::new),
        }
    }
}

impl OriginTls {
    fn new(traffic: &Traffic, name: &str) -> Option<Self> {
        let name = match &traffic.origin_sni {
            None | Some(OriginName::Origin) => None,
            Some(OriginName::Client) => Some(name.into()),
            Some(OriginName::Fixed(name)) => Some(name.clone()),
        };
        let identity = traffic.origin_identity.as_ref().and_then(Switch::on);
        let trust = traffic.origin_trust.clone().unwrap_or(OriginTrust::System);
        if trust == OriginTrust::System && name.is_none() && identity.is_none() {
            return None;
        }
        Some(Self {
            trust,
            name,
            identity: identity.cloned(),
            configs: OnceLock::new(),
        })
    }
}

impl PartialEq for OriginTls {
    fn eq(&self, other: &Self) -> bool {
        self.trust == other.trust && self.name == other.name && self.identity == other.identity
    }
}

impl Eq for OriginTls {}

impl Hash for OriginTls {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The rest seldom differs where this does not, and is large.
        self.name.hash(state);
    }
}
