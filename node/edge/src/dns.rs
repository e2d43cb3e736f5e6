//! Authoritative DNS for what customers delegate to us: `_acme-challenge` names
//! (dns-01, RFC 8555 section 8.4) and the targets of their hostnames.
//!
//! ```text
//! udp, tcp -> rate -> query -> respond (zone, Answers) -> reply
//! ```
//!
//! One thread with a runtime of its own, and bounds on all that can be asked of
//! it: a flood of queries takes a fifth of a core at most and never a thread that serves
//! customers' traffic. It answers from what this node knows and waits for nobody;
//! who may lack the newest challenges says so (SERVFAIL) instead of denying them.
//!
//! Sockets and messages are our own. A general server (hickory-server) takes each
//! datagram into a task before anybody can count it, answers malformed ones
//! itself, gives a client as long a datagram as it asks for, and writes two lines
//! of log for each query; a general parser allocates by counts that a forged
//! header names. What is left to read here is one name and one OPT. The tests
//! hold it against the parsers of others: hickory's, dig's and unbound's.
//!
//! It never resolves, transfers, updates or signs.

#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod limits;
mod metrics;
mod name;
mod present;
mod query;
mod rate;
mod reply;
mod respond;
mod tcp;
mod udp;
mod zone;

use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::{runtime, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

pub(crate) use self::present::FromView;
pub use self::{
    limits::Limits,
    metrics::Snapshot,
    name::{Name, NameError},
    present::Behind,
    zone::{Caa, Nameserver, Settings, Zones},
};
use self::{
    metrics::Counters,
    rate::{Network, Pace, Rates, Verdict},
    tcp::Places,
};

/// How the server listens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Each by UDP and TCP alike. Port 0 draws one that is free for both.
    pub listen: Vec<SocketAddr>,
    /// Bounds.
    pub limits: Limits,
}

/// What is answered from, read anew for each query.
pub trait Answers: Send + Sync {
    /// The present zones.
    fn zones(&self) -> Arc<Zones>;

    /// The TXT values at a label of the zone of challenges; none if there is no
    /// order at present. `None` if the label is no hostname's.
    fn challenge(&self, label: &str) -> Option<Vec<String>>;

    /// True if a label of the zone of targets is a tenant's.
    fn is_target(&self, label: &str) -> bool;

    /// True if this node may lack what others have published already.
    fn is_behind(&self) -> bool;

    /// The serial of the zones' SOA.
    fn serial(&self) -> u32;
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process has it, it is not this machine's, or it needs a privilege.
    #[error("cannot listen for DNS queries on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The system gives no thread or descriptor.
    #[error("cannot start the DNS server's thread: {0}")]
    Thread(io::Error),
}

/// A running server. Ends when it is dropped.
pub struct Running {
    addresses: Vec<SocketAddr>,
    counters: Arc<Counters>,
    stop: CancellationToken,
    thread: Option<thread::JoinHandle<()>>,
}

/// What sockets share.
pub(crate) struct Server {
    answers: Arc<dyn Answers>,
    limits: Limits,
    pace: Pace,
    rates: Mutex<Rates>,
    places: Places,
    counters: Arc<Counters>,
}

impl Server {
    fn judge(&self, network: Network, now: Instant) -> Verdict {
        // Every change is a single step.
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.judge(network, now)
    }
}

impl Running {
    /// Binds all addresses and answers.
    ///
    /// # Errors
    ///
    /// An address or a thread was not to be had.
    pub fn start(config: Config, answers: Arc<dyn Answers>) -> Result<Self, StartError> {
        let mut addresses = Vec::new();
        let mut sockets = Vec::new();
        for address in config.listen {
            let pair = bind(address).map_err(|source| StartError::Listen { address, source })?;
            addresses.push(pair.0.local_addr().map_err(StartError::Thread)?);
            sockets.push(pair);
        }
        let counters = Arc::new(Counters::default());
        let server = Server {
            answers,
            pace: Pace::new(&config.limits),
            rates: Mutex::new(Rates::new(&config.limits, Instant::now())),
            places: Places::new(config.limits.connections),
            counters: Arc::clone(&counters),
            limits: config.limits,
        };
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(StartError::Thread)?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = thread::Builder::new()
            .name("dns".to_owned())
            .spawn(move || runtime.block_on(serve(Arc::new(server), sockets, stopped)))
            .map_err(StartError::Thread)?;
        Ok(Self {
            addresses,
            counters,
            stop,
            thread: Some(thread),
        })
    }

    /// Where it listens, as configured, with the ports that were drawn.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What was counted so far.
    pub fn metrics(&self) -> Snapshot {
        self.counters.snapshot()
    }

    /// True while its thread runs.
    pub fn is_alive(&self) -> bool {
        self.thread
            .as_ref()
            .is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // It waits for nothing but its sockets, so it ends at once.
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("addresses", &self.addresses)
            .field("alive", &self.is_alive())
            .finish()
    }
}

async fn serve(
    server: Arc<Server>,
    sockets: Vec<(UdpSocket, TcpListener)>,
    stop: CancellationToken,
) {
    let mut tasks = JoinSet::new();
    for (datagrams, streams) in sockets {
        let datagrams = tokio::net::UdpSocket::from_std(datagrams);
        let streams = tokio::net::TcpListener::from_std(streams);
        match (datagrams, streams) {
            (Ok(datagrams), Ok(streams)) => {
                tasks.spawn(udp::serve(Arc::clone(&server), datagrams));
                tasks.spawn(tcp::serve(Arc::clone(&server), streams));
            }
            (Err(error), _) | (_, Err(error)) => {
                tracing::error!(%error, "a DNS socket cannot be used");
                return;
            }
        }
    }
    // Neither kind of task ends by itself: one that did has failed, and a server
    // that hears half of the queries must not seem to be well.
    tokio::select! {
        () = stop.cancelled() => {}
        Some(_) = tasks.join_next() => tracing::error!("the DNS server has failed"),
    }
}

/// Both sockets of an address.
fn bind(address: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let mut draws = 0;
    loop {
        let datagrams = socket(address, Type::DGRAM, Protocol::UDP)?;
        let datagrams = UdpSocket::from(datagrams);
        let drawn = datagrams.local_addr()?;
        match socket(drawn, Type::STREAM, Protocol::TCP) {
            Ok(streams) => {
                streams.listen(limits::BACKLOG)?;
                return Ok((datagrams, streams.into()));
            }
            Err(error) if address.port() != 0 || draws == limits::DRAWS => return Err(error),
            Err(_) => draws += 1,
        }
    }
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if kind == Type::STREAM {
        socket.set_reuse_address(true)?;
    } else {
        // As far as the system allows: without it a burst is lost sooner.
        let _ = socket.set_recv_buffer_size(limits::RECEIVED);
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}
