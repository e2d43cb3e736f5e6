//! Starting and ending the edge.

use std::{io, net::SocketAddr, num::NonZeroUsize, sync::Arc, thread, time::Duration};

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use ipnet::IpNet;
use state::{
    Index, State, TicketSecrets,
    ports::{Bodies, Clock, Reach, Reading, Seal},
};
use tokio::{
    runtime::{self, Runtime},
    sync::{oneshot, watch},
    time::Instant,
};

use crate::{
    admission::{self, Admission, MemoryUsed},
    dns,
    http::challenge::{ChallengeSource, Challenges},
    limits::{Limits, OPENERS},
    listener::{self, Listener, Sockets},
    metrics::{Counters, Snapshot},
    observe::{
        access_log::AccessLog,
        tally::Hostnames,
        trace::{Trace, Tracer},
    },
    on_demand::{self, Asking, OnDemand},
    policy::allowance::Allowances,
    tls::{keys::Opener, tickets::Tickets},
    upstream::{Checks, Dialer, RootsError},
    view,
    worker::{self, Fronts, Own, Phase, Shared, Worker},
};

/// How the edge listens and what it may use.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where TLS is served. Port 0 draws one.
    pub https: SocketAddr,
    /// Where challenges are answered and clients are sent to https. Port 0 draws
    /// one.
    pub http: SocketAddr,
    /// Who may open connections to `https`, each with a PROXY protocol header; empty:
    /// everybody, without one.
    pub https_from: Vec<IpNet>,
    /// The same of `http`.
    pub http_from: Vec<IpNet>,
    /// The port at which clients reach `https`, if something stands in front; it
    /// is what redirects name. Without it the port listened on.
    pub public_https_port: Option<u16>,
    /// Threads, each with a runtime, listeners and pools of its own: one a core.
    pub cores: NonZeroUsize,
    /// Roots (PEM) that origins' certificates may chain to besides the system's.
    pub origin_roots: Option<Vec<u8>>,
    /// Bounds.
    pub limits: Limits,
    /// Where DNS queries are answered; absent: nowhere.
    pub dns: Option<dns::Config>,
    /// Hostnames whose requests are added up for each of them, about 1 KB each and core;
    /// those of the rest are added up together.
    pub hostnames_counted: usize,
    /// Who gets a line for each request; absent: nobody.
    pub access_log: Option<AccessLog>,
    /// How requests are told apart on their way to origins.
    pub trace: Trace,
}

/// What the edge reads. It has no other way to the rest of the node.
pub struct Inputs {
    /// The latest state. It may stop changing, or be closed, at any time.
    pub states: watch::Receiver<Arc<State>>,
    /// Where hostnames are looked up while the first state is still being read.
    pub reading: Arc<dyn Reading>,
    /// Certificates' bodies on this node's disk.
    pub bodies: Arc<dyn Bodies>,
    /// Opens their keys.
    pub seal: Arc<dyn Seal>,
    /// What session tickets are sealed with; none are given while it is absent.
    pub tickets: watch::Receiver<Option<Arc<TicketSecrets>>>,
    /// Tells when tickets are too old.
    pub clock: Arc<dyn Clock>,
    /// Who may know a challenge that the state does not hold yet.
    pub challenges: Arc<dyn ChallengeSource>,
    /// Who may have hostnames authorized that clients name; absent: nobody.
    pub on_demand: Option<OnDemand>,
    /// What makes this node known to a look from outside, whether it serves the name or not.
    pub reach: Arc<dyn Reach>,
    /// Listening sockets that whoever started us holds, instead of [`Config::https`]; none:
    /// that is bound.
    pub https: Vec<std::net::TcpListener>,
    /// The same of [`Config::http`].
    pub http: Vec<std::net::TcpListener>,
    /// How much memory the process has in use, against [`Limits::memory`].
    pub memory: MemoryUsed,
    /// Whether others may have published what this node has not: asked for DNS
    /// queries that would be denied.
    pub behind: dns::Behind,
}

/// Why the edge did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process has it, it is not this machine's, or it needs a privilege.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The system gives no thread or descriptor.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// The configured roots.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// The DNS server.
    #[error(transparent)]
    Dns(#[from] dns::StartError),
}

/// The edge.
#[derive(Debug)]
pub struct Edge;

