//! Many hostnames at once, from the first request to the last handshake on three nodes.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use harness::{
    Cluster, Options,
    admin::{self, Admin},
    request::HttpsClient,
};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep},
};
use tonic::transport::Channel;

use crate::tell;

/// Authorizations asked for at the same time: a script with so many workers.
const ASKING: usize = 24;
/// Handshakes at the same time, so that measuring is not what is measured.
const SHAKING: usize = 6;
/// How often is looked which hostnames are live.
const LOOK: Duration = Duration::from_millis(100);
/// Without one more hostname for so long, what is left is stuck.
const STUCK: Duration = Duration::from_secs(20);
/// How often is measured again when Pebble has locked itself up.
const TRIES: usize = 5;

/// From the first request until all three nodes serve all `count`.
pub(crate) async fn issuance(count: usize) {
    for _ in 0..TRIES {
        if measured(count).await {
            return;
        }
        // A reader of an order that is being completed locks it twice, and with it all.
        println!("Pebble has locked itself up (letsencrypt/pebble#554); once more");
    }
    panic!("Pebble locked itself up {TRIES} times in a row");
}

/// False if Pebble came to a standstill.
async fn measured(count: usize) -> bool {
    let cluster = begun("").await;
    let before = Reading::take(&cluster, 0).await;
    let names = names(count);
    let channels = channels(&cluster, &[0, 1, 2]).await;
    let began = Instant::now();
    let watching = Watching::begin(&cluster, vec![0, 1, 2], channels[0].clone(), began);
    authorize(&channels, &names).await;
    let told = began.elapsed().as_secs_f64();
    let Some(times) = watching.all(&names).await else {
        return false;
    };
    let took = began.elapsed().as_secs_f64();
    println!(
        "{count} hostnames authorized after {told:.1} s, served after {took:.1} s by all three nodes"
    );
    tell("from the first request to served by all three", times);
    Reading::take(&cluster, 0).await.tell_since(&before, count);
    duplicates(&cluster, count + 1);
    true
}

/// A cluster on Pebble that has its account, with more TOML for each node.
pub(crate) async fn begun(extra: &str) -> Cluster {
    let mut options = Options {
        pebble: true,
        ..Options::default()
    };
    options.extra.push_str(extra);
    let cluster = Cluster::start(options).await;
    cluster.onboard("first.customer.example").await;
    cluster
}

pub(crate) fn names(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("shop-{number}.customer.example"))
        .collect()
}

/// Says how many certificates there are more than names, and how many orders.
pub(crate) fn duplicates(cluster: &Cluster, names: usize) {
    let (issued, orders) = (cluster.ca.issued(), cluster.ca.orders());
    println!(
        "the CA took {orders} orders and issued {issued} certificates for {names} hostnames: {} duplicates",
        issued.saturating_sub(names)
    );
}

/// Connections to the admin API of `places`.
pub(crate) async fn channels(cluster: &Cluster, places: &[usize]) -> Vec<Channel> {
    let admin = Admin::read(&cluster.context());
    let mut channels = Vec::new();
    for place in places {
        let address = cluster.nodes[*place].files.admin().to_string();
        channels.push(admin.connect(&address).await.unwrap());
    }
    channels
}

/// Asks for all of them, at all nodes in turn. A request that a dying leader left without
/// an answer is made again.
pub(crate) async fn authorize(channels: &[Channel], names: &[String]) {
    let permits = Arc::new(Semaphore::new(ASKING));
    let mut asking = JoinSet::new();
    for (number, name) in names.iter().cloned().enumerate() {
        let permit = permits.clone().acquire_owned().await.unwrap();
        let channels = channels.to_vec();
        asking.spawn(async move {
            for turn in number.. {
                let channel = &channels[turn % channels.len()];
                match admin::authorize(channel, &name).await {
                    Ok(()) => break,
                    Err(_) => sleep(LOOK).await,
                }
            }
            drop(permit);
        });
    }
    asking.join_all().await;
}

/// Handshakes with all nodes, for each hostname as soon as it is said to be live.
pub(crate) struct Watching {
    looking: JoinSet<Option<Vec<(String, Duration)>>>,
    wanted: tokio::sync::watch::Sender<usize>,
}

