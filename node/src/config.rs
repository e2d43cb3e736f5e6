//! The configuration, checked. A [`Config`] exists only if all of it is usable;
//! otherwise every fault is told at once, with its line and key.

mod file;
mod issuance;
mod key;
mod observation;
mod on_demand;
mod verification;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

pub use file::Fault;
use file::File;
use ipnet::IpNet;
pub use issuance::Issuance;
pub use key::{Aws, KeyProvider, KmsKey};
pub use observation::{AccessLog, AccessOutput, Stats, Trace};
pub use on_demand::OnDemand;
use state::FeatureLevel;
pub use verification::Verification;

/// One node's configuration. `docs/configuration.md` is its manual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What this node is called; unique in the cluster.
    pub name: String,
    /// Where everything durable is.
    pub data_dir: PathBuf,
    /// What wraps the secrets in `data_dir`.
    pub key: KeyProvider,
    /// What wrapped them before, while that is being changed.
    pub previous_key: Option<KeyProvider>,
    /// What it is to AWS, if it runs there.
    pub aws: Option<Aws>,
    /// Customers' TLS.
    pub https: SocketAddr,
    /// The port of customers' TLS as they see it, for redirects.
    pub https_public_port: u16,
    /// Who stands in front of it and says by the PROXY protocol who clients are; empty:
    /// nobody.
    pub https_from: Vec<IpNet>,
    /// Customers' clear-text HTTP.
    pub http: SocketAddr,
    /// Its port as CAs and customers see it, for looks from outside.
    pub http_public_port: u16,
    /// Who stands in front of it, likewise.
    pub http_from: Vec<IpNet>,
    /// Other members.
    pub peer: Endpoint,
    /// Operators.
    pub admin: Endpoint,
    /// Resolvers, by UDP and TCP; empty: no DNS server.
    pub dns: Vec<SocketAddr>,
    /// Health and metrics.
    pub health: SocketAddr,
    /// The data plane.
    pub edge: Edge,
    /// The replicated log.
    pub raft: Raft,
    /// The leader's work at the CA.
    pub issuance: Issuance,
    /// Whom backups are encrypted for; empty: none can be taken from this node.
    pub backup_recipients: Vec<backup::Recipient>,
    /// How long a member may be silent before the leader asks for its removal; absent: for ever.
    pub remove_silent_after: Option<Duration>,
    /// The highest feature level to which this node lets the cluster rise.
    pub feature_level_at_most: FeatureLevel,
    /// How hostnames are looked at.
    pub verification: Verification,
    /// Who is asked about hostnames that nobody authorized; absent: nobody.
    pub on_demand: Option<OnDemand>,
    /// What is written to standard error.
    pub log: Log,
    /// A line for each request; absent: none.
    pub access_log: Option<AccessLog>,
    /// The sums of hostnames.
    pub stats: Stats,
    /// Ids of requests and traces.
    pub trace: Trace,
}

/// An address to bind and the one that others are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Bound.
    pub listen: SocketAddr,
    /// host:port as others reach it.
    pub advertise: String,
}

/// Bounds of the data plane that operators may move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Threads that serve; 0: one a core.
    pub threads: u64,
    /// Parsed keys kept ready by each thread.
    pub cached_keys: u64,
    /// Extra trust roots (PEM) for https origins.
    pub origin_roots: Option<PathBuf>,
    /// Connections at once, in all.
    pub connections: u64,
    /// Connections of one client at once; 0: as many as it likes.
    pub connections_per_client: u64,
    /// Connections that one client may open in a second; 0: as many as it likes.
    pub connection_rate_per_client: u64,
    /// Handshakes under way at once on each thread.
    pub handshakes: u64,
    /// Mebibytes of memory that the process should not exceed; 0: a part of what there is.
    pub memory: u64,
    /// How long `/readyz` fails before listeners close, so that whatever sends
    /// traffic has seen it.
    pub lame_duck: Duration,
    /// How long connections may then take to end.
    pub grace: Duration,
    /// How long handshakes wait for a hostname's first certificate.
    pub wait_for_certificate: Duration,
}