/// A serving edge. Dropping it cuts everything off; see [`Running::lame_duck`] and
/// [`Running::drain`].
pub struct Running {
    addresses: Addresses,
    published: watch::Receiver<Index>,
    phase: watch::Sender<Phase>,
    counters: Vec<Arc<Counters>>,
    hostnames: Arc<Hostnames>,
    cores: Vec<oneshot::Receiver<usize>>,
    threads: Vec<thread::JoinHandle<()>>,
    dns: Option<dns::Running>,
    asking: Option<Arc<Asking>>,
    // Held: it publishes views and opens keys for the cores.
    _background: Background,
}

/// Where the edge listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// TLS.
    pub https: SocketAddr,
    /// Plain HTTP.
    pub http: SocketAddr,
}

/// How the edge is, for readiness. Never depends on the quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// The state that new connections see.
    pub published: Index,
    /// Threads that were started.
    pub cores: usize,
    /// Threads that run.
    pub cores_alive: usize,
    /// The DNS server runs, or none is configured.
    pub dns_alive: bool,
    /// It is about to end.
    pub draining: bool,
}

impl Health {
    /// True if connections are welcome.
    pub const fn is_ready(&self) -> bool {
        !self.draining && self.cores_alive == self.cores && self.dns_alive
    }
}

/// How a drain went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that had not ended by themselves within the grace.
    pub cut_off: usize,
}

impl Edge {
    /// Binds and serves. What the present state names is served from the moment
    /// this returns; keys are opened when they are first asked for.
    ///
    /// # Errors
    ///
    /// An address or a thread was not to be had, or the configured roots are
    /// none.
    pub fn start(config: Config, inputs: Inputs) -> Result<Running, StartError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let roots = config.origin_roots.as_deref();
        let dialer = Arc::new(Dialer::new(&provider, roots, Arc::clone(&inputs.seal))?);
        let limits = Arc::new(config.limits);
        let https = listen(config.https, &inputs.https, config.cores)?;
        let http = listen(config.http, &inputs.http, config.cores)?;
        let addresses = Addresses {
            https: address_of(&https)?,
            http: address_of(&http)?,
        };
        let background = Background::start().map_err(StartError::Thread)?;
        let first = view::first(&inputs.states, &*inputs.reading);
        let present = Arc::new(ArcSwap::from_pointee(first));
        let (publish, published) = watch::channel(present.load().index());
        let answers = || Arc::new(dns::FromView::new(Arc::clone(&present), inputs.behind));
        let dns = config
            .dns
            .map(|config| dns::Running::start(config, answers()));
        background.spawn(view::publish(inputs.states, Arc::clone(&present), publish));
        let tickets = Tickets::new(inputs.tickets.borrow().clone(), Arc::clone(&inputs.clock));
        background.spawn(tickets.clone().follow(inputs.tickets));
        let admission = Admission::new(&limits);
        background.spawn(Arc::clone(&admission).watch_memory(limits.memory, inputs.memory));
        let on_demand = inputs.on_demand;
        let asking = on_demand.map(|on_demand| Asking::new(on_demand, published.clone()));
        let opener = Opener {
            bodies: inputs.bodies,
            seal: inputs.seal,
            provider,
            threads: background.handle(),
        };
        let shared = Shared {
            view: present,
            reading: inputs.reading,
            published: published.clone(),
            opener: Arc::new(opener),
            checks: Checks::new(Arc::clone(&dialer), Arc::clone(&limits)),
            allowances: Allowances::new(),
            tickets,
            dialer,
            challenges: Challenges::new(inputs.challenges),
            asking: asking.clone(),
            reach: inputs.reach,
            admission: Arc::clone(&admission),
            limits,
            fronts: Arc::new(Fronts {
                https: config.https_from,
                http: config.http_from,
            }),
            hostnames: Hostnames::new(config.cores.get(), config.hostnames_counted),
            https_port: config.public_https_port.unwrap_or(addresses.https.port()),
        };
        let (phase, watched) = watch::channel(Phase::Serving);
        let mut running = Running {
            addresses,
            published,
            phase,
            counters: Vec::new(),
            hostnames: Arc::clone(&shared.hostnames),
            cores: Vec::new(),
            threads: Vec::new(),
            dns: dns.transpose()?,
            asking,
            _background: background,
        };
        for (https, http) in https.into_iter().zip(http) {
            let counters = Arc::<Counters>::default();
            let access_log = config.access_log.as_ref();
            let own = Own {
                core: running.threads.len(),
                access_log: access_log
                    .map(|log| log.of_core(Arc::clone(&inputs.clock), Arc::clone(&counters))),
                tracer: Tracer::new(config.trace),
                counters,
            };
            let sockets = Sockets { https, http };
            running.start_core(shared.clone(), own, sockets, watched.clone())?;
        }
        let counters = running.counters.clone();
        running._background.spawn(admission::report(counters));
        Ok(running)
    }
}

