//! Each kind of challenge, as three nodes answer it.

use std::time::Duration;

use harness::{
    Behaviour, Ca, Cluster, Endpoint, LookUpText as _, NameServer, Options, Transport,
    admin::{self, Admin},
    cluster::SOON,
    proto::{ChallengeKind, Wants},
    seat::ZONES,
    wait,
};

/// How long the development CA waits before it looks: what every node answers is looked at
/// meanwhile.
const PAUSE: Duration = Duration::from_secs(4);
const SHOP: &str = "shop.customer.example";

/// Names that are served by one certificate for a base and all below it.
const SERVED: [&str; 2] = [SHOP, "any.shop.customer.example"];

#[tokio::test(flavor = "multi_thread")]
async fn a_wildcard_and_its_base_are_proven_by_dns_over_udp() {
    wildcard(Transport::Udp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wildcard_and_its_base_are_proven_by_dns_over_tcp() {
    wildcard(Transport::Tcp).await;
}

/// The CA asks a resolver that validates, writes names in random case and tells each
/// server no more than it must.
async fn wildcard(transport: Transport) {
    let cluster = Cluster::start(Options {
        dns: Some(transport),
        behaviour: Behaviour {
            dns_01: true,
            validation_delay_millis: u64::try_from(PAUSE.as_millis()).unwrap(),
            ..Behaviour::default()
        },
        ..Options::default()
    })
    .await;
    let channel = Admin::read(&cluster.context())
        .connect(&cluster.nodes[0].files.admin().to_string())
        .await
        .unwrap();
    let servers: Vec<_> = (0..3)
        .map(|place| {
            let ip = cluster.dns_of(place).ip().to_string();
            (format!("ns{place}.saas.example"), ip)
        })
        .collect();
    admin::answer_for(&channel, ZONES[1], &servers)
        .await
        .unwrap();
    // The customer delegates first; then it is ordered.
    let mut wants = Wants {
        wildcard: true,
        challenge: ChallengeKind::Dns01.into(),
        manual: true,
        ..Wants::default()
    };
    let created = admin::create(&channel, SHOP, wants.clone()).await.unwrap();
    let target = created.ownership.unwrap().challenge_target;
    cluster
        .customers_have(&format!("_acme-challenge.shop 60 IN CNAME {target}.\n"))
        .await;
    wants.manual = false;
    admin::update(&channel, SHOP, wants).await.unwrap();
    if let Ca::Development(..) = cluster.ca {
        every_node_answers(&cluster, &target).await;
    }
    let serials = [
        cluster.served_alike(&[0, 1, 2], SERVED[0]).await,
        cluster.served_alike(&[0, 1, 2], SERVED[1]).await,
    ];
    assert_eq!(serials[0], serials[1], "one certificate for both");
    assert_eq!((cluster.ca.issued(), cluster.ca.orders()), (1, 1));
    // What was proven is answered no more: old values would crowd out the next.
    for place in 0..3 {
        wait::until("no values are left", SOON, || async {
            let left = NameServer::new(cluster.dns_of(place)).texts(&target).await;
            left.ok()?.is_empty().then_some(())
        })
        .await;
    }
}

/// The same two values: the wildcard's and its base's.
async fn every_node_answers(cluster: &Cluster, target: &str) {
    let mut all = Vec::new();
    for place in 0..3 {
        let values = wait::until("both values are answered", SOON, || async {
            let texts = NameServer::new(cluster.dns_of(place)).texts(target).await;
            texts.ok().filter(|texts| texts.len() == 2)
        });
        let mut values = values.await;
        values.sort();
        all.push(values);
    }
    all.dedup();
    assert_eq!(all.len(), 1, "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_proven_by_tls_at_every_node() {
    let cluster = Cluster::start(Options {
        agreement: harness::Agreement::Every,
        ..Options::default()
    })
    .await;
    let channel = Admin::read(&cluster.context())
        .connect(&cluster.nodes[0].files.admin().to_string())
        .await
        .unwrap();
    let wants = Wants {
        challenge: ChallengeKind::TlsAlpn01.into(),
        ..Wants::default()
    };
    admin::create(&channel, SHOP, wants).await.unwrap();
    cluster.served_alike(&[0, 1, 2], SHOP).await;
    assert_eq!((cluster.ca.issued(), cluster.ca.orders()), (1, 1));
    if let Ca::Development(ca, _) = &cluster.ca {
        let posts = ca.control().posts();
        let challenges = posts
            .iter()
            .filter(|post| post.endpoint == Endpoint::Challenge);
        let paths: Vec<_> = challenges.map(|post| &post.path).collect();
        assert!(
            !paths.is_empty() && paths.iter().all(|path| path.contains("tls-alpn-01")),
            "{paths:?}"
        );
    }
}
