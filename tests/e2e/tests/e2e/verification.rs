//! Whose a hostname is, and whether it points here, as DNS has it.

use harness::{Cluster, Options, Transport, cluster::SOON, seat::ZONES, wait};
use serde_json::Value;

const SHOP: &str = "shop.customer.example";
const TRAP: &str = "trap.customer.example";

/// Three nodes whose zone wants proofs, and which look at names through unbound.
async fn proving() -> Cluster {
    let cluster = Cluster::start(Options {
        // Pebble looks at another address than the one that names lead to.
        pebble: false,
        dns: Some(Transport::Udp),
        ..Options::default()
    })
    .await;
    let servers: Vec<String> = (0..3)
        .map(|place| format!("ns{place}.saas.example={}", cluster.dns_of(place).ip()))
        .collect();
    let (edge, servers) = (cluster.edge().to_string(), servers.join(";"));
    let set = [
        "zone",
        "set",
        "--ownership",
        "proof",
        "--points-to",
        &edge,
        "--edge-domain",
        ZONES[0],
        "--dns-zone",
        ZONES[1],
        "--nameserver",
        &servers,
    ];
    cluster.cli.run(&set).await.ok();
    cluster
}

/// The hostname, whether it failed or not.
async fn shown(cluster: &Cluster, hostname: &str) -> Value {
    let asked = ["hostname", "show", hostname, "-o", "json"];
    let said = cluster.cli.run(&asked).await;
    serde_json::from_str(&said.out).unwrap()
}

async fn explained(cluster: &Cluster, hostname: &str) -> String {
    let said = cluster.cli.run(&["hostname", "explain", hostname]).await;
    said.out
}

/// The value of the first record of that type among those to be published.
async fn to_publish(cluster: &Cluster, hostname: &str, kind: &str) -> String {
    let records = cluster.cli.json(&["hostname", "records", hostname]).await;
    let records = records["records"].as_array().unwrap();
    let record = records.iter().find(|record| record["type"] == kind);
    record.unwrap()["value"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostname_is_ordered_for_once_its_owner_has_published_the_record() {
    let cluster = proving().await;
    cluster.customers_have("shop 60 IN A 127.0.0.99\n").await;
    cluster.cli.run(&["hostname", "add", SHOP]).await.ok();
    wait::until("it is looked at", SOON, || async {
        let fault = shown(&cluster, SHOP).await["ownership"]["fault"].clone();
        fault.as_str()?.starts_with("txt_missing").then_some(())
    })
    .await;
    let explained = explained(&cluster, SHOP).await;
    assert!(explained.contains("txt_missing"), "{explained}");
    let bad = cluster.cli.run(&["hostname", "check", SHOP]).await;
    assert_eq!(bad.code, 2, "{bad:?}");
    assert!(bad.out.contains("127.0.0.99"), "{bad:?}");
    assert!(
        bad.out.contains("the owner of the name must change it"),
        "{bad:?}"
    );
    assert_eq!(cluster.ca.orders(), 0);

    let target = to_publish(&cluster, SHOP, "CNAME").await;
    assert!(target.ends_with(ZONES[0]), "{target}");
    cluster
        .customers_have(&format!("shop 60 IN CNAME {target}.\n"))
        .await;
    cluster.served_alike(&[0, 1, 2], SHOP).await;
    assert_eq!((cluster.ca.orders(), cluster.ca.issued()), (1, 1));
    let standing = shown(&cluster, SHOP).await["ownership"]["standing"].clone();
    assert_eq!(standing, "cname");
    let good = cluster.cli.run(&["hostname", "check", SHOP]).await;
    assert_eq!(good.code, 0, "{good:?}");
    assert!(good.out.contains("one of our nodes"), "{good:?}");

    let zone = cluster.cli.run(&["zone", "records", "-o", "zone"]).await;
    let line = format!("{}. IN NS ns0.saas.example.", ZONES[1]);
    assert!(zone.ok().contains(&line));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ipv6_address_elsewhere_keeps_the_ca_from_being_asked() {
    let cluster = proving().await;
    cluster.customers_have("trap 60 IN A 127.0.0.99\n").await;
    cluster.cli.run(&["hostname", "add", TRAP]).await.ok();
    let token = to_publish(&cluster, TRAP, "TXT").await;
    let edge = cluster.edge();
    let proof = format!("_hostquorum.trap 60 IN TXT \"{token}\"\ntrap 60 IN A {edge}\n");
    cluster
        .customers_have(&format!("{proof}trap 60 IN AAAA 2001:db8::66\n"))
        .await;
    wait::until("it is deferred", SOON, || async {
        let failure = shown(&cluster, TRAP).await["failure"].clone();
        let reason = failure["reason"].as_str()?;
        reason.contains("ipv6_elsewhere").then_some(())
    })
    .await;
    let explained = explained(&cluster, TRAP).await;
    assert!(explained.contains("2001:db8::66"), "{explained}");
    let bad = cluster.cli.run(&["hostname", "check", TRAP]).await;
    assert_eq!(bad.code, 2, "{bad:?}");
    assert_eq!(cluster.ca.orders(), 0);
    cluster.customers_have(&proof).await;
    cluster.served_alike(&[0, 1, 2], TRAP).await;
    assert_eq!((cluster.ca.orders(), cluster.ca.issued()), (1, 1));
}