/// The replicated log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raft {
    /// Which storage engine.
    pub store: StoreKind,
    /// Time between a leader's heartbeats.
    pub heartbeat: Duration,
    /// Shortest time without one after which a voter stands.
    pub election_min: Duration,
    /// Longest.
    pub election_max: Duration,
    /// A flush that takes longer ends the replica.
    pub flush_limit: Duration,
    /// A snapshot is written once so many entries were applied since the last.
    pub snapshot_entries: u64,
    /// Entries kept behind a snapshot.
    pub keep_entries: u64,
}

/// Which storage engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// sled 0.34 with our own fdatasync.
    Sled,
    /// redb.
    Redb,
}

/// What is written to standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// For people or for machines.
    pub format: LogFormat,
    /// In the syntax of `tracing-subscriber`'s `EnvFilter`.
    pub filter: String,
}

/// For people or for machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines.
    Pretty,
    /// A JSON object a line.
    Json,
}

const SECTIONS: [&str; 20] = [
    "backup",
    "membership",
    "key",
    "previous_key",
    "aws",
    "https",
    "http",
    "peer",
    "admin",
    "dns",
    "health",
    "edge",
    "raft",
    "issuance",
    "verification",
    "on_demand",
    "log",
    "access_log",
    "stats",
    "trace",
];

impl Config {
    /// From the file's text. `base` is the folder that relative paths start from.
    pub fn parse(text: &str, base: &Path) -> Result<Self, Vec<Fault>> {
        let mut file = File::parse(text)?;
        let name = name(&mut file);
        let data_dir = base.join(required(
            &mut file,
            "",
            "data_dir",
            "where durable data is",
            PathBuf::from("data"),
        ));
        let aws = Aws::read(&mut file);
        let key = KeyProvider::read(&mut file, base, &data_dir, aws.as_ref());
        let previous_key = KeyProvider::read_previous(&mut file, base, &data_dir, aws.as_ref());
        let any = |port| SocketAddr::from(([0, 0, 0, 0], port));
        let https: SocketAddr = file.read("https", "listen").unwrap_or(any(8443));
        let https_public_port = file.read("https", "public_port").unwrap_or(443);
        let https_from = fronts(&mut file, "https");
        let http = file.read("http", "listen").unwrap_or(any(8080));
        let http_public_port = file.read("http", "public_port").unwrap_or(80);
        let http_from = fronts(&mut file, "http");
        let peer = endpoint(&mut file, "peer", any(7443));
        let admin = endpoint(&mut file, "admin", any(7444));
        let dns = dns(&mut file);
        let health = file.read("health", "listen").unwrap_or(any(9080));
        let config = Self {
            name,
            data_dir,
            key,
            previous_key,
            aws,
            https,
            https_public_port,
            https_from,
            http,
            http_public_port,
            http_from,
            peer,
            admin,
            dns,
            health,
            edge: edge(&mut file, base),
            raft: raft(&mut file),
            issuance: Issuance::read(&mut file),
            remove_silent_after: remove_silent_after(&mut file),
            feature_level_at_most: feature_level_at_most(&mut file),
            backup_recipients: file.read("backup", "recipients").unwrap_or_default(),
            verification: Verification::read(&mut file),
            on_demand: OnDemand::read(&mut file, base),
            log: log(&mut file),
            access_log: AccessLog::read(&mut file, base),
            stats: Stats::read(&mut file),
            trace: Trace::read(&mut file),
        };
        config.check_ports(&mut file);
        let faults = file.finish(&SECTIONS);
        if faults.is_empty() {
            Ok(config)
        } else {
            Err(faults)
        }
    }

