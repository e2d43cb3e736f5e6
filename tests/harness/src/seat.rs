//! Where nodes are, and what stands between them and a CA.

use std::{
    collections::BTreeSet,
    fs::OpenOptions,
    io::Write as _,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    ops::Range,
    path::Path,
    sync::{Mutex, PoisonError},
};

use devca::{NameServer, Probing, Vantage};
use node::dev::process::{NodeFiles, Ports};

use crate::{
    Options, Road,
    balancer::Balancer,
    road::ROAD,
    unbound::{Transport, Unbound},
};

/// Most nodes of a cluster.
const NODES: u8 = 7;
/// Where names are found by a CA that knows one address for each.
const FRONT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 8);
/// The first of a node's ports in a namespace of its own.
pub(crate) const IN_NAMESPACE: u16 = 4000;
/// Ports that Linux gives to nobody by itself (`ip_local_port_range`): of those it gives, one
/// that is free now may be a connection's when a node binds it.
const ASKED_FOR: Range<u16> = 16_384..32_768;
/// What customers' names lead to, and what their `_acme-challenge` is delegated to.
pub const ZONES: [&str; 2] = ["edge.saas.example", "acme.saas.example"];

/// Where a node is, before and while it runs.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    pub(crate) files: NodeFiles,
    /// Where it answers DNS.
    pub(crate) dns: SocketAddr,
}

/// What stands before the nodes where a CA knows one address for each name.
pub(crate) struct Front {
    pub(crate) http: Balancer,
    pub(crate) tls: Balancer,
}

impl Front {
    pub(crate) async fn start() -> Self {
        Self {
            http: Balancer::start(FRONT).await,
            tls: Balancer::start(FRONT).await,
        }
    }

    pub(crate) fn spread_over<'a>(&self, nodes: impl Iterator<Item = &'a NodeFiles> + Clone) {
        self.http
            .spread_over(nodes.clone().map(NodeFiles::http).collect());
        self.tls.spread_over(nodes.map(NodeFiles::https).collect());
    }
}

impl Seat {
    /// Free ports, and the configuration of a node on them.
    pub(crate) fn take(dir: &Path, options: &Options, http_port: u16, number: u8) -> Self {
        let ip = options.ip(number);
        let mut ports = Ports::from(IN_NAMESPACE);
        for port in [
            &mut ports.https,
            &mut ports.peer,
            &mut ports.admin,
            &mut ports.health,
        ] {
            *port = options.port(number, *port);
        }
        ports.http = http_port;
        let dns = SocketAddr::from((ip, options.port(number, 53)));
        let mut extra = options.extra.clone();
        if options.dns.is_some() {
            extra.push_str(&format!("[dns]\nlisten = \"{dns}\"\n"));
        }
        let files = NodeFiles::write(dir, &format!("node-{number}"), ip, ports, &extra);
        Self {
            files: files.unwrap(),
            dns,
        }
    }
}

impl Seat {
    /// Its node looks at hostnames by this resolver, and often.
    pub(crate) fn looks_by(&self, resolver: &Unbound) {
        let text = format!(
            "[verification]\nresolvers = \"{}\"\nauthoritative = false\negress_allow = [\"127.0.0.0/8\"]\nretry = \"1s\"\n",
            resolver.address()
        );
        let file = OpenOptions::new().append(true).open(self.files.config());
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }
}

/// All challenges are looked for at each of the nodes, texts through the resolver.
pub(crate) fn probing(seats: &[Seat], options: &Options, resolver: Option<&Unbound>) -> Probing {
    let vantages = seats.iter().map(|seat| Vantage {
        http: seat.files.http(),
        tls: seat.files.https(),
    });
    let probing = Probing::vantages(vantages.collect(), options.agreement);
    match resolver {
        Some(resolver) => probing.with_texts_of(NameServer::new(resolver.address())),
        None => probing,
    }
}

/// Where customers' names lead to.
pub(crate) fn edge(options: &Options) -> Ipv4Addr {
    if options.pebble { FRONT } else { options.ip(1) }
}

pub(crate) async fn resolver(
    dir: &Path,
    options: &Options,
    seats: &[Seat],
    transport: Transport,
) -> Unbound {
    let servers: Vec<SocketAddr> = seats.iter().map(|seat| seat.dns).collect();
    Unbound::start(dir, edge(options), &ZONES, &servers, transport).await
}

/// A port that is free at both ends is soon found.
pub(crate) async fn road() -> (Road, SocketAddr) {
    let mut last = None;
    for _ in 0..5 {
        match Road::build(ROAD, Ipv4Addr::LOCALHOST).await {
            Ok(built) => return built,
            Err(error) => last = Some(error),
        }
    }
    panic!("no road to the CA: {last:?}")
}

/// Node `number`'s address.
pub(crate) fn ip(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, number)
}

/// A port of `ip` that is free now, and that no other cluster of this process was told of:
/// a node may bind it a minute later.
pub(crate) fn free_port(ip: Ipv4Addr) -> u16 {
    static TOLD: Mutex<BTreeSet<(Ipv4Addr, u16)>> = Mutex::new(BTreeSet::new());
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    // All nodes of a cluster have the same port for clear text.
    let fresh = |port| (1..=NODES).all(|number| !told.contains(&(self::ip(number), port)));
    // Two processes seldom look at the same ports.
    let first = std::process::id() as usize * 64 % ASKED_FOR.len();
    let port = ASKED_FOR
        .cycle()
        .skip(first)
        .take(ASKED_FOR.len())
        .find(|&port| fresh(port) && TcpListener::bind((ip, port)).is_ok())
        .unwrap();
    told.insert((ip, port));
    port
}
