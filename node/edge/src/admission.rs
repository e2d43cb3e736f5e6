//! Who may come in: bounds of a node's connections in all and for each client, and what is
//! done near them.
//!
//! Near a bound those who rest between two requests are asked to leave, in good form, the
//! longest first; only at the bound are new ones refused, and before a byte of theirs is
//! read. What is kept of a client is two numbers, and of strangers no more than
//! `ALLOWANCES` are kept.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::{sync::Semaphore, time::interval};

use crate::{
    limits::{CROWDED, Limits, MEMORY_LOOK, MEMORY_TIGHT, ROOM_WITHOUT_MEMORY, SHED_REPORT},
    metrics::{Counters, Snapshot},
    policy::allowance::{Allowances, Connected},
};

/// Tells how many octets of memory this process has in use.
pub type MemoryUsed = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What all cores count together.
pub(crate) struct Admission {
    pub(crate) https: Room,
    pub(crate) http: Room,
    /// The right to open connections to origins.
    pub(crate) origins: Arc<Semaphore>,
    clients: Arc<Allowances<Network>>,
    memory: Memory,
}

/// Why a connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There are as many as there may be.
    Full,
    /// Memory is used up.
    Memory,
    /// Its client has too many, or opens them too fast.
    Client,
    /// Too many handshakes are under way.
    Handshakes,
}

/// Connections of one port.
pub(crate) struct Room {
    most: usize,
    used: Arc<AtomicUsize>,
}

/// A connection's place in a [`Room`], until it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

/// Who counts as one client: an IPv4 address, or what a household gets of IPv6 at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Network {
    V4([u8; 4]),
    /// The first 64 bits.
    V6([u8; 8]),
}

/// How the process stands with its memory.
#[derive(Default)]
struct Memory {
    tight: AtomicBool,
    full: AtomicBool,
}

impl Admission {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        let shares = limits.shares();
        let origins = shares.origins.min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            https: Room::of(shares.https),
            http: Room::of(shares.http),
            origins: Arc::new(Semaphore::new(origins)),
            clients: Allowances::new(),
            memory: Memory::default(),
        })
    }

    /// A place for one more connection.
    pub(crate) fn enter(&self, room: &Room) -> Result<Place, Refused> {
        // Some are let in whatever memory says: it may be others who fill it.
        if self.memory.full.load(Relaxed) && room.is_beyond(ROOM_WITHOUT_MEMORY) {
            return Err(Refused::Memory);
        }
        room.enter().ok_or(Refused::Full)
    }

    /// True if those who rest should leave.
    pub(crate) fn is_crowded(&self, room: &Room) -> bool {
        self.memory.tight.load(Relaxed) || room.is_beyond(CROWDED)
    }

    /// Counts a connection with its client's, once it is known who that is.
    pub(crate) fn know(
        &self,
        client: SocketAddr,
        limits: &Limits,
    ) -> Result<Option<Connected<Network>>, Refused> {
        let network = Network::of(client.ip());
        let connected = limits.connections_each.map(|most| {
            let connected = self.clients.connect(&network, most);
            connected.ok_or(Refused::Client)
        });
        let connected = connected.transpose()?;
        match limits.rate_each {
            Some(rate) if !self.clients.request(&network, rate) => Err(Refused::Client),
            Some(_) | None => Ok(connected),
        }
    }

    /// Looks at the memory in use until the task ends.
    pub(crate) async fn watch_memory(self: Arc<Self>, most: u64, used: MemoryUsed) {
        let mut ticks = interval(MEMORY_LOOK);
        loop {
            ticks.tick().await;
            self.memory.note(used(), most);
        }
    }
}

impl Room {
    fn of(most: usize) -> Self {
        Self {
            most,
            used: Arc::default(),
        }
    }

    fn enter(&self) -> Option<Place> {
        let place = Place(Arc::clone(&self.used));
        // Above the bound the place is given back at once, by being dropped.
        (self.used.fetch_add(1, Relaxed) < self.most).then_some(place)
    }

