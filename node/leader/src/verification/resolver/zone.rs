//! Zones and their servers, and what is remembered of them.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::verification::name::DnsName;

/// How long we remember where a top-level domain's servers are. They change within days.
const TOPS_LIFE: Duration = Duration::from_secs(3600);
/// Most top-level domains that we remember: all that exist.
const TOPS_MOST: usize = 2000;

/// A server of a zone.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) name: DnsName,
    pub(super) address: SocketAddr,
}

/// A zone and whom to ask about it.
#[derive(Clone, Debug)]
pub(super) struct Zone {
    pub(super) name: DnsName,
    pub(super) servers: Vec<Server>,
}

/// Top-level domains whose servers are known.
#[derive(Default)]
pub(super) struct Tops(Mutex<HashMap<DnsName, (Instant, Zone)>>);

impl Tops {
    pub(super) fn find(&self, name: &DnsName) -> Option<Zone> {
        let top = name.climb().pop()?;
        let tops = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, zone) = tops.get(&top)?;
        (at.elapsed() < TOPS_LIFE).then(|| zone.clone())
    }

    pub(super) fn keep(&self, zone: &Zone) {
        let mut tops = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if zone.name.labels().count() == 1
            && (tops.len() < TOPS_MOST || tops.contains_key(&zone.name))
        {
            tops.insert(zone.name.clone(), (Instant::now(), zone.clone()));
        }
    }
}