    fn check_ports(&self, file: &mut File<'_>) {
        let mut listeners = vec![
            ("https", self.https),
            ("http", self.http),
            ("peer", self.peer.listen),
            ("admin", self.admin.listen),
            ("health", self.health),
        ];
        listeners.extend(self.dns.iter().map(|address| ("dns", *address)));
        for (place, (section, address)) in listeners.iter().enumerate() {
            for (earlier, other) in &listeners[..place] {
                let overlap = address.ip() == other.ip()
                    || address.ip().is_unspecified()
                    || other.ip().is_unspecified();
                if address.port() != 0 && address.port() == other.port() && overlap {
                    file.fault(
                        section,
                        "listen",
                        &format!("port {} is taken by {earlier}.listen", address.port()),
                    );
                }
            }
        }
    }
}

fn required<T: file::Written>(
    file: &mut File<'_>,
    section: &str,
    key: &str,
    what: &str,
    stand_in: T,
) -> T {
    let before = file.present(section, key);
    match file.read(section, key) {
        Some(value) => value,
        None => {
            if !before {
                file.fault(section, key, &format!("is missing: {what}"));
            }
            stand_in
        }
    }
}

fn name(file: &mut File<'_>) -> String {
    let name = required(
        file,
        "",
        "name",
        "what this node is called, unique in the cluster",
        "node".to_owned(),
    );
    let good = (1..=63).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if !good {
        file.fault(
            "",
            "name",
            "a name is 1 to 63 letters, digits, dots, hyphens and underscores",
        );
    }
    name
}

fn endpoint(file: &mut File<'_>, section: &str, default: SocketAddr) -> Endpoint {
    let listen: SocketAddr = file.read(section, "listen").unwrap_or(default);
    let advertise = match file.read::<String>(section, "advertise") {
        Some(advertise) => {
            if !is_host_and_port(&advertise) {
                file.fault(
                    section,
                    "advertise",
                    &format!("`{advertise}` is not host:port"),
                );
            }
            advertise
        }
        None => {
            if listen.ip().is_unspecified() {
                file.fault(
                    section,
                    "advertise",
                    "is missing: host:port at which others reach this node",
                );
            }
            listen.to_string()
        }
    };
    Endpoint { listen, advertise }
}

fn fronts(file: &mut File<'_>, section: &str) -> Vec<IpNet> {
    const KEY: &str = "proxy_protocol_from";
    let networks: Vec<IpNet> = file.read(section, KEY).unwrap_or_default();
    if networks.len() > NETWORKS_MAX {
        let message = format!("{} networks; at most {NETWORKS_MAX}", networks.len());
        file.fault(section, KEY, &message);
    }
    networks
}

/// Most networks of one list: each is gone through for every address.
const NETWORKS_MAX: usize = 64;

/// Most addresses of the DNS server: a machine has few.
const DNS_ADDRESSES_MAX: usize = 16;

fn dns(file: &mut File<'_>) -> Vec<SocketAddr> {
    let listen: Vec<SocketAddr> = file.read("dns", "listen").unwrap_or_default();
    if listen.len() > DNS_ADDRESSES_MAX {
        file.fault(
            "dns",
            "listen",
            &format!("{} addresses; at most {DNS_ADDRESSES_MAX}", listen.len()),
        );
    }
    listen
}

fn is_host_and_port(text: &str) -> bool {
    match text.rsplit_once(':') {
        Some((host, port)) => {
            let bracketed = host.starts_with('[') && host.ends_with(']');
            !host.is_empty()
                && (bracketed || !host.contains(':'))
                && port.parse::<u16>().is_ok_and(|port| port != 0)
        }
        None => false,
    }
}

