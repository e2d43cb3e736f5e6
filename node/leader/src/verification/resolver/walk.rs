//! From the root down to a name's own servers.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::sleep;

use super::{
    Inner,
    exchange::Question,
    read::{self, CHAIN_MOST, Delegation, Reading},
    zone::{Server, Zone},
};
use crate::verification::{
    answer::{Answer, Kind, Outcome, Sighting, Vantage},
    name::DnsName,
};

/// Most servers of one zone that are asked; zones have two to four, top-level domains more.
const SERVERS_MOST: usize = 4;
/// Most steps from the root to a name: one for each label, and a name in the arpa tree of
/// IPv6 has 34. Hostnames have ten.
const STEPS_MOST: usize = 16;
/// Most questions of one look. A zone whose servers have names in zones whose servers have
/// names could make us ask thousands (the NXNS attack); an honest one needs a dozen.
const QUESTIONS_MOST: u32 = 80;
/// How long one server is waited for before the next is asked as well.
const STAGGER: Duration = Duration::from_millis(400);
/// One step down.
enum Step {
    /// Another zone knows.
    Down(Delegation),
    /// This zone it is; what its servers said, usable or not.
    Here(Vec<(Server, Reading)>),
}

/// One look at a name's own servers.
pub(super) struct Walk<'a> {
    inner: &'a Inner,
    asked: AtomicU32,
}

impl<'a> Walk<'a> {
    pub(super) fn new(inner: &'a Inner) -> Self {
        Self {
            inner,
            asked: AtomicU32::new(0),
        }
    }

    /// What each server of the name's zone says. A CNAME that leads out of the zone is
    /// followed on, at the first of the next zone's servers that answers.
    ///
    /// # Errors
    /// If the zone's servers cannot be found.
    pub(super) async fn look(&self, name: &DnsName, kind: Kind) -> Result<Vec<Sighting>, Outcome> {
        let mut sightings = Vec::new();
        // Servers mostly agree where the name leads to: one walk for each target.
        let mut ends: HashMap<DnsName, Answer> = HashMap::new();
        for (server, reading) in self.readings(name, kind).await? {
            let answer = match reading {
                Reading::Final(answer) => answer,
                Reading::Away(chain) => self.on(name, chain, kind, &mut ends).await,
                Reading::Failed(outcome) => Answer::plain(outcome),
                Reading::Lame | Reading::Referral(_) => Answer::plain(Outcome::Lame),
            };
            sightings.push(Sighting {
                vantage: Vantage::Authoritative(server.name, server.address),
                answer,
            });
        }
        Ok(sightings)
    }

    /// Goes on from the end of `chain`, with `name` at its beginning.
    async fn on(
        &self,
        name: &DnsName,
        mut chain: Vec<DnsName>,
        kind: Kind,
        ends: &mut HashMap<DnsName, Answer>,
    ) -> Answer {
        let Some(target) = chain.last().cloned() else {
            return Answer::plain(Outcome::Malformed);
        };
        let end = match ends.get(&target) {
            Some(end) => end.clone(),
            None => {
                let end = self.end(&target, kind).await;
                ends.insert(target, end.clone());
                end
            }
        };
        let circle = end
            .chain
            .iter()
            .any(|next| next == name || chain.contains(next));
        chain.extend(end.chain);
        let outcome = if circle || chain.len() > CHAIN_MOST {
            Outcome::Loop
        } else {
            end.outcome
        };
        Answer { chain, outcome }
    }

    /// What is at the end of all CNAMEs from `name` on.
    async fn end(&self, name: &DnsName, kind: Kind) -> Answer {
        let mut chain: Vec<DnsName> = Vec::new();
        loop {
            let current = chain.last().unwrap_or(name).clone();
            let answer = match self.first(&current, kind).await {
                Ok(Reading::Final(answer)) => answer,
                Ok(Reading::Away(further)) => {
                    let circle = further
                        .iter()
                        .any(|next| next == name || chain.contains(next));
                    chain.extend(further);
                    if circle || chain.len() > CHAIN_MOST {
                        let outcome = Outcome::Loop;
                        return Answer { chain, outcome };
                    }
                    continue;
                }
                Ok(_) => Answer::plain(Outcome::Lame),
                Err(outcome) => Answer::plain(outcome),
            };
            chain.extend(answer.chain);
            let outcome = answer.outcome;
            return Answer { chain, outcome };
        }
    }

    /// The first usable answer of the servers of the zone that `name` is in.
    async fn first(&self, name: &DnsName, kind: Kind) -> Result<Reading, Outcome> {
        let mut worst = Outcome::Lame;
        for (_, reading) in self.readings(name, kind).await? {
            match reading {
                Reading::Final(_) | Reading::Away(_) => return Ok(reading),
                Reading::Failed(outcome) => worst = outcome,
                Reading::Lame | Reading::Referral(_) => {}
            }
        }
        Err(worst)
    }

