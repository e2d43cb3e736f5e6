//! Clocks that jump under running nodes.

use std::time::Duration;

use harness::{Cluster, Faketime, Writers, cluster::SOON, writes::all_there};

use crate::options;

/// How a leader's clock jumps; and whether what is written meanwhile stays: an invitation
/// that was made ten years ago is over, and cleared away.
const JUMPS: [(&str, bool); 4] = [
    ("+10y", true),
    ("-10y", false),
    ("+1h", true),
    ("-1h", true),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_clock_jumps_by_years_renews_nothing_and_loses_nothing() {
    let mut cluster = Cluster::start(options()).await;
    cluster.onboard("shop.customer.example").await;
    let serial = cluster
        .served_alike(&[0, 1, 2], "shop.customer.example")
        .await;
    let clock = Faketime::right(cluster.dir(), "node-1");
    cluster.nodes[0].stop(SOON).await.unwrap();
    cluster.restart(0, &clock.variables()).await;
    cluster.settled().await;
    for (jump, stays) in JUMPS {
        cluster.lead(0).await;
        let writers = Writers::start(&cluster, Duration::from_millis(100));
        clock.is_off_by(jump);
        writers.go_on(10).await;
        for place in 0..3 {
            let found = cluster.serial(place, "shop.customer.example").await;
            assert_eq!(found.as_ref(), Some(&serial), "{jump}");
        }
        clock.is_off_by("+0");
        writers.go_on(3).await;
        let acknowledged = writers.stop().await;
        if stays {
            all_there(&cluster, &acknowledged).await;
        }
    }
    assert_eq!((cluster.ca.issued(), cluster.ca.orders()), (1, 1));
    // And what is asked for afterwards is done.
    cluster.onboard("next.customer.example").await;
    cluster
        .served_alike(&[0, 1, 2], "next.customer.example")
        .await;
    assert_eq!((cluster.ca.issued(), cluster.ca.orders()), (2, 2));
}
