//! Whose a hostname is, what it is to have, and the zone that says how both are shown.

use proto::admin::v1::*;
use state::Change;

use crate::stand::{Clients, Stand, told};

fn create(hostname: &str, tenant: &str, wants: Option<Wants>) -> CreateHostnameRequest {
    CreateHostnameRequest {
        hostname: hostname.to_owned(),
        tenant: tenant.to_owned(),
        wants,
    }
}

fn mask(paths: &[&str]) -> Option<prost_types::FieldMask> {
    Some(prost_types::FieldMask {
        paths: paths.iter().map(ToString::to_string).collect(),
    })
}

async fn settings(admin: &mut Clients, settings: ZoneSettings, paths: &[&str]) -> Zone {
    let request = UpdateZoneRequest {
        name: "zones/default".to_owned(),
        settings: Some(settings),
        update_mask: mask(paths),
        revision: 0,
    };
    admin.zones.update_zone(request).await.unwrap().into_inner()
}

fn zone() -> ZoneSettings {
    ZoneSettings {
        ownership: OwnershipPolicy::Proof.into(),
        edge_domain: "Edge.example".to_owned(),
        addresses: vec!["192.0.2.1".to_owned(), "2001:DB8::1".to_owned()],
        dns: Some(DnsZone {
            name: "acme.edge.example".to_owned(),
            nameservers: [1, 2]
                .map(|number| Nameserver {
                    name: format!("ns{number}.acme.edge.example"),
                    addresses: vec![format!("192.0.2.{number}")],
                })
                .to_vec(),
        }),
        caa_open: true,
    }
}

#[tokio::test]
async fn a_zone_is_changed_field_by_field() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    let set = settings(&mut admin, zone(), &["*"]).await.settings.unwrap();
    assert_eq!(set.ownership(), OwnershipPolicy::Proof);
    assert_eq!(set.edge_domain, "edge.example");
    assert_eq!(set.addresses, ["192.0.2.1", "2001:db8::1"]);
    assert_eq!(set.dns, zone().dns);
    assert!(set.caa_open);
    let none = ZoneSettings::default();
    let set = settings(&mut admin, none, &["dns"]).await.settings.unwrap();
    assert_eq!(set.dns, None);
    assert_eq!(set.edge_domain, "edge.example", "not named, not changed");
    let none = ZoneSettings::default();
    let set = settings(&mut admin, none, &["caa_open"]).await.settings;
    assert!(!set.unwrap().caa_open);
}

#[tokio::test]
async fn a_claim_under_proof_tells_what_to_publish() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    settings(&mut admin, zone(), &["*"]).await;
    let answer = admin
        .hostnames
        .create_hostname(create("shop.example", "acme", None))
        .await;
    let shown = answer.unwrap().into_inner();
    assert_eq!(
        (shown.state(), &*shown.tenant),
        (HostnameState::Unproven, "acme")
    );
    let ownership = shown.ownership.unwrap();
    assert_eq!(ownership.standing, "unproven");
    assert_eq!(ownership.token.len(), 26);
    assert!(ownership.cname_target.ends_with(".edge.example"));
    assert!(ownership.challenge_target.ends_with(".acme.edge.example"));
    assert!(ownership.next_check.is_some() && ownership.checked_at.is_none());
    let explain = ExplainHostnameRequest {
        name: "hostnames/shop.example".to_owned(),
    };
    let told = admin
        .hostnames
        .explain_hostname(explain)
        .await
        .unwrap()
        .into_inner();
    for words in [
        "not proven to be tenant acme's",
        &ownership.token,
        &ownership.cname_target,
    ] {
        assert!(told.summary.contains(words), "{words}: {}", told.summary);
    }
}

