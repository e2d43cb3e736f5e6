//! A cluster under mixed traffic for long: nothing may fail, and what a node holds of memory
//! and descriptors must not grow.

mod crowd;
mod origin;

use std::{fs, time::Duration};

use harness::{Cli, Cluster, Load, Options, load::DRAINING};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use self::{crowd::Crowd, origin::Origin};

const HOSTNAME: &str = "known.customer.example";
/// Hostnames beside, whose certificates are renewed all the while as its own is.
const RENEWED: u32 = 5;
/// How long certificates are valid. Each is renewed at half of that.
const LIFE: Duration = Duration::from_secs(200);
/// Settings change, and a hostname comes and goes, with this pause between.
const PAUSE: Duration = Duration::from_secs(2);
/// Clients that keep an HTTP/2 connection, and that close HTTP/1.1 ones.
const LOAD: (usize, usize) = (1, 2);
/// Looks at each node. By the first, after a part of the time, pools and caches are full.
const LOOKS: u32 = 9;

/// What a node holds.
struct Holds {
    /// RssAnon, in KB.
    memory: usize,
    descriptors: usize,
}

/// Serves for so many minutes.
pub(crate) async fn serve(minutes: usize) {
    let span = Duration::from_secs(60 * minutes as u64);
    let options = Options {
        validity: LIFE,
        extra: DRAINING.to_owned(),
        ..Options::default()
    };
    let mut cluster = Cluster::start(options).await;
    let origin = Origin::start().await;
    let url = format!("http://{}", origin.address());
    cluster.onboard(HOSTNAME).await;
    let line = ["hostname", "set", HOSTNAME, "--origins", &url];
    cluster.cli.run(&line).await.ok();
    for number in 1..=RENEWED {
        cluster
            .onboard(&format!("renewed-{number}.customer.example"))
            .await;
    }
    cluster.served_alike(&[0, 1, 2], HOSTNAME).await;
    let began = Instant::now();
    let stop = CancellationToken::new();
    let load = Load::start(&cluster, HOSTNAME, LOAD.0, LOAD.1).await;
    let crowd = Crowd::start(&cluster, HOSTNAME, &stop).await;
    let changes = tokio::spawn(change(cluster.cli.clone(), stop.clone()));
    let mut held: Vec<Vec<Holds>> = Vec::new();
    for look in 1..=LOOKS {
        sleep_until(began + span * look / LOOKS).await;
        let nodes = cluster.nodes.iter();
        held.push(nodes.map(|node| holds(node.id().unwrap())).collect());
    }
    stop.cancel();
    let (changes, in_vain) = changes.await.unwrap();
    crowd.end().await;
    let tally = load.stop().await;
    println!(
        "{:.0} s, {changes} changes ({in_vain} in vain), {} certificates; HTTP/2, and closing: {} of {} requests failed {:?}",
        began.elapsed().as_secs_f64(),
        cluster.ca.issued(),
        tally.failed(),
        tally.requests(),
        tally.told(),
    );
    for place in 0..cluster.nodes.len() {
        let of_node = held.iter().map(|held| &held[place]);
        let (memory, descriptors): (Vec<_>, Vec<_>) = of_node
            .map(|holds| (holds.memory, holds.descriptors))
            .unzip();
        println!(
            "node {}: KB of anonymous memory {memory:?}; descriptors {descriptors:?}",
            place + 1
        );
    }
    // With nobody left: what is open now was never given back.
    sleep(Duration::from_secs(5)).await;
    for (place, node) in cluster.nodes.iter().enumerate() {
        let Holds {
            memory,
            descriptors,
        } = holds(node.id().unwrap());
        let open = cluster
            .figure(place, "hostquorum_edge_connections_open")
            .await;
        println!(
            "node {} at rest: {memory} KB, {descriptors} descriptors, connections {open:?}",
            place + 1
        );
    }
    assert_eq!(cluster.dead(), None, "a node has ended");
}

/// Changes until it is stopped: how often, and how often in vain. A leader may be lost on a
/// busy machine, which is no matter of those who are served.
async fn change(cli: Cli, stop: CancellationToken) -> (usize, usize) {
    const PASSING: &str = "passing.customer.example";
    let (mut changes, mut in_vain) = (0, 0);
    while !stop.is_cancelled() {
        let turn = format!("turn={changes}");
        for line in [
            &["hostname", "add", PASSING][..],
            &["hostname", "set", HOSTNAME, "--metadata", &turn],
            &["hostname", "remove", PASSING],
        ] {
            let said = cli.run(line).await;
            changes += 1;
            in_vain += usize::from(said.code != 0);
            sleep(PAUSE).await;
        }
    }
    (changes, in_vain)
}

fn holds(process: u32) -> Holds {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let memory = line.unwrap().split_whitespace().next().unwrap();
    Holds {
        memory: memory.parse().unwrap(),
        descriptors: fs::read_dir(format!("/proc/{process}/fd")).unwrap().count(),
    }
}
