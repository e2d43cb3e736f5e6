//! The serving key of a cluster of many hostnames is replaced.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use harness::{Cluster, Options};
use tokio::time::{Instant, sleep};

use crate::scale::{Issuer, bring, handshake, name};

/// Of `count` hostnames, each with a certificate and a key of its own, on three nodes, with
/// handshakes meanwhile.
pub(crate) async fn measure(count: usize) {
    let cluster = Cluster::start(Options::default()).await;
    let issuer = Arc::new(Issuer::new());
    bring(&cluster, &issuer, count).await;
    println!("{count} hostnames are there");
    let over = Arc::new(AtomicBool::new(false));
    let failed = Arc::new(AtomicUsize::new(0));
    let shaking = (0..3).map(|place| {
        let (issuer, over, failed) = (issuer.clone(), over.clone(), failed.clone());
        let address = cluster.https_of(place);
        tokio::spawn(async move {
            let client = issuer.client();
            let mut hands = 0;
            while !over.load(Ordering::Relaxed) {
                // Steps through all of them, so that few keys are in the cache.
                let known = name((hands * 7919 + place) % count);
                if let Err(error) = handshake(&client, address, &known).await {
                    println!("{known}: {error}");
                    failed.fetch_add(1, Ordering::Relaxed);
                }
                hands += 1;
                sleep(Duration::from_millis(5)).await;
            }
            hands
        })
    });
    let shaking: Vec<_> = shaking.collect();
    let began = Instant::now();
    let rotate = [
        "cluster",
        "rotate",
        "serving-key",
        "--wait",
        "--timeout",
        "4h",
    ];
    cluster.cli.run(&rotate).await.ok();
    let took = began.elapsed().as_secs_f64();
    over.store(true, Ordering::Relaxed);
    let mut hands = 0;
    for each in shaking {
        hands += each.await.unwrap();
    }
    println!(
        "rotated in {took:.0} s, {:.0} certificates a second; {hands} handshakes meanwhile, of \
         which {} failed",
        count as f64 / took,
        failed.load(Ordering::Relaxed)
    );
}