fn edge(file: &mut File<'_>, base: &Path) -> Edge {
    Edge {
        threads: file.bounded("edge", "threads", 0..=256, 0),
        cached_keys: file.bounded("edge", "cached_keys", 16..=1_000_000, 10_000),
        origin_roots: file
            .read::<PathBuf>("edge", "origin_roots")
            .map(|path| base.join(path)),
        connections: file.bounded("edge", "connections", 16..=10_000_000, 50_000),
        connections_per_client: file.bounded(
            "edge",
            "connections_per_client",
            0..=10_000_000,
            4000,
        ),
        connection_rate_per_client: file.bounded(
            "edge",
            "connection_rate_per_client",
            0..=1_000_000,
            1000,
        ),
        handshakes: file.bounded("edge", "handshakes", 16..=1_000_000, 2048),
        memory: file.bounded("edge", "memory", 0..=1 << 24, 0),
        lame_duck: file.bounded(
            "edge",
            "lame_duck",
            Duration::ZERO..=Duration::from_secs(600),
            Duration::from_secs(45),
        ),
        grace: file.bounded(
            "edge",
            "grace",
            Duration::ZERO..=Duration::from_secs(3600),
            Duration::from_secs(30),
        ),
        wait_for_certificate: file.bounded(
            "edge",
            "wait_for_certificate",
            Duration::ZERO..=Duration::from_secs(60),
            Duration::ZERO,
        ),
    }
}

fn remove_silent_after(file: &mut File<'_>) -> Option<Duration> {
    let seconds = Duration::from_secs;
    let bounds = seconds(60)..=seconds(30 * 86_400);
    let never = Duration::ZERO;
    let after = file.bounded("membership", "remove_silent_after", bounds, never);
    (after != never).then_some(after)
}

/// What another version of the program knows may stand there, too.
fn feature_level_at_most(file: &mut File<'_>) -> FeatureLevel {
    let newest = u64::from(FeatureLevel::NEWEST.0);
    let most = file.bounded("membership", "feature_level_at_most", 1..=1000, newest);
    FeatureLevel(u32::try_from(most).unwrap_or(u32::MAX)).min(FeatureLevel::NEWEST)
}

fn raft(file: &mut File<'_>) -> Raft {
    let ms = Duration::from_millis;
    let store = match file.read::<String>("raft", "store").as_deref() {
        None | Some("sled") => StoreKind::Sled,
        Some("redb") => StoreKind::Redb,
        Some(other) => {
            let message = format!("`{other}` is not a store; \"sled\" and \"redb\" are");
            file.fault("raft", "store", &message);
            StoreKind::Sled
        }
    };
    let raft = Raft {
        store,
        heartbeat: file.bounded("raft", "heartbeat", ms(20)..=ms(5_000), ms(100)),
        election_min: file.bounded("raft", "election_min", ms(60)..=ms(30_000), ms(300)),
        election_max: file.bounded("raft", "election_max", ms(80)..=ms(60_000), ms(450)),
        flush_limit: file.bounded("raft", "flush_limit", ms(100)..=ms(60_000), ms(2_000)),
        snapshot_entries: file.bounded("raft", "snapshot_entries", 10..=10_000_000, 50_000),
        keep_entries: file.bounded("raft", "keep_entries", 0..=10_000_000, 20_000),
    };
    if raft.election_min < raft.heartbeat * 2 {
        file.fault(
            "raft",
            "election_min",
            "must be at least two heartbeats, or every delay is an election",
        );
    }
    if raft.election_max <= raft.election_min {
        file.fault(
            "raft",
            "election_max",
            "must be more than election_min, or voters stand all at once",
        );
    }
    raft
}

/// openraft is silent: it calls every unreachable peer an error, and what matters of
/// it the `consensus` crate says in its own words.
const DEFAULT_FILTER: &str = "info,openraft=off";

fn log(file: &mut File<'_>) -> Log {
    let format = match file.read::<String>("log", "format").as_deref() {
        None | Some("pretty") => LogFormat::Pretty,
        Some("json") => LogFormat::Json,
        Some(other) => {
            let message = format!("`{other}` is not a format; \"pretty\" and \"json\" are");
            file.fault("log", "format", &message);
            LogFormat::Pretty
        }
    };
    let filter = file
        .read("log", "filter")
        .unwrap_or_else(|| DEFAULT_FILTER.to_owned());
    if let Err(error) = tracing_subscriber::EnvFilter::try_new(&filter) {
        file.fault("log", "filter", &format!("this is no filter: {error}"));
    }
    Log { format, filter }
}

#[cfg(test)]
mod tests;
