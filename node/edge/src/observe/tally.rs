//! Sums for each hostname: exact, kept by each core for itself, added up by who asks.
//!
//! Only hostnames that are authorized here get sums of their own, and only as many as
//! configured; the rest share one. They are kept as long as the process lives, so that a
//! number never goes back while it does.

use std::{
    ops::Bound,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use http::StatusCode;
use imbl::OrdMap;

use super::latency::{BUCKETS, Latency, bucket};

/// Classes of answers: none at all, then 1xx to 5xx.
pub const CLASSES: usize = 6;

/// The class of an answer.
pub(super) fn class(status: Option<StatusCode>) -> usize {
    // What is beyond 599 is nobody's; whoever sends it has failed.
    status.map_or(0, |status| usize::from(status.as_u16() / 100).min(5))
}

/// How a request was served.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) status: Option<StatusCode>,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) took: Duration,
}

/// A hostname's sums of one core.
#[derive(Debug)]
pub(crate) struct Tally {
    classes: [Sum; CLASSES],
    bytes_in: Sum,
    bytes_out: Sum,
    latency: [Sum; BUCKETS],
}

/// Written by one core, which therefore needs no exclusive access to add; read by anybody.
#[derive(Debug, Default)]
struct Sum(AtomicU64);

impl Sum {
    fn add(&self, more: u64) {
        self.0
            .store(self.0.load(Relaxed).wrapping_add(more), Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            classes: Default::default(),
            bytes_in: Sum::default(),
            bytes_out: Sum::default(),
            latency: std::array::from_fn(|_| Sum::default()),
        }
    }
}

impl Tally {
    pub(super) fn add(&self, served: &Served) {
        self.classes[class(served.status)].add(1);
        self.bytes_in.add(served.bytes_in);
        self.bytes_out.add(served.bytes_out);
        // How long a tunnel stands says nothing about how fast it was opened.
        if served.status != Some(StatusCode::SWITCHING_PROTOCOLS) {
            let micros = u64::try_from(served.took.as_micros()).unwrap_or(u64::MAX);
            self.latency[bucket(micros)].add(1);
        }
    }
}

/// What was served for a hostname since the process began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests: those whose client left before there was an answer, then those answered
    /// with 1xx to 5xx.
    pub classes: [u64; CLASSES],
    /// Bytes of requests' bodies, and what clients sent through tunnels.
    pub bytes_in: u64,
    /// Bytes of answers' bodies, and what tunnels carried to clients.
    pub bytes_out: u64,
    /// From a request's head to the end of its answer; without tunnels.
    pub latency: Latency,
}

impl Totals {
    /// All requests.
    pub fn requests(&self) -> u64 {
        self.classes.iter().sum()
    }

    fn add(&mut self, tally: &Tally) {
        let pairs = self.classes.iter_mut().zip(&tally.classes);
        let latency = self.latency.0.iter_mut().zip(&tally.latency);
        for (all, one) in pairs.chain(latency) {
            *all += one.get();
        }
        self.bytes_in += tally.bytes_in.get();
        self.bytes_out += tally.bytes_out.get();
    }
}

/// A hostname's sums, one of each core that has served it.
#[derive(Debug)]
struct Entry(Box<[OnceLock<Arc<Tally>>]>);

impl Entry {
    fn new(cores: usize) -> Self {
        Self((0..cores).map(|_| OnceLock::new()).collect())
    }

    fn tally(&self, core: usize) -> Arc<Tally> {
        Arc::clone(self.0[core].get_or_init(Arc::default))
    }

    fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for tally in self.0.iter().filter_map(OnceLock::get) {
            totals.add(tally);
        }
        totals
    }
}

/// The sums of all hostnames.
#[derive(Debug)]
pub struct Hostnames {
    cores: usize,
    most: usize,
    /// Replaced as a whole, so that nobody who reads it keeps anybody waiting.
    entries: ArcSwap<OrdMap<Arc<str>, Arc<Entry>>>,
    /// Held while a hostname is added: once in its life.
    adding: Mutex<()>,
    others: Entry,
}

impl Hostnames {
    pub(crate) fn new(cores: usize, most: usize) -> Arc<Self> {
        Arc::new(Self {
            cores,
            most,
            entries: ArcSwap::default(),
            adding: Mutex::default(),
            others: Entry::new(cores),
        })
    }

    /// Where `core` adds up what it serves for `hostname`, which is authorized here. For a
    /// connection to keep: its requests add without asking again.
    pub(crate) fn tally(&self, core: usize, hostname: &str) -> Arc<Tally> {
        if let Some(entry) = self.entries.load().get(hostname) {
            return entry.tally(core);
        }
        if self.count() >= self.most {
            return self.others.tally(core);
        }
        // A lock whose holder panicked guards nothing that could be half done.
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = OrdMap::clone(&self.entries.load());
        if let Some(entry) = entries.get(hostname) {
            return entry.tally(core);
        }
        if entries.len() >= self.most {
            return self.others.tally(core);
        }
        let entry = Arc::new(Entry::new(self.cores));
        let tally = entry.tally(core);
        entries.insert(hostname.into(), entry);
        self.entries.store(Arc::new(entries));
        tally
    }

    /// How many hostnames have sums of their own.
    pub fn count(&self) -> usize {
        self.entries.load().len()
    }

    /// A hostname's sums; absent if it has none of its own.
    pub fn get(&self, hostname: &str) -> Option<Totals> {
        self.entries
            .load()
            .get(hostname)
            .map(|entry| entry.totals())
    }

    /// The sums of all hostnames that have none of their own, together.
    pub fn others(&self) -> Totals {
        self.others.totals()
    }