impl Watching {
    /// Asks `channel` what is live. Times are from `began`.
    pub(crate) fn begin(
        cluster: &Cluster,
        places: Vec<usize>,
        channel: Channel,
        began: Instant,
    ) -> Self {
        let nodes: Vec<_> = places
            .into_iter()
            .map(|place| cluster.https_of(place))
            .collect();
        let https = cluster.https.clone();
        let wanted = tokio::sync::watch::Sender::new(usize::MAX);
        let mut looking = JoinSet::new();
        looking.spawn(look(https, nodes, channel, began, wanted.subscribe()));
        Self { looking, wanted }
    }

    /// Until all of `names` are served by all nodes: after how long each was. None if
    /// nothing moves any more.
    pub(crate) async fn all(mut self, names: &[String]) -> Option<Vec<Duration>> {
        self.wanted.send_replace(names.len());
        let found = self.looking.join_next().await.unwrap().unwrap()?;
        let names: BTreeSet<&String> = names.iter().collect();
        assert!(found.iter().all(|(name, _)| names.contains(name)));
        Some(found.into_iter().map(|(_, took)| took).collect())
    }
}

async fn look(
    https: HttpsClient,
    nodes: Vec<std::net::SocketAddr>,
    channel: Channel,
    began: Instant,
    wanted: tokio::sync::watch::Receiver<usize>,
) -> Option<Vec<(String, Duration)>> {
    let permits = Arc::new(Semaphore::new(SHAKING));
    let (mut known, mut served) = (BTreeSet::new(), Vec::new());
    let mut shaking = JoinSet::new();
    let mut moved = Instant::now();
    while served.len() < *wanted.borrow() {
        if moved.elapsed() > STUCK {
            return None;
        }
        for hostname in admin::live(&channel).await.unwrap_or_default() {
            let name = hostname.name.trim_start_matches("hostnames/").to_owned();
            if !name.starts_with("shop-") || !known.insert(name.clone()) {
                continue;
            }
            let (permits, https, nodes) = (permits.clone(), https.clone(), nodes.clone());
            shaking.spawn(async move {
                let _permit = permits.acquire_owned().await.unwrap();
                for node in nodes {
                    while !https
                        .get(node, &name, "/")
                        .await
                        .is_ok_and(|answer| answer.status == 200)
                    {
                        sleep(LOOK / 10).await;
                    }
                }
                (name, began.elapsed())
            });
        }
        while let Some(ended) = shaking.try_join_next() {
            served.push(ended.unwrap());
            moved = Instant::now();
        }
        sleep(LOOK).await;
    }
    Some(served)
}

/// Figures of a node.
struct Reading {
    entries: f64,
    installed: f64,
    silent: f64,
    stages: Vec<(&'static str, f64)>,
}

const STAGES: [&str; 4] = ["admitted", "prepared", "ready-intent", "finalize-intent"];

impl Reading {
    async fn take(cluster: &Cluster, place: usize) -> Self {
        let figure = async |name: &str| cluster.figure(place, name).await.unwrap_or_default();
        let mut stages = Vec::new();
        for stage in STAGES {
            let name = format!("hostquorum_order_stage_seconds_total{{stage=\"{stage}\"}}");
            stages.push((stage, figure(&name).await));
        }
        Self {
            entries: figure("hostquorum_log_last_index").await,
            installed: figure("hostquorum_certificates_installed_total").await,
            silent: figure("hostquorum_silent_at_barrier_total").await,
            stages,
        }
    }

    fn tell_since(&self, before: &Self, count: usize) {
        let entries = self.entries - before.entries;
        #[expect(clippy::cast_precision_loss, reason = "counts of thousands")]
        let each = entries / count as f64;
        println!(
            "the log grew by {entries} entries, {each:.1} for each hostname; \
             {} certificates installed; {} members silent at barriers",
            self.installed - before.installed,
            self.silent - before.silent
        );
        for ((stage, now), (_, then)) in self.stages.iter().zip(&before.stages) {
            #[expect(clippy::cast_precision_loss, reason = "counts of thousands")]
            let each = (now - then) / count as f64;
            println!("  {stage}: {each:.2} s on average");
        }
    }
}
