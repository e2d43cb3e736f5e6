//! The CA that a test's cluster obtains its certificates from.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{pebble::Pebble, road::ROAD};

/// One of the two; a suite that passes with both depends on neither.
pub enum Ca {
    /// Ours, in this process, and how many seconds its clock is ahead.
    Development(devca::Running, Arc<AtomicU64>),
    /// Let's Encrypt's own test server.
    Pebble(Box<Pebble>),
}

impl Ca {
    /// The development CA, which looks for challenges as `probing` says, on a free port
    /// of `at`. Behind a road it
    /// listens at the end of that, and says that it is at the other.
    pub async fn development(
        dir: &Path,
        probing: devca::Probing,
        validity: Duration,
        behaviour: devca::Behaviour,
        at: Ipv4Addr,
        end_of_road: Option<SocketAddr>,
    ) -> Self {
        let ahead = Arc::<AtomicU64>::default();
        let shift = ahead.clone();
        let precise: devca::PreciseClock =
            Arc::new(move || since_epoch() + Duration::from_secs(shift.load(Relaxed)));
        let seconds = precise.clone();
        let clock: devca::Clock = Arc::new(move || seconds().as_secs());
        let listen = end_of_road.unwrap_or((at, 0).into());
        let mut config = devca::Config::new(listen, probing, clock);
        config.public_host = end_of_road.map(|_| ROAD.to_string());
        config.behaviour = behaviour;
        config.precise_clock = Some(precise);
        config.directory = Some(dir.join("ca"));
        config.certificate_validity = validity;
        Self::Development(devca::Server::start(config).await.unwrap(), ahead)
    }

    /// Lets the development CA live so much later, as a cluster that was off does.
    pub fn live_later(&self, by: Duration) {
        match self {
            Self::Development(_, ahead) => ahead.store(by.as_secs(), Relaxed),
            Self::Pebble(_) => panic!("Pebble has no clock of its own"),
        }
    }

    /// A hand on the development CA: how it behaves, what it does wrong, what it did.
    pub fn control(&self) -> devca::Control {
        match self {
            Self::Development(ca, _) => ca.control(),
            Self::Pebble(_) => panic!("Pebble does not misbehave on command"),
        }
    }

    /// The URL of its directory.
    pub fn directory(&self) -> String {
        match self {
            Self::Development(ca, _) => ca.directory_url().to_owned(),
            Self::Pebble(pebble) => pebble.directory().to_owned(),
        }
    }

    /// What its API's certificate chains to.
    pub fn api_root_pem(&self) -> String {
        match self {
            Self::Development(ca, _) => ca.root_pem().to_owned(),
            Self::Pebble(pebble) => pebble.tls_root_pem().to_owned(),
        }
    }

    /// The root of what it issues.
    pub async fn issuing_root_pem(&self) -> String {
        match self {
            Self::Development(ca, _) => ca.root_pem().to_owned(),
            Self::Pebble(pebble) => pebble.issuing_root_pem().await,
        }
    }

    /// How many certificates it issued in all.
    pub fn issued(&self) -> usize {
        match self {
            Self::Development(ca, _) => ca.ledger().certificates.len(),
            Self::Pebble(pebble) => pebble.issued(),
        }
    }

    /// How many orders it took in all.
    pub fn orders(&self) -> usize {
        match self {
            Self::Development(ca, _) => ca.ledger().orders.len(),
            Self::Pebble(pebble) => pebble.orders(),
        }
    }
}

/// The time, by the clock that nodes and CAs have.
#[expect(
    clippy::disallowed_methods,
    reason = "the CA of a test lives in real time, as its cluster does"
)]
pub fn since_epoch() -> Duration {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
}
