//! Certificates of a minute, under load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use harness::{Cluster, Options, cluster::SOON};
use tokio::{task::JoinSet, time::Instant};

/// How long each certificate is valid.
const LIFE: Duration = Duration::from_secs(60);
/// Sooner than this after it was issued none is replaced.
const EARLIEST: Duration = Duration::from_secs(25);
/// Hostnames that are renewed all the while.
const HOSTNAMES: usize = 10;
/// Clients that shake hands without a pause between.
const CLIENTS: usize = 4;

/// A minute; `HOSTQUORUM_RENEWAL_MINUTES=10` for longer.
fn span() -> Duration {
    let asked = std::env::vars().find(|(name, _)| name == "HOSTQUORUM_RENEWAL_MINUTES");
    let minutes = asked.map_or(1, |(_, minutes)| minutes.parse().expect("minutes"));
    Duration::from_secs(minutes * 60)
}

/// Each client verifies validity, chain and name by its own clock.
#[tokio::test(flavor = "multi_thread")]
async fn no_handshake_ever_sees_an_expired_certificate() {
    let options = Options {
        validity: LIFE,
        ..Options::default()
    };
    let cluster = Arc::new(Cluster::start(options).await);
    let names: Vec<String> = (0..HOSTNAMES)
        .map(|number| format!("shop-{number}.customer.example"))
        .collect();
    for name in &names {
        cluster.cli.run(&["hostname", "add", name]).await.ok();
    }
    for name in &names {
        cluster.served_alike(&[0, 1, 2], name).await;
    }
    let handshakes = Arc::<AtomicU64>::default();
    let (began, span) = (Instant::now(), span());
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (cluster, names, handshakes) = (cluster.clone(), names.clone(), handshakes.clone());
        clients.spawn(async move {
            for turn in client.. {
                if began.elapsed() > span {
                    return;
                }
                let (node, name) = (cluster.https_of(turn % 3), &names[turn % HOSTNAMES]);
                let answer = cluster.https.get(node, name, "/").await;
                let answer = answer.unwrap_or_else(|error| panic!("{name} at {node}: {error}"));
                assert_eq!(answer.status, 200, "{name} at {node}");
                handshakes.fetch_add(1, Relaxed);
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    let handshakes = handshakes.load(Relaxed);
    println!(
        "{handshakes} handshakes, {} certificates",
        cluster.ca.issued()
    );
    // Each is replaced at half of its life, which the CA dates back by a tenth, so 27 s after
    // it was issued and a moment more or less: more often would cost orders.
    let lives = span.as_secs_f64() / LIFE.as_secs_f64();
    let most = 2.0 + span.as_secs_f64() / EARLIEST.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
    let each = cluster.ca.issued() as f64 / HOSTNAMES as f64;
    assert!(
        each >= 1.0 + lives.floor(),
        "{each} certificates for each name"
    );
    assert!(each <= most, "{each} certificates for each name");
    assert!(handshakes > span.as_secs() * 10, "{handshakes} are no load");
    tokio::time::timeout(SOON, cluster.leader()).await.unwrap();
}
