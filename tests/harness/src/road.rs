//! The road between the nodes and their CA, which can be cut.
//!
//! Cut is meant as of a cable: segments are neither delivered nor acknowledged, so that
//! what a node has written stays in its kernel, which sends it again and again. A relay
//! that merely stopped reading would acknowledge everything, and nothing could be learnt
//! of it. A packet filter on the relay's own sockets does it without being root.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    os::fd::{AsFd as _, OwnedFd},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use socket2::{SockFilter, SockRef};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_util::task::AbortOnDropHandle;

/// `BPF_RET | BPF_K` of classic BPF: ends with how many bytes of the packet are kept.
const RETURN: u16 = 0x06;
/// Connections at once; a node has some ten.
const CONNECTIONS: usize = 256;
/// What is read at a time.
const PIECE: usize = 16 * 1024;

/// Where a CA at loopback is found behind a road.
pub const ROAD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

/// A relay to the CA that runs until it is dropped.
#[derive(Debug)]
pub struct Road {
    address: SocketAddr,
    lanes: Lanes,
    _accepting: AbortOnDropHandle<()>,
}

/// The connections that were taken and may still be there.
type Lanes = Arc<Mutex<Vec<Weak<Lane>>>>;

/// A connection from a node.
#[derive(Debug)]
struct Lane {
    /// Another handle of its socket.
    socket: OwnedFd,
    open: watch::Sender<bool>,
}

impl Road {
    /// From a free port of `ip` to the same port of `to`, where the CA is to listen.
    ///
    /// # Errors
    /// No port was free at both.
    pub async fn build(ip: Ipv4Addr, to: Ipv4Addr) -> io::Result<(Self, SocketAddr)> {
        let listener = TcpListener::bind((ip, 0)).await?;
        let address = listener.local_addr()?;
        let target = SocketAddr::from((to, address.port()));
        drop(TcpListener::bind(target).await?);
        let lanes = Lanes::default();
        let accepting = tokio::spawn(accept(listener, target, lanes.clone()));
        let road = Self {
            address,
            lanes,
            _accepting: AbortOnDropHandle::new(accepting),
        };
        Ok((road, target))
    }

    /// Where nodes find the CA.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Nothing passes on the connections that there are, not even that one has ended;
    /// those that come later pass.
    pub fn cut(&self) {
        let nothing = [SockFilter::new(RETURN, 0, 0, 0)];
        for lane in self.lanes() {
            lane.open.send_replace(false);
            SockRef::from(&lane.socket).attach_filter(&nothing).unwrap();
        }
    }

    /// All passes again; kernels send again what was lost, as long as they care to.
    pub fn mend(&self) {
        for lane in self.lanes() {
            if !lane.open.send_replace(true) {
                SockRef::from(&lane.socket).detach_filter().unwrap();
            }
        }
    }

    /// Whether a node has written what it cannot deliver, by what the kernel says of its
    /// sockets (proc(5), `/proc/net/tcp`).
    pub fn holds_back(&self) -> bool {
        let here = hexadecimal(self.address);
        let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
        sockets.lines().any(|line| {
            let mut fields = line.split_whitespace().skip(2);
            let (remote, _, queues) = (fields.next(), fields.next(), fields.next());
            let unsent = queues.and_then(|queues| queues.split_once(':'));
            remote == Some(&here) && unsent.is_some_and(|(sent, _)| sent != "00000000")
        })
    }

    fn lanes(&self) -> Vec<Arc<Lane>> {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.iter().filter_map(Weak::upgrade).collect()
    }
}

/// As `/proc/net/tcp` has it: the address as a number of this machine's byte order.
fn hexadecimal(address: SocketAddr) -> String {
    let SocketAddr::V4(address) = address else {
        return String::new();
    };
    let ip = u32::from_ne_bytes(address.ip().octets());
    format!("{ip:08X}:{:04X}", address.port())
}

async fn accept(listener: TcpListener, target: SocketAddr, lanes: Lanes) {
    let mut relays = JoinSet::new();
    loop {
        while relays.try_join_next().is_some() {}
        if relays.len() >= CONNECTIONS {
            relays.join_next().await;
        }
        let Ok((node, _)) = listener.accept().await else {
            continue;
        };
        let lane = Arc::new(Lane {
            socket: node.as_fd().try_clone_to_owned().unwrap(),
            open: watch::Sender::new(true),
        });
        let mut known = lanes.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|lane| lane.strong_count() > 0);
        known.push(Arc::downgrade(&lane));
        drop(known);
        relays.spawn(relay(node, target, lane));
    }
}

/// Until either end is over; the other is closed with it.
async fn relay(node: TcpStream, target: SocketAddr, lane: Arc<Lane>) {
    let Ok(ca) = TcpStream::connect(target).await else {
        return;
    };
    let (from_node, to_node) = node.into_split();
    let (from_ca, to_ca) = ca.into_split();
    tokio::select! {
        () = carry(from_node, to_ca, &lane) => {}
        () = carry(from_ca, to_node, &lane) => {}
    }
}

/// What was read when the road was cut waits until it is mended.
async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, lane: &Lane) {
    let mut open = lane.open.subscribe();
    let mut piece = vec![0; PIECE];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let passable = open.wait_for(|open| *open).await.is_ok();
        if !passable || to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
    // The end of a connection is news that a cut road does not carry either.
    let _ = open.wait_for(|open| *open).await;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// What arrives at the CA of a word that is written while the road is cut for `cut`,
    /// by a node whose kernel has so much patience.
    async fn arrives(patience: Option<Duration>, cut: Duration) -> String {
        let here = Ipv4Addr::LOCALHOST;
        let (road, target) = Road::build(here, Ipv4Addr::new(127, 0, 0, 2))
            .await
            .unwrap();
        let ca = TcpListener::bind(target).await.unwrap();
        let mut node = TcpStream::connect(road.address()).await.unwrap();
        SockRef::from(&node).set_tcp_user_timeout(patience).unwrap();
        let (mut seen, _) = ca.accept().await.unwrap();
        node.write_all(b"before ").await.unwrap();
        let mut word = [0; 7];
        seen.read_exact(&mut word).await.unwrap();
        road.cut();
        node.write_all(b"amid").await.unwrap();
        tokio::time::sleep(cut).await;
        drop(node);
        road.mend();
        let mut text = String::new();
        let read = seen.read_to_string(&mut text);
        let _ = tokio::time::timeout(Duration::from_secs(5), read).await;
        text
    }

    #[tokio::test]
    async fn what_was_written_arrives_when_the_road_is_mended() {
        assert_eq!(arrives(None, Duration::from_millis(500)).await, "amid");
    }

    #[tokio::test]
    async fn what_outlived_its_kernels_patience_never_arrives() {
        let patience = Some(Duration::from_millis(300));
        assert_eq!(arrives(patience, Duration::from_millis(1500)).await, "");
    }
}
