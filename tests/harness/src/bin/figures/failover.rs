//! Writes that wait for another leader, and handshakes meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use harness::{
    Cluster, Options,
    admin::{self, Admin},
    cluster::SOON,
    request::HttpsClient,
    wait,
};
use tokio::time::{Instant, sleep, timeout};

use crate::tell;

/// Who ask at once while there is no quorum.
const CLIENTS: usize = 12;

pub(crate) async fn killed(count: usize) {
    let mut cluster = Cluster::start(Options::default()).await;
    cluster.onboard("known.customer.example").await;
    cluster
        .served_alike(&[0, 1, 2], "known.customer.example")
        .await;
    let admin = Admin::read(&cluster.context());
    let (mut times, mut handshakes, mut failed) = (Vec::new(), 0, 0);
    for number in 0..count {
        let leader = cluster.leader().await;
        let survivors: Vec<usize> = (0..3).filter(|place| *place != leader).collect();
        let watch = Handshakes::start(&cluster, &survivors);
        let mut channels = Vec::new();
        for place in &survivors {
            channels.push(
                admin
                    .connect(&cluster.nodes[*place].files.admin().to_string())
                    .await
                    .unwrap(),
            );
        }
        sleep(Duration::from_millis(300)).await; // let handshakes run before the leader dies
        cluster.nodes[leader].kill().await.unwrap();
        times.push(next_write(&channels, &format!("write-{number}.customer.example")).await);
        let (good, bad) = watch.stop().await;
        handshakes += good;
        failed += bad;
        cluster.restart(leader, &[]).await;
        cluster.settled().await;
    }
    tell("leader kill -9 to next acknowledged write", times);
    println!("handshakes on surviving nodes meanwhile: {handshakes} good, {failed} failed");
}

async fn next_write(channels: &[tonic::transport::Channel], name: &str) -> Duration {
    let began = Instant::now();
    loop {
        for channel in channels {
            let asked = timeout(Duration::from_millis(400), admin::authorize(channel, name)).await;
            if let Ok(Ok(())) = asked {
                return began.elapsed();
            }
        }
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "no write was acknowledged"
        );
        sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn hung(count: usize) {
    let mut cluster = Cluster::start(Options::default()).await;
    cluster.onboard("known.customer.example").await;
    let mut disks = Vec::new();
    for place in 0..3 {
        disks.push(cluster.on_a_disk_that_may_fail(place, "replica").await);
    }
    let admin = Admin::read(&cluster.context());
    let (mut times, mut back, mut failed) = (Vec::new(), Vec::new(), 0);
    for number in 0..count {
        let leader = cluster.leader().await;
        let survivors: Vec<usize> = (0..3).filter(|place| *place != leader).collect();
        let watch = Handshakes::start(&cluster, &[0, 1, 2]);
        let mut channels = Vec::new();
        for place in &survivors {
            channels.push(
                admin
                    .connect(&cluster.nodes[*place].files.admin().to_string())
                    .await
                    .unwrap(),
            );
        }
        disks[leader].hang();
        times.push(next_write(&channels, &format!("write-{number}.customer.example")).await);
        wait::until("the hung node says so", SOON, || async {
            (cluster.readiness(leader).await?.0 == 503).then_some(())
        })
        .await;
        disks[leader].mend();
        let mended = Instant::now();
        wait::until("it runs again", SOON, || async {
            (cluster.readiness(leader).await?.0 == 200).then_some(())
        })
        .await;
        back.push(mended.elapsed());
        failed += watch.stop().await.1;
        cluster.settled().await;
    }
    tell("leader's fdatasync hangs to next acknowledged write", times);
    tell("disk mended to the node ready again, by itself", back);
    println!("failed handshakes meanwhile, the hung node's own among them: {failed}");
}

/// One node of three, without a quorum and for so many minutes: how many of its requests
/// fail.
pub(crate) async fn no_quorum(minutes: usize) {
    let mut cluster = Cluster::start(Options::default()).await;
    cluster.onboard("known.customer.example").await;
    cluster
        .served_alike(&[0, 1, 2], "known.customer.example")
        .await;
    for place in [0, 1] {
        cluster.nodes[place].kill().await.unwrap();
    }
    let watch = Handshakes::start(&cluster, &[2; CLIENTS]);
    sleep(Duration::from_secs(60) * u32::try_from(minutes).unwrap()).await; // what is measured
    let (good, bad) = watch.stop().await;
    println!(
        "{minutes} minutes without a quorum: {} requests with handshakes on the node that is left, {bad} failed",
        good + bad
    );
}

/// Handshakes and requests for a known hostname, one after the other on each node.
struct Handshakes {
    stop: Arc<AtomicBool>,
    good: Arc<AtomicU64>,
    bad: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Handshakes {
    fn start(cluster: &Cluster, places: &[usize]) -> Self {
        let (stop, good, bad) = (
            Arc::<AtomicBool>::default(),
            Arc::<AtomicU64>::default(),
            Arc::<AtomicU64>::default(),
        );
        let tasks = places.iter().map(|place| {
            let (address, https) = (cluster.https_of(*place), cluster.https.clone());
            let (stop, good, bad) = (stop.clone(), good.clone(), bad.clone());
            tokio::spawn(async move {
                while !stop.load(Relaxed) {
                    let counter = if ask(&https, address).await {
                        &good
                    } else {
                        &bad
                    };
                    counter.fetch_add(1, Relaxed);
                    sleep(Duration::from_millis(5)).await;
                }
            })
        });
        let tasks = tasks.collect();
        Self {
            stop,
            good,
            bad,
            tasks,
        }
    }

    async fn stop(self) -> (u64, u64) {
        self.stop.store(true, Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        (self.good.load(Relaxed), self.bad.load(Relaxed))
    }
}

async fn ask(https: &HttpsClient, address: std::net::SocketAddr) -> bool {
    https
        .get(address, "known.customer.example", "/")
        .await
        .is_ok_and(|answer| answer.status == 200)
}