    /// The first `most` hostnames that come after `last` by their bytes, with their sums.
    pub fn after(&self, last: &str, most: usize) -> Vec<(Arc<str>, Totals)> {
        let entries = self.entries.load();
        let range = (Bound::Excluded(last), Bound::Unbounded);
        let told = entries.range::<_, str>(range).take(most);
        told.map(|(hostname, entry)| (Arc::clone(hostname), entry.totals()))
            .collect()
    }

    /// The `most` hostnames with the largest `figure`, the largest first.
    pub fn top(&self, most: usize, figure: fn(&Totals) -> u64) -> Vec<(Arc<str>, Totals)> {
        let entries = self.entries.load_full();
        // No more than twice as many are held, however many hostnames there are.
        let mut top = Vec::new();
        let cut = |top: &mut Vec<(u64, Arc<str>, Totals)>| {
            top.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
            top.truncate(most);
        };
        for (hostname, entry) in entries.iter() {
            let totals = entry.totals();
            top.push((figure(&totals), Arc::clone(hostname), totals));
            if top.len() >= most.saturating_mul(2).max(1) {
                cut(&mut top);
            }
        }
        cut(&mut top);
        top.into_iter()
            .map(|(_, hostname, totals)| (hostname, totals))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(status: u16, bytes_in: u64, bytes_out: u64, micros: u64) -> Served {
        Served {
            status: StatusCode::from_u16(status).ok(),
            bytes_in,
            bytes_out,
            took: Duration::from_micros(micros),
        }
    }

    fn names(told: &[(Arc<str>, Totals)]) -> Vec<&str> {
        told.iter().map(|(hostname, _)| &**hostname).collect()
    }

    #[test]
    fn cores_are_added_up() {
        let all = Hostnames::new(2, 10);
        for core in [0, 1] {
            let tally = all.tally(core, "a.example");
            tally.add(&served(200, 3, 100, 1_000));
            tally.add(&served(503, 0, 7, 2_000));
        }
        all.tally(1, "a.example").add(&served(0, 1, 0, 500));
        let totals = all.get("a.example").unwrap();
        assert_eq!(totals.classes, [1, 0, 2, 0, 0, 2]);
        assert_eq!((totals.bytes_in, totals.bytes_out), (7, 214));
        assert_eq!(totals.requests(), 5);
        assert_eq!(
            totals.latency.buckets().map(|it| it.requests).sum::<u64>(),
            5
        );
        assert_eq!(all.get("b.example"), None);
    }

    #[test]
    fn statuses_have_classes() {
        for (status, expected) in [
            (0, 0),
            (101, 1),
            (204, 2),
            (304, 3),
            (499, 4),
            (599, 5),
            (600, 5),
            (999, 5),
        ] {
            assert_eq!(
                class(StatusCode::from_u16(status).ok()),
                expected,
                "{status}"
            );
        }
    }

    #[test]
    fn how_long_a_tunnel_stood_is_no_latency() {
        let all = Hostnames::new(1, 1);
        all.tally(0, "a.example")
            .add(&served(101, 1, 2, 60_000_000));
        let totals = all.get("a.example").unwrap();
        assert_eq!(totals.requests(), 1);
        assert_eq!(totals.latency.buckets().count(), 0);
    }

    #[test]
    fn what_has_no_room_is_counted_together() {
        let all = Hostnames::new(2, 2);
        for (core, hostname) in [(0, "a"), (1, "b"), (0, "c"), (1, "d"), (1, "a")] {
            all.tally(core, hostname).add(&served(200, 0, 10, 100));
        }
        assert_eq!(all.count(), 2);
        assert_eq!(all.get("a").unwrap().requests(), 2);
        assert_eq!(all.get("c"), None);
        let others = all.others();
        assert_eq!((others.requests(), others.bytes_out), (2, 20));
    }

    #[test]
    fn cores_that_meet_a_hostname_at_once_lose_nothing() {
        let all = Hostnames::new(4, 100);
        std::thread::scope(|scope| {
            for core in 0..4 {
                let all = &all;
                scope.spawn(move || {
                    for round in 0..1_000 {
                        let hostname = format!("h{}.example", (round * 7 + core) % 120);
                        all.tally(core, &hostname).add(&served(200, 1, 1, 100));
                    }
                });
            }
        });
        assert_eq!(all.count(), 100);
        let counted: u64 = all
            .after("", 1_000)
            .iter()
            .map(|(_, it)| it.requests())
            .sum();
        assert_eq!(counted + all.others().requests(), 4_000);
    }

    #[test]
    fn pages_go_on_where_the_last_ended() {
        let all = Hostnames::new(1, 10);
        for hostname in ["c", "a", "d", "b"] {
            all.tally(0, hostname);
        }
        assert_eq!(names(&all.after("", 3)), ["a", "b", "c"]);
        assert_eq!(names(&all.after("c", 3)), ["d"]);
        assert_eq!(names(&all.after("d", 3)), Vec::<&str>::new());
    }

    #[test]
    fn the_top_is_the_largest_first() {
        let all = Hostnames::new(1, 100);
        for (number, hostname) in ["a", "b", "c", "d", "e", "f"].iter().enumerate() {
            for _ in 0..[3, 9, 1, 9, 4, 2][number] {
                all.tally(0, hostname)
                    .add(&served(200, 0, number as u64, 1));
            }
        }
        assert_eq!(names(&all.top(3, Totals::requests)), ["b", "d", "e"]);
        assert_eq!(names(&all.top(1, |totals| totals.bytes_out)), ["d"]);
        assert_eq!(names(&all.top(0, Totals::requests)), Vec::<&str>::new());
        assert_eq!(all.top(100, Totals::requests).len(), 6);
    }
}
