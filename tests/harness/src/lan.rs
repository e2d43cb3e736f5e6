//! A network of its own for a cluster: a namespace for each node and one for the test with
//! its CA and its origin, and a userspace link between them that can be slow, lossy or cut
//! in one direction.
//!
//! Each namespace has one TUN device; what is written to it is read here, delayed or lost
//! by chance from a seed, and written to another's. Nothing outside of these namespaces is
//! addressed or changed. Needs root, `ip` and /dev/net/tun.

mod carrier;

use std::{
    fs::{self, File, Permissions},
    future::Future,
    net::Ipv4Addr,
    os::{fd::AsFd as _, unix::fs::PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::runtime::{Builder, Handle};
use tokio_tun::Tun;

use crate::machine::{needs, needs_file, needs_root, run, try_run};
use carrier::Carrier;
pub use carrier::Manner;

/// Where the test, its CA and its origin are.
pub const WORLD: u8 = 100;
/// What a TUN device is called, in each namespace alike.
const DEVICE: &str = "hq0";
/// Room for what tunnels on real roads take away.
const MTU: i32 = 1400;
/// The addresses are of the net for benchmarks (RFC 2544), which leads nowhere.
const MASK: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 0);

/// A network that is there until it is dropped.
#[derive(Debug)]
pub struct Lan {
    namespaces: Vec<Namespace>,
    carrier: Carrier,
}

/// Tells `story` on threads within a network of `nodes` nodes, in its [`WORLD`], and takes
/// the network away afterwards. What the links do by chance is drawn from `seed`.
///
/// # Panics
/// If the machine lacks what is needed, or the story ends so.
#[track_caller]
pub fn within<F, Fut>(nodes: u8, seed: u64, story: F)
where
    F: FnOnce(Arc<Lan>) -> Fut + Send + 'static,
    Fut: Future<Output = ()>,
{
    needs_root("a network of its own");
    needs("ip", "iproute2");
    needs("nsenter", "util-linux");
    needs_file(
        "/dev/net/tun",
        "mknod /dev/net/tun c 10 200, with the kernel's CONFIG_TUN",
    );
    let namespaces: Vec<Namespace> = (1..=nodes).chain([WORLD]).map(Namespace::add).collect();
    let thread = std::thread::spawn(move || {
        // All threads of the runtime begin where this one is by then.
        namespaces.last().unwrap().enter();
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let devices = namespaces
                .iter()
                .map(|it| (it.number, it.device()))
                .collect();
            let carrier = Carrier::start(devices, seed);
            story(Arc::new(Lan {
                namespaces,
                carrier,
            }))
            .await;
        });
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// The address of node `number`, or of the [`WORLD`].
pub fn ip(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, 0, number)
}

impl Lan {
    /// How all goes from `from` to `to` from now on; the other way is another's.
    pub fn manner(&self, from: u8, to: u8, manner: Manner) {
        self.carrier.manner(from, to, manner);
    }

    /// How all goes between nodes from now on, in every direction.
    pub fn manners(&self, manner: Manner) {
        for from in self.nodes() {
            for to in self.nodes().filter(|to| *to != from) {
                self.manner(from, to, manner);
            }
        }
    }

    /// Packets that came to a link and did not leave it, by chance or because it was cut.
    pub fn lost(&self) -> u64 {
        self.carrier.lost()
    }

    /// A program that starts `program` in the namespace of the node at `address`; put into
    /// `dir`.
    pub(crate) fn program(&self, address: Ipv4Addr, program: &Path, dir: &Path) -> PathBuf {
        let place = self.namespaces.iter().find(|it| ip(it.number) == address);
        let place = place.expect("the address is a node's");
        let path = dir.join(format!("within-{}", place.number));
        let text = format!(
            "#!/bin/sh\nexec nsenter --net={} {} \"$@\"\n",
            place.path().display(),
            program.display()
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        path
    }

    fn nodes(&self) -> impl Iterator<Item = u8> + '_ {
        let numbers = self.namespaces.iter().map(|namespace| namespace.number);
        numbers.filter(|number| *number != WORLD)
    }
}

/// A network namespace of ours, taken away when it is dropped.
#[derive(Debug)]
struct Namespace {
    name: String,
    number: u8,
}

impl Namespace {
    fn add(number: u8) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Relaxed);
        let name = format!("hqtest-{}-{count}-{number}", std::process::id());
        run("ip", &["netns", "add", &name]);
        let namespace = Self { name, number };
        run("ip", &["-n", &namespace.name, "link", "set", "lo", "up"]);
        namespace
    }

    fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.name)
    }

    /// From now on the calling thread, and each that it begins, is in it.
    fn enter(&self) {
        let link = File::open(self.path()).unwrap();
        move_into_link_name_space(link.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    }

    /// A TUN device in it, up, with its address.
    fn device(&self) -> Arc<Tun> {
        let runtime = Handle::current();
        std::thread::scope(|scope| {
            let made = scope.spawn(move || {
                self.enter();
                let _runtime = runtime.enter();
                let device = Tun::builder()
                    .name(DEVICE)
                    .address(ip(self.number))
                    .netmask(MASK)
                    .mtu(MTU)
                    .close_on_exec()
                    .up()
                    .build();
                device.expect("a TUN device").pop().unwrap()
            });
            Arc::new(made.join().unwrap())
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Processes that are still in it keep it without its name.
        let _ = try_run("ip", &["netns", "delete", &self.name]);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{SocketAddr, UdpSocket},
        time::Duration,
    };

    use tokio::{net::UdpSocket as Asker, time::Instant, time::timeout};

    use super::*;

    /// Answers each datagram with itself, in `namespace`, twelve times.
    fn echo(namespace: &Namespace) -> SocketAddr {
        let number = namespace.number;
        std::thread::scope(|scope| {
            let bound = scope.spawn(move || {
                namespace.enter();
                UdpSocket::bind((ip(number), 0)).unwrap()
            });
            let socket = bound.join().unwrap();
            let address = socket.local_addr().unwrap();
            std::thread::spawn(move || {
                let mut bytes = [0; 16];
                for _ in 0..12 {
                    let (length, from) = socket.recv_from(&mut bytes).unwrap();
                    socket.send_to(&bytes[..length], from).unwrap();
                }
            });
            address
        })
    }

    /// How long an answer takes, if one comes.
    async fn ask(address: SocketAddr) -> Option<Duration> {
        let socket = Asker::bind((ip(WORLD), 0)).await.unwrap();
        let asked = Instant::now();
        socket.send_to(b"there?", address).await.unwrap();
        let heard = timeout(Duration::from_millis(500), socket.recv(&mut [0; 16])).await;
        heard.ok().map(|_| asked.elapsed())
    }

    #[test]
    fn links_are_slow_lossy_or_cut_each_way_by_itself() {
        within(1, 7, |lan| async move {
            let node = echo(&lan.namespaces[0]);
            assert!(ask(node).await.is_some());
            let slow = Manner {
                delay: Duration::from_millis(60),
                ..Manner::default()
            };
            lan.manner(WORLD, 1, slow);
            lan.manner(1, WORLD, slow);
            assert!(ask(node).await.unwrap() >= Duration::from_millis(120));
            lan.manner(WORLD, 1, Manner::default());
            lan.manner(1, WORLD, Manner::cut());
            assert_eq!(
                (ask(node).await, lan.lost()),
                (None, 1),
                "the answer is lost"
            );
            lan.manner(WORLD, 1, Manner::cut());
            lan.manner(1, WORLD, Manner::default());
            assert_eq!(
                (ask(node).await, lan.lost()),
                (None, 2),
                "the question is lost"
            );
            lan.manner(WORLD, 1, Manner::default());
            assert!(ask(node).await.is_some());
        });
    }
}
