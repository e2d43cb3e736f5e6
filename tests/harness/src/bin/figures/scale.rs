//! One node with many hostnames, each with a certificate and a key of its own: memory, start,
//! and what handshakes cost.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use harness::{
    Cluster, Options,
    admin::{self, Admin},
    cluster::SOON,
    load::DRAINING,
};
use proto::admin::v1::Wants;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ClientConfig, RootCertStore, client::Resumption, pki_types::ServerName};
use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_rustls::TlsConnector;
use tonic::{Code, Status, transport::Channel};

/// Calls under way while the hostnames are brought.
const CALLS: usize = 128;
/// Connections that they share: each carries a hundred at most.
const CONNECTIONS: usize = 4;
/// Wait before a call is made again.
const BUSY: Duration = Duration::from_millis(20);
/// Handshakes of each measurement, and how many at a time.
const HANDSHAKES: usize = 10_000;
const CLIENTS: usize = 4;
/// Names that have most of the visits, where some do: fewer than a core keeps keys.
const HOT: usize = 1_000;

/// A CA of the measurement's own: a certificate is brought for each hostname.
pub(crate) struct Issuer(CertifiedIssuer<'static, KeyPair>);

impl Issuer {
    pub(crate) fn new() -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(parameters, key).unwrap())
    }

    /// A chain and its key, in PEM.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let leaf = parameters.signed_by(&key, &self.0).unwrap();
        (leaf.pem() + &self.0.pem(), key.serialize_pem())
    }

    /// Makes a full handshake each time.
    pub(crate) fn client(&self) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let mut config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Arc::new(config).into()
    }
}

pub(crate) fn name(number: usize) -> String {
    // Some thousand registered domains, as customers have them.
    format!("shop-{number}.customer-{}.example", number % 5_000)
}

/// `count` hostnames on one node, whose store is of `engine`.
pub(crate) async fn measure(count: usize, engine: &str) {
    let mut cluster = Cluster::start(Options {
        nodes: 1,
        // All its clients have one address, and it is to end soon.
        extra: format!("{DRAINING}[raft]\nstore = \"{engine}\"\n"),
        ..Options::default()
    })
    .await;
    let issuer = Arc::new(Issuer::new());
    let began = Instant::now();
    bring(&cluster, &issuer, count).await;
    let took = began.elapsed().as_secs_f64();
    println!("{count} hostnames brought in {took:.0} s");
    let process = |cluster: &Cluster| cluster.nodes[0].id().unwrap();
    tell_memory("as it was filled", process(&cluster));
    cluster.nodes[0].stop(10 * SOON).await.unwrap();
    let disk = size(&cluster.nodes[0].files.data());
    println!("on its disk: {} MB", disk >> 20);

    let client = issuer.client();
    let address = cluster.https_of(0);
    let known = name(count / 2);
    let began = Instant::now();
    cluster.start_again(0, &[]);
    let served = timeout(10 * SOON, async {
        while handshake(&client, address, &known).await.is_err() {
            sleep(Duration::from_millis(2)).await;
        }
    });
    served.await.unwrap();
    println!(
        "start to first handshake: {:.3} s",
        began.elapsed().as_secs_f64()
    );
    cluster.nodes[0].ready(10 * SOON).await.unwrap();
    println!("start to ready: {:.3} s", began.elapsed().as_secs_f64());
    let leads = async {
        while cluster.figure(0, "hostquorum_leader").await != Some(1.0) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(10 * SOON, leads).await.unwrap();
    println!(
        "start to all read, and leading: {:.3} s",
        began.elapsed().as_secs_f64()
    );
    tell_memory("started", process(&cluster));
    let log = std::fs::read_to_string(cluster.nodes[0].files.log()).unwrap();
    let told =
        |line: &&str| line.contains("the store is open") || line.contains("the state is read");
    for line in log.lines().rev().filter(told).take(2) {
        println!("its log: {line}");
    }

    let process = process(&cluster);
    let one = |_: &mut ChaCha8Rng| count / 2;
    let hot = move |chance: &mut ChaCha8Rng| chance.random_range(0..count.min(HOT));
    let any = move |chance: &mut ChaCha8Rng| chance.random_range(0..count);
    // Each twice, in turns: what else the machine does meanwhile moves them alike.
    for round in 1..=2 {
        visit(&client, address, hot, count.min(HOT)).await;
        let mut costs = Vec::new();
        for (what, choose) in [
            (
                "one name",
                &one as &(dyn Fn(&mut ChaCha8Rng) -> usize + Sync),
            ),
            ("hot names", &hot),
            ("any name", &any),
        ] {
            let before = cpu(process);
            visit(&client, address, choose, HANDSHAKES).await;
            let each = (cpu(process) - before) / HANDSHAKES as f64;
            costs.push(each);
            println!(
                "round {round}: CPU for a full handshake, {what}: {:.0} us, {:.2} of one name's",
                each * 1e6,
                each / costs[0]
            );
        }
    }
    tell_memory("after the handshakes", process);
}

/// Authorizes all and brings a certificate for each.
pub(crate) async fn bring(cluster: &Cluster, issuer: &Arc<Issuer>, count: usize) {
    let admin = Admin::read(&cluster.context());
    let address = cluster.nodes[0].files.admin().to_string();
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        channels.push(admin.connect(&address).await.unwrap());
    }
    let next = Arc::new(AtomicUsize::new(0));
    let mut calls = JoinSet::new();
    for call in 0..CALLS {
        let (next, issuer) = (Arc::clone(&next), Arc::clone(issuer));
        let channel = channels[call % CONNECTIONS].clone();
        calls.spawn(async move {
            loop {
                let number = next.fetch_add(1, Relaxed);
                if number >= count {
                    return;
                }
                bring_one(&channel, &issuer, &name(number)).await;
                if number % (count / 10).max(1) == 0 {
                    println!("{number} of {count}");
                }
            }
        });
    }
    calls.join_all().await;
}

