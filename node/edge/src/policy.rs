//! Settings of hostnames, made ready for requests.
//!
//! A connection holds the [`Policy`] of its name. Each request looks its name up, as it
//! must anyway, and compares two pointers: while nobody changed the settings there is
//! nothing to make, to lock or to copy, and a hostname without settings of its own shares
//! one policy with all others.

pub(crate) mod allowance;
pub(crate) mod client;
pub(crate) mod fields;
pub(crate) mod paths;

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustls::crypto::CryptoProvider;
use state::{
    Origin, Traffic,
    traffic::{OriginName, Rate, Switch, Weighted},
};
use tokio::time::Instant;

use self::{
    client::Handshake,
    fields::{Change, Page},
    paths::{Path, Redirect},
};
use crate::{
    limits::{POLICIES, POLICY_REST},
    upstream::{Targets, Upstream},
    view::{Known, View},
};

/// How the traffic of one or many names is served.
pub(crate) struct Policy {
    zone: Arc<Traffic>,
    own: Option<Arc<Traffic>>,
    origin: Option<Arc<Origin>>,
    pub(crate) handshake: Handshake,
    /// Where requests go; absent: nobody has said yet.
    pub(crate) targets: Option<Arc<Targets>>,
    /// Absent: requests are forwarded as they are.
    pub(crate) more: Option<Box<More>>,
}

/// What few hostnames have.
#[derive(Default)]
pub(crate) struct More {
    /// The host that origins are asked for; absent: the client's.
    pub(crate) host: Option<AskedHost>,
    pub(crate) redirects: Vec<Redirect>,
    pub(crate) paths: Vec<Path>,
    pub(crate) request: Vec<Change>,
    pub(crate) response: Vec<Change>,
    pub(crate) max_body: Option<u64>,
    pub(crate) rate: Option<Rate>,
    pub(crate) connections: Option<u32>,
    pub(crate) page: Option<Page>,
}

/// The host that origins are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AskedHost {
    /// Each origin's own.
    Origin,
    Fixed(Box<str>),
}

impl Policy {
    /// True while this is what `view` says of `known`.
    pub(crate) fn holds(&self, view: &View, known: &Known) -> bool {
        let zone = view.zone();
        Arc::ptr_eq(&self.zone, &zone.traffic)
            && same(self.own.as_ref(), known.traffic.as_ref())
            && same(self.origin.as_ref(), zone.origin.as_ref())
    }
}

fn same<T>(one: Option<&Arc<T>>, other: Option<&Arc<T>>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        _ => false,
    }
}

/// One core's policies.
pub(crate) struct Policies {
    provider: Arc<CryptoProvider>,
    hasher: RandomState,
    made: Mutex<Made>,
}

#[derive(Default)]
struct Made {
    /// That of all names without settings of their own.
    usual: Option<Arc<Policy>>,
    /// By the address of their settings, which each of them keeps in place, and by the
    /// name where that is told to origins.
    own: HashMap<(usize, u64), Kept>,
}

struct Kept {
    policy: Arc<Policy>,
    used: Instant,
}

impl Policies {
    pub(crate) fn new(provider: Arc<CryptoProvider>) -> Self {
        Self {
            provider,
            hasher: RandomState::new(),
            made: Mutex::default(),
        }
    }

    /// How the traffic of `name`, which is `known` to `view`, is served.
    pub(crate) fn of(
        &self,
        upstream: &Upstream,
        view: &View,
        known: &Known,
        name: &str,
    ) -> Arc<Policy> {
        let named = tells_the_name(&view.zone().traffic, known);
        let mut made = self.made();
        if known.traffic.is_none() && !named {
            if let Some(usual) = made.usual.as_ref().filter(|it| it.holds(view, known)) {
                return Arc::clone(usual);
            }
            let policy = self.make(upstream, view, known, name);
            made.usual = Some(Arc::clone(&policy));
            return policy;
        }
        let address = known
            .traffic
            .as_ref()
            .map_or(0, |own| Arc::as_ptr(own).addr());
        let key = (address, if named { self.hasher.hash_one(name) } else { 0 });
        let now = Instant::now();
        if let Some(kept) = made
            .own
            .get_mut(&key)
            .filter(|it| it.policy.holds(view, known))
        {
            kept.used = now;
            return Arc::clone(&kept.policy);
        }
        let policy = self.make(upstream, view, known, name);
        made.own.remove(&key);
        if made.own.len() < POLICIES {
            let kept = Kept {
                policy: Arc::clone(&policy),
                used: now,
            };
            made.own.insert(key, kept);
        }
        policy
    }

    /// Lets go of what nobody has used for a while.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        let in_use = |kept: &mut Kept| {
            Arc::strong_count(&kept.policy) > 1 || now.duration_since(kept.used) < POLICY_REST
        };
        self.made().own.retain(|_, kept| in_use(kept));
    }

    fn make(&self, upstream: &Upstream, view: &View, known: &Known, name: &str) -> Arc<Policy> {
        let zone = view.zone();
        let own = known.traffic.as_deref();
        let traffic = own.map_or_else(|| (*zone.traffic).clone(), |own| own.over(&zone.traffic));
        let targets = |origins: &[Weighted]| upstream.targets(origins, &traffic, name);
        let fallback = || {
            let origin = Arc::clone(zone.origin.as_ref()?);
            Some(targets(&[Weighted { origin, weight: 1 }]))
        };
        let made = match &traffic.origins {
            Some(origins) => Some(targets(origins)),
            None => fallback(),
        };
        Arc::new(Policy {
            zone: Arc::clone(&zone.traffic),
            own: known.traffic.clone(),
            origin: zone.origin.clone(),
            handshake: Handshake::new(&self.provider, &traffic),
            targets: made,
            more: more(&traffic, &targets),
        })
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        // Every change is a single step.
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// True if origins are told the client's name in the handshake: then each name has
/// connections of its own to them.
fn tells_the_name(zone: &Traffic, known: &Known) -> bool {
    let own = known
        .traffic
        .as_ref()
        .and_then(|own| own.origin_sni.as_ref());
    own.or(zone.origin_sni.as_ref()) == Some(&OriginName::Client)
}

fn more(traffic: &Traffic, targets: &impl Fn(&[Weighted]) -> Arc<Targets>) -> Option<Box<More>> {
    let usual = Traffic {
        origins: None,
        health_check: None,
        ejection: None,
        retry_percent: None,
        origin_sni: None,
        origin_trust: None,
        origin_identity: None,
        min_tls: None,
        ciphers: None,
        http2: None,
        client_roots: None,
        ..traffic.clone()
    };
    if usual == Traffic::default() {
        return None;
    }
    let host = match &traffic.origin_host {
        None | Some(OriginName::Client) => None,
        Some(OriginName::Origin) => Some(AskedHost::Origin),
        Some(OriginName::Fixed(host)) => Some(AskedHost::Fixed(host.clone())),
    };
    let maintenance = traffic.maintenance.as_ref().and_then(Switch::on);
    Some(Box::new(More {
        host,
        redirects: paths::redirects(traffic.redirects.as_deref().unwrap_or_default()),
        paths: paths::rules(traffic.paths.as_deref().unwrap_or_default(), targets),
        request: fields::of_requests(traffic),
        response: fields::of_responses(traffic),
        max_body: traffic.max_body,
        rate: traffic.request_rate.as_ref().and_then(Switch::on).copied(),
        connections: traffic
            .max_connections
            .as_ref()
            .and_then(Switch::on)
            .copied(),
        page: maintenance.map(|it| Page::new(it)),
    }))
}
