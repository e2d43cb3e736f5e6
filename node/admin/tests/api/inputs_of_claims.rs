//! Bad input about the zone, about tenants and about what hostnames are to have: refused
//! before anything is proposed, with the field that is at fault.

use proto::admin::v1::*;

use crate::stand::{Stand, told};

fn field(name: &str) -> String {
    format!("InvalidArgument INVALID_ARGUMENT field={name}")
}

fn mask(path: &str) -> Option<prost_types::FieldMask> {
    Some(prost_types::FieldMask {
        paths: vec![path.to_owned()],
    })
}

#[tokio::test]
async fn zones_that_cannot_be() {
    let stand = Stand::start().await;
    let mut zones = stand.admin().await.zones;
    let server = |name: &str, addresses: &[&str]| Nameserver {
        name: name.to_owned(),
        addresses: addresses.iter().map(ToString::to_string).collect(),
    };
    let dns = |name: &str, nameservers: Vec<Nameserver>| ZoneSettings {
        dns: Some(DnsZone {
            name: name.to_owned(),
            nameservers,
        }),
        ..Default::default()
    };
    let ns1 = server("ns1.acme.example", &["192.0.2.1"]);
    let ns2 = server("ns2.acme.example", &["192.0.2.2"]);
    let edge = |domain: &str| ZoneSettings {
        edge_domain: domain.to_owned(),
        ..Default::default()
    };
    let addresses = |list: &[&str]| ZoneSettings {
        addresses: list.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    let servers = "dns.nameservers";
    let both = vec![ns1.clone(), ns2.clone()];
    for (path, settings, at_fault) in [
        ("ownership", ZoneSettings::default(), "ownership"),
        ("edge_domain", edge("*.edge.example"), "edge_domain"),
        ("edge_domain", edge("192.0.2.1"), "edge_domain"),
        ("addresses", addresses(&["localhost"]), "addresses"),
        ("addresses", addresses(&["192.0.2.1:443"]), "addresses"),
        ("addresses", addresses(&["0.0.0.0"]), "addresses"),
        (
            "addresses",
            addresses(&["192.0.2.1", "192.0.2.1"]),
            "addresses",
        ),
        ("addresses", addresses(&["224.0.0.1"]), "addresses"),
        ("dns", dns("acme", both.clone()), "dns.name"),
        ("dns", dns("acme.example", Vec::new()), servers),
        ("dns", dns("acme.example", vec![ns1.clone()]), servers),
        (
            "dns",
            dns("acme.example", vec![ns1.clone(), ns1.clone()]),
            servers,
        ),
        (
            "dns",
            dns("acme.example", vec![ns1.clone(), server("ns2", &[])]),
            servers,
        ),
        (
            "dns",
            dns(
                "acme.example",
                vec![ns1.clone(), server("b.acme.example", &[])],
            ),
            servers,
        ),
        (
            "dns",
            dns(
                "acme.example",
                vec![ns1, server("ns.other.example", &["x"])],
            ),
            servers,
        ),
        (
            "*",
            ZoneSettings {
                ownership: OwnershipPolicy::Proof.into(),
                edge_domain: "acme.example".to_owned(),
                ..dns("acme.example", both)
            },
            "edge_domain",
        ),
    ] {
        let request = UpdateZoneRequest {
            name: "zones/default".to_owned(),
            settings: Some(settings.clone()),
            update_mask: mask(path),
            revision: 0,
        };
        let expected = field(&format!("settings.{at_fault}"));
        assert_eq!(
            told(zones.update_zone(request).await),
            expected,
            "{settings:?}"
        );
    }
    let request = UpdateZoneRequest {
        name: "zones/other".to_owned(),
        ..Default::default()
    };
    assert_eq!(told(zones.update_zone(request).await), field("name"));
    let request = UpdateZoneRequest {
        name: "zones/default".to_owned(),
        ..Default::default()
    };
    assert_eq!(told(zones.update_zone(request).await), field("update_mask"));
    assert_eq!(stand.alone.log().len(), 1, "nothing was proposed");
}

#[tokio::test]
async fn wants_and_tenants_that_cannot_be() {
    let stand = Stand::start().await;
    let mut hostnames = stand.admin().await.hostnames;
    let with = |edit: &dyn Fn(&mut Wants)| {
        let mut wants = Wants::default();
        edit(&mut wants);
        wants
    };
    for (at_fault, wants) in [
        ("wants.keys", with(&|it| it.keys = 9)),
        ("wants.challenge", with(&|it| it.challenge = -1)),
        ("wants.ca", with(&|it| it.ca = "letsencrypt".into())),
        ("wants.profile", with(&|it| it.profile = "a b".into())),
        (
            "wants.challenge",
            with(&|it| {
                it.wildcard = true;
                it.challenge = ChallengeKind::TlsAlpn01.into();
            }),
        ),
    ] {
        let request = CreateHostnameRequest {
            hostname: "shop.example".to_owned(),
            wants: Some(wants.clone()),
            ..Default::default()
        };
        assert_eq!(
            told(hostnames.create_hostname(request).await),
            field(at_fault),
            "{wants:?}"
        );
    }
    for tenant in ["a b", "a/b", &"x".repeat(65)] {
        let request = CreateHostnameRequest {
            hostname: "shop.example".to_owned(),
            tenant: tenant.to_owned(),
            wants: None,
        };
        assert_eq!(
            told(hostnames.create_hostname(request).await),
            field("tenant")
        );
        let request = ListHostnamesRequest {
            tenant: tenant.to_owned(),
            ..Default::default()
        };
        assert_eq!(
            told(hostnames.list_hostnames(request).await),
            field("tenant")
        );
    }
    for tenant in ["", "a b"] {
        let request = ContestHostnameRequest {
            name: "hostnames/shop.example".to_owned(),
            tenant: tenant.to_owned(),
        };
        assert_eq!(
            told(hostnames.contest_hostname(request).await),
            field("tenant")
        );
    }
    for name in ["", "shop.example", "hostnames/*.example"] {
        let name = name.to_owned();
        let request = UpdateHostnameRequest {
            name: name.clone(),
            update_mask: mask("keys"),
            ..Default::default()
        };
        assert_eq!(
            told(hostnames.update_hostname(request).await),
            field("name")
        );
        let request = ContestHostnameRequest {
            name: name.clone(),
            tenant: "a".to_owned(),
        };
        assert_eq!(
            told(hostnames.contest_hostname(request).await),
            field("name")
        );
        assert_eq!(
            told(hostnames.end_contest(EndContestRequest { name }).await),
            field("name")
        );
    }
    let request = UpdateHostnameRequest {
        name: "hostnames/shop.example".to_owned(),
        update_mask: mask("tenant"),
        ..Default::default()
    };
    assert_eq!(
        told(hostnames.update_hostname(request).await),
        field("update_mask")
    );
    let request = UpdateHostnameRequest {
        name: "hostnames/shop.example".to_owned(),
        update_mask: mask("keys"),
        ..Default::default()
    };
    let answer = hostnames.update_hostname(request).await;
    assert_eq!(told(answer), "NotFound HOSTNAME_NOT_FOUND");
    assert_eq!(stand.alone.log().len(), 1, "nothing was proposed");
}
