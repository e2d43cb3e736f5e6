//! Carries packets from one TUN device to another, each direction in its own manner.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tokio_tun::Tun;
use tokio_util::task::AbortOnDropHandle;

/// Packets that wait on one way: at 10 ms they are 150 MB/s; more are lost, as in a router.
const WAITING: usize = 1024;
/// The longest packet of a device with our MTU.
const PACKET: usize = 2048;
/// A packet's destination in its header (RFC 791 section 3.1), and its version.
const DESTINATION: std::ops::Range<usize> = 16..20;
const IPV4: u8 = 4;

/// How packets fare in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Manner {
    /// How long each takes.
    pub delay: Duration,
    /// How much longer some take, at most; they stay in their order.
    pub jitter: Duration,
    /// Which part of them is lost: 0.0 to 1.0.
    pub loss: f64,
    /// All of them are.
    pub cut: bool,
}

impl Manner {
    /// Nothing passes.
    pub fn cut() -> Self {
        Self {
            cut: true,
            ..Self::default()
        }
    }
}

/// All ways between the devices; each ends when this is dropped.
#[derive(Debug)]
pub(super) struct Carrier {
    ways: Arc<BTreeMap<(u8, u8), Way>>,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

#[derive(Debug)]
struct Way {
    manner: Mutex<(Manner, ChaCha8Rng)>,
    queue: mpsc::Sender<(Instant, Vec<u8>)>,
    lost: AtomicU64,
}

impl Carrier {
    pub(super) fn start(devices: Vec<(u8, Arc<Tun>)>, seed: u64) -> Self {
        let (mut ways, mut tasks) = (BTreeMap::new(), Vec::new());
        for (from, _) in &devices {
            for (to, device) in devices.iter().filter(|(to, _)| to != from) {
                let (queue, waiting) = mpsc::channel(WAITING);
                let mut chance = ChaCha8Rng::seed_from_u64(seed);
                chance.set_stream(u64::from(*from) << 8 | u64::from(*to));
                let way = Way {
                    manner: Mutex::new((Manner::default(), chance)),
                    queue,
                    lost: AtomicU64::new(0),
                };
                ways.insert((*from, *to), way);
                tasks.push(tokio::spawn(deliver(waiting, Arc::clone(device))));
            }
        }
        let ways = Arc::new(ways);
        for (from, device) in devices {
            tasks.push(tokio::spawn(collect(from, device, Arc::clone(&ways))));
        }
        Self {
            ways,
            _tasks: tasks.into_iter().map(AbortOnDropHandle::new).collect(),
        }
    }

    pub(super) fn manner(&self, from: u8, to: u8, manner: Manner) {
        let way = self
            .ways
            .get(&(from, to))
            .expect("both are of this network");
        way.locked().0 = manner;
    }

    pub(super) fn lost(&self) -> u64 {
        self.ways.values().map(|way| way.lost.load(Relaxed)).sum()
    }
}

impl Way {
    fn locked(&self) -> std::sync::MutexGuard<'_, (Manner, ChaCha8Rng)> {
        self.manner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, packet: &[u8]) {
        let due = {
            let mut locked = self.locked();
            let (manner, chance) = &mut *locked;
            let lost = manner.cut || chance.random_bool(manner.loss.clamp(0.0, 1.0));
            let late = manner.jitter.mul_f64(chance.random_range(0.0..=1.0));
            (!lost).then(|| Instant::now() + manner.delay + late)
        };
        let taken = due.map(|due| self.queue.try_send((due, packet.to_vec())));
        if !matches!(taken, Some(Ok(()))) {
            self.lost.fetch_add(1, Relaxed);
        }
    }
}

/// Reads what leaves a namespace, and puts it on its way.
async fn collect(from: u8, device: Arc<Tun>, ways: Arc<BTreeMap<(u8, u8), Way>>) {
    let mut buffer = vec![0; PACKET];
    while let Ok(length) = device.recv(&mut buffer).await {
        let packet = &buffer[..length];
        let is_ipv4 = packet.first().is_some_and(|first| first >> 4 == IPV4);
        let Some([a, b, c, number]) = packet.get(DESTINATION).filter(|_| is_ipv4) else {
            continue;
        };
        if super::ip(*number).octets() == [*a, *b, *c, *number]
            && let Some(way) = ways.get(&(from, *number))
        {
            way.take(packet);
        }
    }
}

/// Writes what has travelled long enough.
async fn deliver(mut waiting: mpsc::Receiver<(Instant, Vec<u8>)>, device: Arc<Tun>) {
    while let Some((due, packet)) = waiting.recv().await {
        sleep_until(due).await;
        // A device that takes no packet loses it, as any does.
        let _ = device.send(&packet).await;
    }
}