impl Running {
    fn start_core(
        &mut self,
        shared: Shared,
        own: Own,
        sockets: Sockets,
        phase: watch::Receiver<Phase>,
    ) -> Result<(), StartError> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(4) // looking up origins' names
            .build()
            .map_err(StartError::Thread)?;
        let counters = Arc::clone(&own.counters);
        let worker = Worker::new(shared, own);
        let (done, cut_off) = oneshot::channel();
        let thread = thread::Builder::new()
            .name(format!("edge-{}", self.threads.len()))
            .spawn(move || worker::run(runtime, worker, sockets, phase, done))
            .map_err(StartError::Thread)?;
        self.counters.push(counters);
        self.cores.push(cut_off);
        self.threads.push(thread);
        Ok(())
    }

    /// Where it listens.
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Where it answers DNS queries; nowhere if that was not configured.
    pub fn dns_addresses(&self) -> &[SocketAddr] {
        self.dns.as_ref().map_or(&[], dns::Running::addresses)
    }

    /// The log index of the state that every new connection and request sees.
    pub fn published(&self) -> watch::Receiver<Index> {
        self.published.clone()
    }

    /// How it is.
    pub fn health(&self) -> Health {
        Health {
            published: *self.published.borrow(),
            cores: self.threads.len(),
            cores_alive: self
                .threads
                .iter()
                .filter(|thread| !thread.is_finished())
                .count(),
            dns_alive: self.dns.as_ref().is_none_or(dns::Running::is_alive),
            draining: *self.phase.borrow() != Phase::Serving,
        }
    }

    /// What was counted so far.
    pub fn metrics(&self) -> Snapshot {
        Snapshot::of(&self.counters)
    }

    /// What was served for each hostname so far.
    pub fn hostnames(&self) -> Arc<Hostnames> {
        Arc::clone(&self.hostnames)
    }

    /// What the DNS server counted so far; absent if there is none.
    pub fn dns_metrics(&self) -> Option<dns::Snapshot> {
        self.dns.as_ref().map(dns::Running::metrics)
    }

    /// What was counted of asking so far; absent if nobody is asked.
    pub fn on_demand_metrics(&self) -> Option<on_demand::Snapshot> {
        self.asking.as_ref().map(|asking| asking.metrics())
    }

    /// Says in its health that it is about to end, and serves on as before, so that those
    /// in front can prefer others first.
    pub fn lame_duck(&self) {
        self.phase.send_replace(Phase::LameDuck);
    }

    /// Stops to answer DNS queries, ends each connection after what it has begun, then
    /// stops to accept, and after `grace` cuts off the rest.
    pub async fn drain(mut self, grace: Duration) -> Drained {
        // Resolvers ask another name server, as they do of one that is lost.
        self.dns = None;
        self.phase
            .send_replace(Phase::Draining(Instant::now() + grace));
        let cores = std::mem::take(&mut self.cores);
        let cut_off = join_all(cores).await.into_iter().flatten().sum();
        Drained { cut_off }
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("addresses", &self.addresses)
            .field("health", &self.health())
            .finish()
    }
}

fn listen(
    address: SocketAddr,
    inherited: &[std::net::TcpListener],
    cores: NonZeroUsize,
) -> Result<Vec<Listener>, StartError> {
    let listeners = match inherited {
        [] => listener::bind(address, cores.get()),
        sockets => listener::share(sockets, cores.get()),
    };
    listeners.map_err(|source| StartError::Listen { address, source })
}

fn address_of(listeners: &[Listener]) -> Result<SocketAddr, StartError> {
    // There is one a core, and at least one core.
    listeners[0].address().map_err(StartError::Thread)
}

/// The runtime beside the cores: publishes views, reads the store, opens keys.
struct Background(Option<Runtime>, runtime::Handle);

impl Background {
    fn start() -> io::Result<Self> {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(OPENERS)
            .thread_name("edge-background")
            .enable_time()
            .build()?;
        let handle = runtime.handle().clone();
        Ok(Self(Some(runtime), handle))
    }

    fn handle(&self) -> runtime::Handle {
        self.1.clone()
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.1.spawn(task);
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Not waited for: a read that hangs must not keep the node from ending.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
