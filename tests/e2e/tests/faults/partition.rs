//! Nodes on a network of their own, whose links are slow, lose packets, or carry them one
//! way only.

use std::{sync::Arc, time::Duration};

use harness::{
    Cluster, Lan, Options, Writers,
    cluster::SOON,
    lan::{self, Manner},
    wait,
    writes::all_there,
};
use tokio::time::sleep;

use crate::{chance, number, options};

/// See [`crate::kill`].
const PACE: Duration = Duration::from_millis(100);
/// How long a link is cut.
const CUT: Duration = Duration::from_secs(10);
/// How long elections are counted after that.
const AFTER: Duration = Duration::from_secs(5);

/// As `HOSTQUORUM_LINK_MILLIS` and `HOSTQUORUM_LINK_LOSS` (in 10,000) say.
fn poor() -> Manner {
    let millis = number("HOSTQUORUM_LINK_MILLIS").unwrap_or(10);
    Manner {
        delay: Duration::from_millis(millis),
        jitter: Duration::from_millis(millis / 2),
        loss: number("HOSTQUORUM_LINK_LOSS").map_or(0.001, |loss| loss as f64 / 10_000.0),
        cut: false,
    }
}

async fn on(lan: &Arc<Lan>) -> Cluster {
    let options = Options {
        lan: Some(Arc::clone(lan)),
        ..options()
    };
    Cluster::start(options).await
}

/// How many elections there were, as whoever knows most tells it.
async fn elections(cluster: &Cluster) -> u64 {
    let mut most = 0;
    for place in 0..cluster.nodes.len() {
        most = most.max(cluster.elections(place).await.unwrap_or_default());
    }
    most
}

#[test]
fn a_leader_whom_nobody_hears_is_replaced_and_comes_back_without_needless_elections() {
    let partitions = number("HOSTQUORUM_PARTITIONS").unwrap_or(1);
    let (_, seed) = chance();
    lan::within(3, seed, move |lan| async move {
        let cluster = on(&lan).await;
        cluster.onboard("shop.customer.example").await;
        cluster
            .served_alike(&[0, 1, 2], "shop.customer.example")
            .await;
        let writers = Writers::start(&cluster, PACE);
        let mut most = 0;
        for _ in 0..partitions {
            writers.go_on(3).await;
            let leader = cluster.leader().await;
            let first = elections(&cluster).await;
            let number = u8::try_from(leader).unwrap() + 1;
            for other in (1..=3).filter(|other| *other != number) {
                // It hears them; they do not hear it.
                lan.manner(number, other, Manner::cut());
            }
            // The others go on without it; and who is heard by nobody serves on.
            sleep(CUT / 2).await;
            writers.go_on(3).await;
            assert!(
                cluster
                    .serial(leader, "shop.customer.example")
                    .await
                    .is_some()
            );
            sleep(CUT / 2).await;
            let before = elections(&cluster).await;
            println!("elections during the cut: {}", before - first);
            lan.manners(Manner::default());
            sleep(AFTER).await; // what is tested: the time after it is mended
            cluster.leader().await;
            let needless = elections(&cluster).await - before;
            assert!(needless <= 1, "{needless} elections after the cut");
            most = most.max(needless);
        }
        let acknowledged = writers.stop().await;
        all_there(&cluster, &acknowledged).await;
        println!(
            "{partitions} one-way cuts of the leader for {CUT:?}: at most {most} elections in {AFTER:?} after it; {} writes acknowledged, 0 lost, {} packets",
            acknowledged.len(),
            lan.lost(),
        );
    });
}

#[test]
fn slow_links_that_lose_packets_delay_writes_and_cost_no_leader() {
    let (_, seed) = chance();
    lan::within(3, seed, move |lan| async move {
        let cluster = on(&lan).await;
        let poor = poor();
        lan.manners(poor);
        let leader = cluster.leader().await;
        let before = elections(&cluster).await;
        let writers = Writers::start(&cluster, PACE);
        writers.go_on(20).await;
        let during = elections(&cluster).await - before;
        assert!(during <= 1, "{during} elections on slow links");
        let number = u8::try_from(leader).unwrap() + 1;
        // And a node that is cut off wholly catches up.
        for other in (1..=3).filter(|other| *other != number) {
            lan.manner(number, other, Manner::cut());
            lan.manner(other, number, Manner::cut());
        }
        writers.go_on(10).await;
        lan.manners(Manner::default());
        let acknowledged = writers.stop().await;
        all_there(&cluster, &acknowledged).await;
        wait::until("all vote again", SOON, || async {
            let members = cluster.members().await?;
            let voting = members.iter().filter(|it| it["standing"] == "voting");
            (voting.count() == 3).then_some(())
        })
        .await;
        println!(
            "links of {poor:?}: {during} elections in 20 writes; {} packets lost",
            lan.lost()
        );
    });
}
