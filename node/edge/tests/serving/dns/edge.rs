//! From the cluster's state to the resolver.

use std::sync::atomic::Ordering;

use hickory_proto::{
    op::ResponseCode,
    rr::RecordType::{self, A, AAAA, CAA, NS, SOA, TXT},
};
use state::{
    CaSettings, ChallengeKind, Change, DnsZone, Nameserver, Tenant, ZoneSettings,
    challenge::dns_value,
    testing::{ca_name, host},
};

use super::{client, data, question, received};
use crate::rig::{HOST, PATIENCE, Rig, eventually};

const NEW: &str = "new.client.example";

fn settings() -> ZoneSettings {
    let nameserver = |name: &str| Nameserver {
        name: host(name),
        addresses: vec!["192.0.2.53".parse().unwrap()],
    };
    ZoneSettings {
        edge_domain: Some(host("edge.example")),
        addresses: vec![
            "192.0.2.80".parse().unwrap(),
            "2001:db8::80".parse().unwrap(),
        ],
        dns: Some(DnsZone {
            name: host("acme.edge.example"),
            nameservers: vec![nameserver("ns1.acme.edge.example")],
        }),
        ..ZoneSettings::default()
    }
}

fn set_zone(rig: &Rig, settings: ZoneSettings) {
    let settings = Box::new(settings);
    let revision = None;
    rig.apply(Change::SetZone { settings, revision });
}

fn name_ca(rig: &Rig, identities: &[&str]) {
    let ca = rig.alone.state().ca(ca_name().as_str()).cloned().unwrap();
    let identities = identities.iter().map(ToString::to_string).collect();
    rig.apply(Change::PutCa {
        name: ca_name(),
        settings: Box::new(CaSettings {
            caa_identities: identities,
            ..ca.settings.clone()
        }),
        revision: None,
    });
}

/// Code and data.
async fn asked(rig: &Rig, name: &str, kind: RecordType) -> (ResponseCode, Vec<String>) {
    rig.settled().await;
    let socket = client(rig.edge.dns_addresses()[0]).await;
    socket.send(&question(name, kind)).await.unwrap();
    let answer = received(&socket, PATIENCE).await.unwrap();
    (answer.response_code, data(&answer))
}

fn found(data: &[&str]) -> (ResponseCode, Vec<String>) {
    (
        ResponseCode::NoError,
        data.iter().map(ToString::to_string).collect(),
    )
}

/// Where a customer's `_acme-challenge` is delegated to.
fn delegation(rig: &Rig, name: &str) -> String {
    rig.alone.state().delegation(name).unwrap()
}

#[tokio::test]
async fn a_challenge_is_there_with_its_order_and_gone_with_it() {
    let rig = Rig::start();
    set_zone(&rig, settings());
    rig.alone.authorize(NEW);
    let target = delegation(&rig, NEW);
    assert_eq!(asked(&rig, &target, TXT).await, found(&[]));
    // A wildcard's order has one for each of its two names.
    let kind = ChallengeKind::Dns01;
    rig.place(NEW, &[(kind, "one"), (kind, "two")]);
    let mut values = [dns_value("one.thumb"), dns_value("two.thumb")];
    values.sort();
    let both = found(&values.each_ref().map(String::as_str));
    assert_eq!(asked(&rig, &target, TXT).await, both);
    assert_eq!(asked(&rig, &target.to_uppercase(), TXT).await, both);
    assert_eq!(asked(&rig, &delegation(&rig, HOST), TXT).await, found(&[]));
    rig.remove(NEW);
    assert_eq!(asked(&rig, &target, TXT).await, found(&[]));
}

#[tokio::test]
async fn other_challenges_are_not_told_by_dns() {
    let rig = Rig::start();
    set_zone(&rig, settings());
    rig.ask_for_proof(NEW);
    assert_eq!(asked(&rig, &delegation(&rig, NEW), TXT).await, found(&[]));
}

#[tokio::test]
async fn who_is_behind_does_not_deny_a_challenge() {
    let rig = Rig::start();
    set_zone(&rig, settings());
    let target = delegation(&rig, HOST);
    rig.behind.store(true, Ordering::Relaxed);
    let (code, _) = asked(&rig, &target, TXT).await;
    assert_eq!(code, ResponseCode::ServFail);
    // But goes on sending clients to the cluster.
    let tenant = rig.alone.state().tenant_target(&Tenant::default()).unwrap();
    assert_eq!(asked(&rig, &tenant, A).await, found(&["192.0.2.80"]));
    rig.behind.store(false, Ordering::Relaxed);
    assert_eq!(asked(&rig, &target, TXT).await, found(&[]));
    assert_eq!(rig.edge.dns_metrics().unwrap().behind, 1);
}

#[tokio::test]
async fn tenants_have_targets_that_pin_the_account() {
    let rig = Rig::start();
    set_zone(&rig, settings());
    let tenant = rig.alone.state().tenant_target(&Tenant::default()).unwrap();
    assert_eq!(asked(&rig, &tenant, A).await, found(&["192.0.2.80"]));
    assert_eq!(asked(&rig, &tenant, AAAA).await, found(&["2001:db8::80"]));
    // Nobody knows how CAA names this CA: a guess would forbid it to issue.
    assert_eq!(asked(&rig, &tenant, CAA).await, found(&[]));
    name_ca(&rig, &["ca.example"]);
    let pinned = found(&["0 issue \"ca.example; accounturi=https://ca.example/account/1\""]);
    assert_eq!(asked(&rig, &tenant, CAA).await, pinned);
    assert_eq!(asked(&rig, &delegation(&rig, HOST), CAA).await, pinned);
    let open = ZoneSettings {
        caa_open: true,
        ..settings()
    };
    set_zone(&rig, open);
    assert_eq!(asked(&rig, &tenant, CAA).await, found(&[]));
    set_zone(&rig, settings());
    // What does not look like one of ours is none: there is no wildcard.
    for other in ["www.edge.example", "a.edge.example"] {
        let (code, _) = asked(&rig, other, A).await;
        assert_eq!(code, ResponseCode::NXDomain, "{other}");
    }
}

#[tokio::test]
async fn zones_are_what_operators_set_last() {
    let rig = Rig::start();
    let (code, _) = asked(&rig, "acme.edge.example", SOA).await;
    assert_eq!(code, ResponseCode::Refused);
    set_zone(&rig, settings());
    assert_eq!(
        asked(&rig, "acme.edge.example", NS).await,
        found(&["ns1.acme.edge.example."])
    );
    set_zone(&rig, ZoneSettings::default());
    let (code, _) = asked(&rig, "acme.edge.example", SOA).await;
    assert_eq!(code, ResponseCode::Refused);
}

#[tokio::test]
async fn the_server_ends_with_the_edge() {
    let rig = Rig::start();
    let address = rig.edge.dns_addresses()[0];
    assert!(rig.edge.health().is_ready());
    tokio::spawn(rig.edge.drain(PATIENCE));
    eventually("the port is free", || {
        std::net::UdpSocket::bind(address).is_ok()
    })
    .await;
}