async fn bring_one(channel: &Channel, issuer: &Issuer, name: &str) {
    let (chain, key) = issuer.issue(name);
    loop {
        // Its certificate is brought: nothing is to be ordered.
        let wants = Wants {
            manual: true,
            ..Wants::default()
        };
        match admin::create(channel, name, wants).await {
            Ok(_) => break,
            Err(status) if status.code() == Code::AlreadyExists => break,
            Err(status) => {
                is_done(Err(status));
                sleep(BUSY).await;
            }
        }
    }
    while !is_done(admin::upload(channel, name, &chain, &key).await) {
        sleep(BUSY).await;
    }
}

/// False where there was too much to do.
fn is_done(called: Result<(), Status>) -> bool {
    match called {
        Ok(()) => true,
        Err(status) if matches!(status.code(), Code::Unavailable | Code::ResourceExhausted) => {
            false
        }
        Err(status) => panic!("{status}"),
    }
}

/// So many full handshakes, for names that `choose` draws.
async fn visit(
    client: &TlsConnector,
    address: SocketAddr,
    choose: impl Fn(&mut ChaCha8Rng) -> usize,
    count: usize,
) {
    let mut chance = ChaCha8Rng::seed_from_u64(1);
    let mut visits = JoinSet::new();
    for _ in 0..count {
        if visits.len() >= CLIENTS {
            let done: Result<(), std::io::Error> = visits.join_next().await.unwrap().unwrap();
            done.unwrap();
        }
        let (client, name) = (client.clone(), name(choose(&mut chance)));
        visits.spawn(async move { handshake(&client, address, &name).await });
    }
    for done in visits.join_all().await {
        done.unwrap();
    }
}

pub(crate) async fn handshake(
    client: &TlsConnector,
    address: SocketAddr,
    name: &str,
) -> std::io::Result<()> {
    let stream = TcpStream::connect(address).await?;
    let server = ServerName::try_from(name.to_owned()).map_err(std::io::Error::other)?;
    client.connect(server, stream).await?;
    Ok(())
}

/// Seconds of CPU that a process has taken, of all its threads (proc_pid_stat(5)).
fn cpu(process: u32) -> f64 {
    /// The kernel's USER_HZ, the same on all machines.
    const TICKS_A_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // Behind the name, which may have blanks: the state, then user time as the 12th.
    let behind = stat.rsplit_once(')').unwrap().1;
    let ticks = behind.split_whitespace().skip(11).take(2);
    ticks
        .map(|ticks| ticks.parse::<f64>().unwrap())
        .sum::<f64>()
        / TICKS_A_SECOND
}

fn tell_memory(when: &str, process: u32) {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    println!(
        "memory, {when}: {} KB resident, {} KB of it anonymous, at most {} KB before",
        field("VmRSS:"),
        field("RssAnon:"),
        field("VmHWM:")
    );
}

pub(crate) fn size(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let data = entry.metadata().unwrap();
            if data.is_dir() {
                size(&entry.path())
            } else {
                data.len()
            }
        })
        .sum()
}