#[tokio::test]
async fn another_tenant_contests_and_gives_up() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    admin
        .hostnames
        .create_hostname(create("shop.example", "acme", None))
        .await
        .unwrap();
    let answer = admin
        .hostnames
        .create_hostname(create("shop.example", "other", None))
        .await;
    assert_eq!(
        told(answer),
        "FailedPrecondition OTHER_TENANT subject=hostnames/shop.example"
    );
    let contest = |tenant: &str| ContestHostnameRequest {
        name: "hostnames/shop.example".to_owned(),
        tenant: tenant.to_owned(),
    };
    let answer = admin.hostnames.contest_hostname(contest("acme")).await;
    assert_eq!(
        told(answer),
        "FailedPrecondition UNFIT subject=hostnames/shop.example"
    );
    let shown = admin
        .hostnames
        .contest_hostname(contest("other"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(shown.tenant, "acme", "nothing changes before it is proven");
    assert_eq!(shown.contest.unwrap().tenant, "other");
    let answer = admin.hostnames.contest_hostname(contest("third")).await;
    assert_eq!(told(answer), "AlreadyExists CONTEST_EXISTS");
    let end = EndContestRequest {
        name: "hostnames/shop.example".to_owned(),
    };
    let shown = admin
        .hostnames
        .end_contest(end.clone())
        .await
        .unwrap()
        .into_inner();
    assert!(shown.contest.is_none());
    let answer = admin.hostnames.end_contest(end).await;
    assert_eq!(told(answer), "NotFound CONTEST_NOT_FOUND");
}

#[tokio::test]
async fn what_a_hostname_is_to_have_is_changed_field_by_field() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    let wants = Wants {
        wildcard: true,
        keys: KeyAlgorithms::Both.into(),
        manual: false,
        ca: "cas/test-ca".to_owned(),
        profile: "shortlived".to_owned(),
        challenge: ChallengeKind::Dns01.into(),
    };
    let request = create("shop.example", "", Some(wants.clone()));
    let shown = admin
        .hostnames
        .create_hostname(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (shown.wants, &*shown.tenant),
        (Some(wants.clone()), "default")
    );
    let update = |wants: Wants, paths: &[&str], revision| UpdateHostnameRequest {
        name: "hostnames/shop.example".to_owned(),
        wants: Some(wants),
        update_mask: mask(paths),
        revision,
    };
    let request = update(Wants::default(), &["ca", "profile"], shown.revision);
    let next = admin
        .hostnames
        .update_hostname(request)
        .await
        .unwrap()
        .into_inner();
    let expected = Wants {
        ca: String::new(),
        profile: String::new(),
        ..wants
    };
    assert_eq!(next.wants, Some(expected));
    let stale = update(Wants::default(), &["keys"], shown.revision);
    let answer = admin.hostnames.update_hostname(stale).await;
    assert_eq!(
        told(answer),
        "Aborted REVISION_MISMATCH subject=hostnames/shop.example"
    );
    let http = Wants {
        challenge: ChallengeKind::Http01.into(),
        ..Default::default()
    };
    let answer = admin
        .hostnames
        .update_hostname(update(http, &["challenge"], 0))
        .await;
    assert_eq!(
        told(answer),
        "InvalidArgument INVALID_ARGUMENT field=wants.challenge"
    );
    let strange = Wants {
        ca: "cas/nowhere".to_owned(),
        ..Default::default()
    };
    let answer = admin
        .hostnames
        .update_hostname(update(strange.clone(), &["ca"], 0))
        .await;
    assert_eq!(told(answer), "NotFound CA_NOT_FOUND");
    let answer = admin
        .hostnames
        .create_hostname(create("b.example", "", Some(strange)))
        .await;
    assert_eq!(told(answer), "NotFound CA_NOT_FOUND");
    let manual = Wants {
        manual: true,
        ..Default::default()
    };
    let request = update(manual, &["manual"], 0);
    let shown = admin
        .hostnames
        .update_hostname(request)
        .await
        .unwrap()
        .into_inner();
    assert!(shown.wants.unwrap().manual);
}

#[tokio::test]
async fn a_listing_is_of_one_tenant_and_its_tokens_are_too() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    for (name, tenant) in [("a.example", "x"), ("b.example", "y"), ("c.example", "x")] {
        admin
            .hostnames
            .create_hostname(create(name, tenant, None))
            .await
            .unwrap();
    }
    let list = |tenant: &str, page_token: String| ListHostnamesRequest {
        page_size: 1,
        page_token,
        tenant: tenant.to_owned(),
        ..Default::default()
    };
    let first = admin
        .hostnames
        .list_hostnames(list("x", String::new()))
        .await
        .unwrap();
    let first = first.into_inner();
    assert_eq!(first.hostnames[0].name, "hostnames/a.example");
    let answer = admin
        .hostnames
        .list_hostnames(list("y", first.next_page_token.clone()))
        .await;
    assert_eq!(
        told(answer),
        "InvalidArgument INVALID_ARGUMENT field=page_token"
    );
    let next = admin
        .hostnames
        .list_hostnames(list("x", first.next_page_token))
        .await
        .unwrap();
    assert_eq!(next.into_inner().hostnames[0].name, "hostnames/c.example");
}

#[tokio::test]
async fn an_edit_goes_on_when_something_else_was_changed_in_between() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    admin
        .hostnames
        .create_hostname(create("shop.example", "", None))
        .await
        .unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for path in ["wildcard", "manual", "profile"] {
        let mut hostnames = admin.hostnames.clone();
        writers.spawn(async move {
            let wants = Wants {
                wildcard: true,
                manual: true,
                profile: "p".to_owned(),
                ..Default::default()
            };
            let request = UpdateHostnameRequest {
                name: "hostnames/shop.example".to_owned(),
                wants: Some(wants),
                update_mask: mask(&[path]),
                revision: 0,
            };
            hostnames.update_hostname(request).await.unwrap();
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    let state = stand.alone.state();
    let wants = state.hostname("shop.example").unwrap().wants();
    assert!(wants.wildcard && !wants.automatic && wants.profile.as_deref() == Some("p"));
    let log = stand.alone.log();
    let changes = log
        .iter()
        .filter(|it| matches!(it.change, Change::SetWants { .. }));
    assert!(changes.count() >= 3);
}
