//! The road to DNS, and the port before it.
//!
//! Two kinds of vantage. The configured recursive resolvers say what the world sees, caches
//! and DNSSEC included. The servers of the name's own zone, found from the root on, say what
//! the world will see. A CA asks as the second; customers' visitors see the first.
//!
//! Nothing that a customer can change is ever cached. Only where a top-level domain's
//! servers are is remembered, for an hour: or every look would begin at the root servers.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};

use super::{
    answer::{Answer, Kind, Look, Outcome, Sighting, Vantage},
    egress::Egress,
    name::DnsName,
};
use crate::issuance::pace::Jitter;
use exchange::{Exchange, Question};
use walk::Walk;

mod exchange;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod read;
mod walk;
mod zone;

#[cfg(test)]
pub(super) mod tests;

/// Who can look at DNS.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// Asks every vantage for records of `kind` at `name`. Never fails: who did not answer
    /// is in the look, with the reason.
    async fn look(&self, name: &DnsName, kind: Kind) -> Look;
}

/// The root servers (IANA, root hints of 2024), those of their IPv4 addresses that answer
/// everywhere; six, so that no outage of one operator matters.
const ROOTS: [Ipv4Addr; 6] = [
    Ipv4Addr::new(198, 41, 0, 4),
    Ipv4Addr::new(170, 247, 170, 2),
    Ipv4Addr::new(192, 33, 4, 12),
    Ipv4Addr::new(192, 5, 5, 241),
    Ipv4Addr::new(192, 58, 128, 30),
    Ipv4Addr::new(193, 0, 14, 129),
];

/// Questions under way at once, for all looks: each holds a socket. A look that waits for a
/// place spends its own time, so whoever plans looks keeps well below.
const QUESTIONS_MOST: usize = 256;

/// Whom to ask, and how long to wait.
#[derive(Clone, Debug)]
pub struct Config {
    /// Recursive resolvers, at least two that are not operated together. These are the
    /// operator's choice and may be private.
    pub recursive: Vec<SocketAddr>,
    /// Whether the servers of zones are asked too.
    pub authoritative: bool,
    /// Root servers.
    pub roots: Vec<IpAddr>,
    /// The port of all servers of zones: 53.
    pub authoritative_port: u16,
    /// How long one server has for one answer. Resolvers of CAs give up after some seconds.
    pub attempt: Duration,
    /// How often one server is asked by UDP before it counts as silent, from 1.
    pub attempts: u32,
    /// How long one look may last in all.
    pub look: Duration,
    /// Which servers of zones may be asked.
    pub egress: Egress,
}

impl Config {
    /// What suits production.
    pub fn new(recursive: Vec<SocketAddr>) -> Self {
        Self {
            recursive,
            authoritative: true,
            roots: ROOTS.map(IpAddr::V4).to_vec(),
            authoritative_port: 53,
            attempt: Duration::from_secs(2),
            attempts: 2,
            look: Duration::from_secs(12),
            egress: Egress::default(),
        }
    }
}

/// [`Resolver`] by our own questions: UDP with random ports, ids and letter case (0x20), TCP
/// when an answer is cut short or the case does not come back.
#[derive(Clone)]
pub struct Dns {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    exchange: Exchange,
    tops: zone::Tops,
    places: Semaphore,
}

impl Dns {
    /// Asks as `config` says; `jitter` must be unpredictable outside of tests.
    pub fn new(config: Config, jitter: Arc<dyn Jitter>) -> Self {
        let exchange = Exchange {
            attempt: config.attempt,
            attempts: config.attempts,
            jitter,
        };
        Self {
            inner: Arc::new(Inner {
                config,
                exchange,
                tops: zone::Tops::default(),
                places: Semaphore::new(QUESTIONS_MOST),
            }),
        }
    }
}

#[async_trait]
impl Resolver for Dns {
    async fn look(&self, name: &DnsName, kind: Kind) -> Look {
        let mut views = JoinSet::new();
        for server in self.inner.config.recursive.clone() {
            let (inner, name) = (self.inner.clone(), name.clone());
            views.spawn(async move { vec![inner.recursive(server, &name, kind).await] });
        }
        if self.inner.config.authoritative {
            let (inner, name) = (self.inner.clone(), name.clone());
            views.spawn(async move { inner.authoritative(&name, kind).await });
        }
        let mut sightings: Vec<Sighting> = Vec::new();
        while let Some(seen) = views.join_next().await {
            sightings.extend(seen.unwrap_or_default());
        }
        sightings.sort_by(|one, other| one.vantage.cmp(&other.vantage));
        Look {
            name: name.clone(),
            kind,
            sightings,
        }
    }
}

impl Inner {
    async fn recursive(&self, server: SocketAddr, name: &DnsName, kind: Kind) -> Sighting {
        let asking = self.ask_recursive(server, name, kind);
        let answer = timeout(self.config.look, asking).await;
        Sighting {
            vantage: Vantage::Recursive(server),
            answer: answer.unwrap_or_else(|_| Answer::plain(Outcome::Timeout)),
        }
    }

    async fn ask_recursive(&self, server: SocketAddr, name: &DnsName, kind: Kind) -> Answer {
        let question = Question::new(name, kind).recursive();
        let answer = self.ask_resolver(server, &question).await;
        if answer.outcome != Outcome::ServFail {
            return answer;
        }
        // Whether it is DNSSEC that failed, only asking without its check tells.
        let unchecked = self.ask_resolver(server, &question.unchecked()).await;
        if unchecked.outcome.is_answer() {
            return Answer::plain(Outcome::Bogus);
        }
        answer
    }

    async fn ask_resolver(&self, server: SocketAddr, question: &Question) -> Answer {
        match self.ask(server, question).await {
            Ok(message) => read::resolved(&message, &question.name, question.kind),
            Err(outcome) => Answer::plain(outcome),
        }
    }

    async fn ask(
        &self,
        server: SocketAddr,
        question: &Question,
    ) -> Result<hickory_proto::op::Message, Outcome> {
        // Never closed, so it always comes to a place.
        let _place = self.places.acquire().await;
        self.exchange.ask(server, question).await
    }

    async fn authoritative(&self, name: &DnsName, kind: Kind) -> Vec<Sighting> {
        let walk = Walk::new(self);
        let seen = timeout(self.config.look, walk.look(name, kind)).await;
        let seen = seen.unwrap_or(Err(Outcome::Timeout));
        seen.unwrap_or_else(|outcome| {
            vec![Sighting {
                vantage: Vantage::NoAuthority,
                answer: Answer::plain(outcome),
            }]
        })
    }
}
