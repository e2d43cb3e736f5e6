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

/// How many elections there were, as those at `places` know.
async fn elections(cluster: &Cluster, places: &[usize]) -> u64 {
    let mut most = 0;
    for place in places {
        most = most.max(cluster.elections(*place).await.unwrap_or_default());
    }
    most
}

/// Cuts what goes from each first to each second for [`CUT`], while others write on.
/// Answers with how many elections those at `places` saw meanwhile, and how many in
/// [`AFTER`] when all passes again.
async fn cut(
    lan: &Lan,
    cluster: &Cluster,
    writers: &Writers,
    ways: &[(u8, u8)],
    places: &[usize],
) -> (u64, u64) {
    let first = elections(cluster, places).await;
    for (from, to) in ways {
        lan.manner(*from, *to, Manner::cut());
    }
    sleep(CUT / 2).await; // what is tested: a cut of that length
    writers.go_on(3).await;
    for place in 0..3 {
        let served = cluster.serial(place, "shop.customer.example").await;
        assert!(served.is_some(), "who is cut off from others serves on");
    }
    sleep(CUT / 2).await;
    let before = elections(cluster, places).await;
    lan.manners(Manner::default());
    sleep(AFTER).await; // what is tested: the time after it
    cluster.leader().await;
    writers.go_on(3).await;
    (before - first, elections(cluster, places).await - before)
}

/// What is cut: from each first to each second; and who counts the elections.
struct Cuts {
    ways: Vec<(u8, u8)>,
    who: Vec<u8>,
}

/// As often as is wanted, what is to be cut for the leader that there is.
fn one_way(what: &'static str, cuts: fn(leader: u8) -> Cuts) {
    let partitions = number("HOSTQUORUM_PARTITIONS").unwrap_or(1);
    let (_, seed) = chance();
    lan::within(3, seed, move |lan| async move {
        let cluster = on(&lan).await;
        cluster.onboard("shop.customer.example").await;
        cluster
            .served_alike(&[0, 1, 2], "shop.customer.example")
            .await;
        let writers = Writers::start(&cluster, PACE);
        let (mut most, mut most_after) = (0, 0);
        for _ in 0..partitions {
            writers.go_on(3).await;
            let Cuts { ways, who } = cuts(u8::try_from(cluster.leader().await).unwrap() + 1);
            let places: Vec<usize> = who.iter().map(|number| usize::from(*number) - 1).collect();
            let (during, after) = cut(&lan, &cluster, &writers, &ways, &places).await;
            assert!(after <= 1, "{after} elections after the cut");
            (most, most_after) = (most.max(during), most_after.max(after));
        }
        let acknowledged = writers.stop().await;
        all_there(&cluster, &acknowledged).await;
        println!(
            "{partitions} times {what} for {CUT:?}: at most {most} elections meanwhile and {most_after} in {AFTER:?} after it; {} writes acknowledged, 0 lost, {} packets",
            acknowledged.len(),
            lan.lost(),
        );
    });
}

/// The other two of three.
fn others(number: u8) -> impl Iterator<Item = u8> {
    (1..=3).filter(move |other| *other != number)
}

#[test]
fn a_leader_whom_nobody_hears_is_replaced_and_comes_back_without_needless_elections() {
    one_way("nobody hears the leader", |leader| {
        let ways = others(leader).map(|other| (leader, other)).collect();
        let who = vec![1, 2, 3];
        Cuts { ways, who }
    });
}

#[test]
fn a_follower_that_hears_nobody_comes_back_without_needless_elections() {
    one_way("a follower hears nobody", |leader| {
        let deaf = leader % 3 + 1;
        let ways = others(deaf).map(|other| (other, deaf)).collect();
        let who = others(deaf).collect();
        Cuts { ways, who }
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
        let before = elections(&cluster, &[0, 1, 2]).await;
        let writers = Writers::start(&cluster, PACE);
        writers.go_on(20).await;
        let during = elections(&cluster, &[0, 1, 2]).await - before;
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