    /// What the servers of the zone say that `name` is in. They are those that its parent
    /// names: there the world is sent, whatever the zone says of itself.
    async fn readings(
        &self,
        name: &DnsName,
        kind: Kind,
    ) -> Result<Vec<(Server, Reading)>, Outcome> {
        let mut zone = self.inner.tops.find(name).unwrap_or_else(|| self.root());
        for _ in 0..STEPS_MOST {
            match self.step(&zone, name, kind).await {
                Step::Here(readings) if zone.name == DnsName::root() => return beyond(readings),
                Step::Here(readings) => return Ok(readings),
                Step::Down(delegation) => {
                    zone = self.delegated(delegation).await?;
                    self.inner.tops.keep(&zone);
                }
            }
        }
        Err(Outcome::Lame)
    }

    /// Asks the servers of `zone`, one after the other in short order: the first that knows
    /// a delegation is enough, and once one has an answer all are to give theirs.
    async fn step(&self, zone: &Zone, name: &DnsName, kind: Kind) -> Step {
        let mut waiting = zone.servers.iter();
        let ask = |server: &Server| {
            let server = server.clone();
            async move {
                let reading = self.ask(&server, name, kind, &zone.name).await;
                (server, reading)
            }
        };
        let mut asking: FuturesUnordered<_> = waiting.by_ref().take(1).map(ask).collect();
        let mut readings = Vec::new();
        loop {
            tokio::select! {
                read = asking.next(), if !asking.is_empty() => match read {
                    Some((_, Reading::Referral(delegation))) => return Step::Down(delegation),
                    Some((server, reading)) => {
                        let all = matches!(reading, Reading::Final(_) | Reading::Away(_));
                        let further = if all { SERVERS_MOST } else { 1 };
                        readings.push((server, reading));
                        asking.extend(waiting.by_ref().take(further).map(ask));
                    }
                    None => {}
                },
                () = sleep(STAGGER), if waiting.len() > 0 => {
                    asking.extend(waiting.by_ref().take(1).map(ask));
                }
                else => return Step::Here(readings),
            }
        }
    }

    /// Finds the addresses of a zone's servers: glue, or what our resolvers say. An IPv4
    /// address goes before an IPv6 one, for not every node has IPv6.
    async fn delegated(&self, delegation: Delegation) -> Result<Zone, Outcome> {
        let mut servers = Vec::new();
        let mut forbidden = None;
        for name in delegation.servers.iter().take(SERVERS_MOST) {
            let glue = delegation.glue.iter().filter(|(owner, _)| owner == name);
            let mut addresses: Vec<IpAddr> = glue.map(|(_, address)| *address).collect();
            if addresses.is_empty() {
                addresses = self.addresses(name).await;
            }
            addresses.sort_by_key(IpAddr::is_ipv6);
            let Some(address) = addresses.first().copied() else {
                continue;
            };
            if self.inner.config.egress.permits(address) {
                servers.push(Server {
                    name: name.clone(),
                    address: self.at(address),
                });
            } else {
                forbidden = Some(Outcome::Forbidden(address));
            }
        }
        if servers.is_empty() {
            return Err(forbidden.unwrap_or(Outcome::Lame));
        }
        Ok(Zone {
            name: delegation.zone,
            servers,
        })
    }

    /// A name server's addresses, by the first of our resolvers that has some.
    async fn addresses(&self, name: &DnsName) -> Vec<IpAddr> {
        for kind in [Kind::A, Kind::Aaaa] {
            for resolver in &self.inner.config.recursive {
                if !self.may_ask() {
                    return Vec::new();
                }
                let question = Question::new(name, kind).recursive();
                let answer = self.inner.ask_resolver(*resolver, &question).await;
                let addresses: Vec<IpAddr> = answer.addresses().collect();
                if !addresses.is_empty() {
                    return addresses;
                }
                if answer.outcome.is_answer() {
                    break;
                }
            }
        }
        Vec::new()
    }

    async fn ask(&self, server: &Server, name: &DnsName, kind: Kind, zone: &DnsName) -> Reading {
        if !self.may_ask() {
            return Reading::Failed(Outcome::Refused);
        }
        let question = Question::new(name, kind);
        match self.inner.ask(server.address, &question).await {
            Ok(message) => read::served(&message, name, kind, zone),
            Err(outcome) => Reading::Failed(outcome),
        }
    }

    fn may_ask(&self) -> bool {
        self.asked.fetch_add(1, Ordering::Relaxed) < QUESTIONS_MOST
    }

    fn root(&self) -> Zone {
        let roots = self.inner.config.roots.iter();
        Zone {
            name: DnsName::root(),
            servers: roots
                .map(|address| Server {
                    name: DnsName::root(),
                    address: self.at(*address),
                })
                .collect(),
        }
    }

    fn at(&self, address: IpAddr) -> SocketAddr {
        SocketAddr::new(address, self.inner.config.authoritative_port)
    }
}

/// What the root servers said where they should have delegated: their failure is ours to
/// mend, not that of the name's servers.
fn beyond(readings: Vec<(Server, Reading)>) -> Result<Vec<(Server, Reading)>, Outcome> {
    let failures = readings.iter().map(|(_, reading)| match reading {
        Reading::Failed(outcome) => Some(outcome.clone()),
        _ => None,
    });
    match failures.collect::<Option<Vec<_>>>() {
        Some(failures) => Err(failures.into_iter().next().unwrap_or(Outcome::Timeout)),
        None => Ok(readings),
    }
}
