//! Figures of a cluster of three real processes on loopback.
//!
//! `figures onboarding [COUNT]`: from an authorization's request to the handshake
//! of the last of three nodes.
//! `figures failover [COUNT]`: from the leader's kill -9 to the next acknowledged
//! write, with handshakes on the surviving nodes all the while.
//! `figures hung-disk [COUNT]`: the same, with a leader whose fdatasync hangs for a
//! while, and until it is back by itself (needs a C compiler).
//! `figures no-quorum [MINUTES]`: one node of three is left; how many of its handshakes and
//! requests fail.
//! `figures issuance-burst [COUNT]`: so many hostnames at once from Pebble, which looks
//! for each challenge three times through a balancer, until all three nodes serve all.
//! `figures takeover-burst [COUNT]`: the same, with the leader's kill -9 amid it: how long
//! what was in flight stood still.
//! `figures rolling-restart [REQUESTS]`: all three nodes restarted in turn until clients that
//! keep their connections and clients that close them have made so many requests; how many
//! fail.
//! `figures soak [MINUTES]`: traffic of all kinds, renewals and changes; how many requests
//! fail, and what each node holds of memory and descriptors meanwhile.
//! `figures restore [COUNT]`: a backup of so many hostnames, all of it lost, and three new nodes
//! out of it.
//! `figures rotate [COUNT]`: the serving key is replaced under so many hostnames; how long until
//! nothing is under the old one, and how many handshakes fail meanwhile.
//! `figures scale [COUNT [ENGINE]]`: one node with so many hostnames, each with a certificate and
//! a key of its own, on `sled` or `redb`: memory, start to the first handshake, and what
//! handshakes cost for one name, for hot ones and for any. For release builds (`HOSTQUORUM_E2E_BINARIES`).

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a measurement that cannot go on must stop where it is"
)]

mod burst;
mod failover;
mod restore;
mod rolling;
mod rotate;
mod scale;
mod soak;
mod takeover;

use std::time::Duration;

use harness::{
    Cluster, Options,
    admin::{self, Admin},
};
use tokio::time::{Instant, sleep};

#[tokio::main(flavor = "multi_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let which = arguments.next().unwrap_or_default();
    let count = arguments
        .next()
        .map(|count| count.parse().expect("a count"));
    match which.as_str() {
        "onboarding" => onboarding(count.unwrap_or(30)).await,
        "failover" => failover::killed(count.unwrap_or(30)).await,
        "hung-disk" => failover::hung(count.unwrap_or(5)).await,
        "no-quorum" => failover::no_quorum(count.unwrap_or(10)).await,
        "issuance-burst" => burst::issuance(count.unwrap_or(200)).await,
        "rolling-restart" => rolling::restart(count.unwrap_or(500_000)).await,
        "soak" => soak::serve(count.unwrap_or(30)).await,
        "scale" => {
            let engine = std::env::args().nth(3);
            let engine = engine.unwrap_or_else(|| "sled".to_owned());
            scale::measure(count.unwrap_or(100_000), &engine).await;
        }
        "restore" => restore::measure(count.unwrap_or(10_000)).await,
        "rotate" => rotate::measure(count.unwrap_or(5_000)).await,
        "takeover-burst" => takeover::burst(count.unwrap_or(100)).await,
        _ => {
            println!(
                "figures onboarding|failover|hung-disk|no-quorum|issuance-burst|takeover-burst|rolling-restart|soak|scale|restore|rotate [COUNT]"
            );
        }
    }
}

fn tell(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: f64| {
        let place = ((times.len() - 1) as f64 * part).round();
        // A place in the vector: small, whole and not negative.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "see above"
        )]
        times[place as usize].as_secs_f64()
    };
    println!(
        "{what}: n={} min {:.3} s, p50 {:.3} s, p99 {:.3} s, max {:.3} s",
        times.len(),
        at(0.0),
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

async fn onboarding(count: usize) {
    let cluster = Cluster::start(Options::default()).await;
    let admin = Admin::read(&cluster.context());
    let channel = admin
        .connect(&cluster.nodes[0].files.admin().to_string())
        .await
        .unwrap();
    cluster.onboard("first.customer.example").await;
    let mut times = Vec::new();
    for number in 0..count {
        let name = format!("shop-{number}.customer.example");
        let began = Instant::now();
        admin::authorize(&channel, &name).await.unwrap();
        for place in 0..3 {
            while cluster.serial(place, &name).await.is_none() {
                sleep(Duration::from_millis(5)).await;
                assert!(
                    began.elapsed() < Duration::from_secs(60),
                    "{name} is not served"
                );
            }
        }
        times.push(began.elapsed());
    }
    assert_eq!(cluster.ca.issued(), count + 1);
    tell("authorize to served on all three nodes", times);
}
