//! A hostname from its authorization to its last node.

use std::time::Duration;

use harness::{Cluster, Options, wait};

/// One serial on three nodes, one certificate at the CA.
async fn one_certificate_serves_on_three_nodes(options: Options) {
    let cluster = Cluster::start(options).await;
    cluster.onboard("shop.customer.example").await;
    let serial = cluster
        .served_alike(&[0, 1, 2], "shop.customer.example")
        .await;
    assert_eq!(cluster.ca.issued(), 1);
    let shown = cluster
        .cli
        .json(&["hostname", "show", "shop.customer.example"])
        .await;
    let shown = shown["certificate"]["serial"].as_str().unwrap();
    let presented = serial.replace(':', "");
    assert_eq!(
        shown.trim_start_matches('0'),
        presented.trim_start_matches('0')
    );
    assert!(
        cluster.serial(0, "other.customer.example").await.is_none(),
        "an unknown name is refused"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_certificate_from_the_development_ca() {
    one_certificate_serves_on_three_nodes(Options {
        pebble: false,
        ..Options::default()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_certificate_from_pebble() {
    one_certificate_serves_on_three_nodes(Options {
        pebble: true,
        ..Options::default()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_before_it_ends() {
    let validity = Duration::from_secs(60);
    let cluster = Cluster::start(Options {
        validity,
        ..Options::default()
    })
    .await;
    cluster.onboard("shop.customer.example").await;
    let first = cluster
        .served_alike(&[0, 1, 2], "shop.customer.example")
        .await;
    wait::until("another serial", validity, || async {
        let now = cluster
            .serial(2, "shop.customer.example")
            .await
            .expect("it is served all the while");
        (now != first).then_some(())
    })
    .await;
    cluster
        .served_alike(&[0, 1, 2], "shop.customer.example")
        .await;
    assert_eq!(cluster.ca.issued(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_hostname_is_served_no_more_and_comes_back_without_an_order() {
    let cluster = Cluster::start(Options::default()).await;
    cluster.onboard("shop.customer.example").await;
    let first = cluster
        .served_alike(&[0, 1, 2], "shop.customer.example")
        .await;
    cluster
        .cli
        .run(&["hostname", "remove", "shop.customer.example"])
        .await
        .ok();
    for place in 0..3 {
        wait::until("it is refused", Duration::from_secs(5), || async {
            cluster
                .serial(place, "shop.customer.example")
                .await
                .is_none()
                .then_some(())
        })
        .await;
    }
    cluster.onboard("shop.customer.example").await;
    assert_eq!(
        cluster
            .served_alike(&[0, 1, 2], "shop.customer.example")
            .await,
        first
    );
    assert_eq!(cluster.ca.orders(), 1);
}