    /// True if more than these hundredths are taken.
    fn is_beyond(&self, hundredths: usize) -> bool {
        self.used.load(Relaxed) > self.most.saturating_mul(hundredths) / 100
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Memory {
    fn note(&self, used: u64, most: u64) {
        let tight = most / 100 * MEMORY_TIGHT;
        self.tight.store(used > tight, Relaxed);
        self.full.store(used > most, Relaxed);
    }
}

impl Network {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

impl From<&Self> for Network {
    fn from(network: &Self) -> Self {
        *network
    }
}

/// Says what was refused and shed, at most once in [`SHED_REPORT`], until the task ends.
pub(crate) async fn report(counters: Vec<Arc<Counters>>) {
    let mut ticks = interval(SHED_REPORT);
    let mut before = Snapshot::of(&counters);
    loop {
        ticks.tick().await;
        let now = Snapshot::of(&counters);
        let since = |figure: fn(&Snapshot) -> u64| figure(&now) - figure(&before);
        let shed = since(|all| all.connections_shed);
        let full = since(|all| all.refused_full);
        let memory = since(|all| all.refused_memory);
        let client = since(|all| all.refused_client);
        let handshakes = since(|all| all.refused_handshakes) + since(|all| all.handshakes_shed);
        let failed = since(|all| all.accept_failures);
        if shed + full + memory + client + handshakes + failed > 0 {
            tracing::warn!(
                open = now.connections_open,
                shed,
                full,
                memory,
                client,
                handshakes,
                failed,
                "connections were refused, or ended to make room"
            );
        }
        before = now;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use state::traffic::Rate;

    use super::*;

    fn admission(limits: &Limits) -> Arc<Admission> {
        Admission::new(limits)
    }

    fn from(address: &str) -> SocketAddr {
        SocketAddr::new(address.parse().unwrap(), 4711)
    }

    #[test]
    fn a_client_is_an_ipv4_address_or_a_64() {
        let same = |one: &str, other: &str| {
            Network::of(one.parse().unwrap()) == Network::of(other.parse().unwrap())
        };
        for (one, other, expected) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2", false),
            ("2001:db8::1", "2001:db8::ffff:0:0:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("::1", "0.0.0.1", false),
        ] {
            assert_eq!(same(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn a_room_has_its_bound() {
        let limits = Limits {
            connections: 2,
            ..Limits::default()
        };
        let admission = admission(&limits);
        let first = admission.enter(&admission.https).unwrap();
        let second = admission.enter(&admission.https).unwrap();
        assert_eq!(
            admission.enter(&admission.https).unwrap_err(),
            Refused::Full
        );
        drop(admission.enter(&admission.http).unwrap());
        drop((first, second));
        assert!(!admission.is_crowded(&admission.https));
        drop(admission.enter(&admission.https).unwrap());
    }

    #[test]
    fn clients_have_bounds_of_their_own() {
        let limits = Limits {
            connections_each: Some(2),
            rate_each: None,
            ..Limits::default()
        };
        let admission = admission(&limits);
        let know = |address| admission.know(from(address), &limits);
        let held = [know("192.0.2.1"), know("192.0.2.1"), know("192.0.2.2")];
        assert!(held.iter().all(Result::is_ok));
        assert!(matches!(know("192.0.2.1"), Err(Refused::Client)));
        drop(held);
        assert!(know("192.0.2.1").is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn clients_open_connections_at_a_rate() {
        let limits = Limits {
            connections_each: None,
            rate_each: Some(Rate {
                per_second: 1,
                burst: 3,
            }),
            ..Limits::default()
        };
        let admission = admission(&limits);
        let welcome = || {
            (0..9)
                .filter(|_| admission.know(from("2001:db8::1"), &limits).is_ok())
                .count()
        };
        assert_eq!(welcome(), 3);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(welcome(), 2);
    }

    #[test]
    fn without_memory_a_few_are_let_in() {
        let limits = Limits {
            connections: 100,
            ..Limits::default()
        };
        let admission = admission(&limits);
        let (most, room) = (1 << 30, &admission.https);
        admission.memory.note(most, most);
        assert!(admission.is_crowded(room));
        let some: Vec<_> = (0..50).filter_map(|_| admission.enter(room).ok()).collect();
        assert_eq!(some.len(), 50);
        admission.memory.note(most + 1, most);
        assert_eq!(admission.enter(room).unwrap_err(), Refused::Memory);
        drop(some);
        let few = (0..100).map_while(|_| admission.enter(room).ok());
        assert_eq!(few.collect::<Vec<_>>().len(), ROOM_WITHOUT_MEMORY + 1);
        admission.memory.note(most / 2, most);
        assert!(!admission.is_crowded(room));
    }
}
