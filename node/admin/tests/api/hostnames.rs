//! Hostnames from their authorization to their end.

use std::{sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use proto::admin::v1::*;
use state::{
    Change, Evidence, FailureClass, Outcome, Term,
    ports::Seal,
    sealed::SealContext,
    testing::{MaskSeal, START, host},
};

use crate::stand::{Clients, Stand, millis, report, told};

const TERM: Term = Term(4);

fn key() -> state::Sealed {
    let context = SealContext::CertificateKey(host("shop.example"));
    MaskSeal
        .seal(state::KeyPurpose::Serving, &context, b"key")
        .unwrap()
}

async fn create(clients: &mut Clients, name: &str) -> Hostname {
    let request = CreateHostnameRequest {
        hostname: name.to_owned(),
        ..Default::default()
    };
    clients
        .hostnames
        .create_hostname(request)
        .await
        .unwrap()
        .into_inner()
}

async fn get(clients: &mut Clients, name: &str) -> Hostname {
    let request = GetHostnameRequest {
        name: format!("hostnames/{name}"),
    };
    clients
        .hostnames
        .get_hostname(request)
        .await
        .unwrap()
        .into_inner()
}

async fn explain(clients: &mut Clients, name: &str) -> Explanation {
    let request = ExplainHostnameRequest {
        name: format!("hostnames/{name}"),
    };
    clients
        .hostnames
        .explain_hostname(request)
        .await
        .unwrap()
        .into_inner()
}

#[tokio::test]
async fn a_hostname_is_authorized_once() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    let created = create(&mut admin, "BÜCHER.example.").await;
    assert_eq!(created.name, "hostnames/xn--bcher-kva.example");
    assert_eq!(created.state(), HostnameState::Pending);
    assert_eq!(created.authorized_by, "operator:founder");
    assert_eq!(millis(created.authorized_at), Some(START));
    assert_eq!(created.revision, stand.alone.state().index().0);
    let shown = Hostname {
        zone_traffic: None,
        ..get(&mut admin, "bücher.example").await
    };
    assert_eq!(shown, created);
    let request = CreateHostnameRequest {
        hostname: "xn--bcher-kva.example".to_owned(),
        ..Default::default()
    };
    let answer = admin.hostnames.create_hostname(request).await;
    assert_eq!(told(answer), "AlreadyExists HOSTNAME_EXISTS");
}

#[tokio::test]
async fn a_hostname_shows_its_order_its_failure_and_its_certificate() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    create(&mut admin, "shop.example").await;
    stand.alone.register(TERM, "thumbprint");
    let order = stand.alone.prepare(TERM, "shop.example", key(), "token");
    let shown = get(&mut admin, "shop.example").await;
    assert_eq!(shown.state(), HostnameState::Issuing);
    let in_flight = shown.order.unwrap();
    assert_eq!(
        (in_flight.id, in_flight.stage.as_str()),
        (order.0, "prepared")
    );
    assert_eq!(in_flight.url, format!("https://ca.example/order/{order}"));

    let failed = stand.alone.duty(
        TERM,
        Change::FailOrder {
            order,
            evidence: Evidence::Invalid,
            class: FailureClass::Challenge,
            reason: "connection refused".to_owned(),
            next_try: START.plus(Duration::from_secs(60)),
        },
    );
    assert_eq!(failed.outcome, Outcome::DONE);
    let shown = get(&mut admin, "shop.example").await;
    assert_eq!(shown.state(), HostnameState::Failed);
    let failure = shown.failure.unwrap();
    assert_eq!(failure.reason, "challenge: connection refused");
    assert_eq!(
        millis(failure.next_try),
        Some(START.plus(Duration::from_secs(60)))
    );

    stand.clock.advance(Duration::from_secs(60));
    let leaf = Bytes::from_static(b"leaf");
    stand.alone.install(
        TERM,
        "shop.example",
        key(),
        leaf,
        vec![Bytes::from_static(b"issuer")],
    );
    let shown = get(&mut admin, "shop.example").await;
    assert_eq!(shown.state(), HostnameState::Live);
    assert!(shown.failure.is_none() && shown.order.is_none());
    let certificate = shown.certificate.unwrap();
    assert_eq!(certificate.issuer, "Test CA");
    assert_eq!(certificate.serial, "0000000000000002");
    assert_eq!(certificate.id.len(), 64);

    stand.clock.advance(Duration::from_secs(91 * 86_400));
    let shown = get(&mut admin, "shop.example").await;
    assert_eq!(
        shown.state(),
        HostnameState::Pending,
        "its certificate ended"
    );
}

#[tokio::test]
async fn an_explanation_has_its_timeline_even_if_the_disk_fails() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    create(&mut admin, "shop.example").await;
    stand.alone.register(TERM, "thumbprint");
    stand.alone.prepare(TERM, "shop.example", key(), "token");
    let told = explain(&mut admin, "shop.example").await;
    let kinds: Vec<&str> = told
        .timeline
        .iter()
        .map(|event| event.kind.as_str())
        .collect();
    assert_eq!(
        kinds,
        ["authorized", "order-admitted", "challenge-prepared"]
    );
    assert!(
        told.summary.contains("waits until every node can answer"),
        "{}",
        told.summary
    );
    assert!(
        told.summary.contains("No origin is set"),
        "{}",
        told.summary
    );
    assert_eq!(told.next_try, None);
    assert_eq!(told.timeline_fault, "");

    stand.doubles.broken_disk.store(true, Ordering::Relaxed);
    let told = explain(&mut admin, "shop.example").await;
    assert!(told.timeline.is_empty());
    assert!(
        told.timeline_fault.contains("input/output error"),
        "{}",
        told.timeline_fault
    );
    assert!(!told.summary.is_empty());
}

#[tokio::test]
async fn serving_tells_who_has_published_the_present_state() {
    let stand = Stand::start().await;
    stand.three_voters();
    *stand.doubles.reports.lock().unwrap() = vec![
        report(1, Some(1000), 0),
        report(2, Some(2), 65_000),
        report(3, None, 0),
    ];
    let mut admin = stand.admin().await;
    let shown = create(&mut admin, "shop.example").await;
    let serving: Vec<_> = shown
        .serving
        .iter()
        .map(|node| (node.member.as_str(), node.current, node.silent_seconds))
        .collect();
    assert_eq!(
        serving,
        [
            ("members/1", true, Some(0)),
            ("members/2", false, Some(65)),
            ("members/3", false, None),
        ]
    );
    assert_eq!(shown.serving[1].node_name, "node-2");
    let summary = explain(&mut admin, "shop.example").await.summary;
    assert!(
        summary.contains("node-2, node-3 are behind or silent"),
        "{summary}"
    );
}

#[tokio::test]
async fn a_removal_checks_the_revision_and_tells_who_applied_it() {
    let stand = Stand::start().await;
    stand.three_voters();
    let mut admin = stand.admin().await;
    let shown = create(&mut admin, "shop.example").await;
    let remove = |revision| DeleteHostnameRequest {
        name: shown.name.clone(),
        revision,
    };
    let answer = admin
        .hostnames
        .delete_hostname(remove(shown.revision - 1))
        .await;
    assert_eq!(
        told(answer),
        "Aborted REVISION_MISMATCH subject=hostnames/shop.example"
    );
    let answer = admin
        .hostnames
        .delete_hostname(remove(shown.revision))
        .await
        .unwrap();
    let answer = answer.into_inner();
    assert_eq!(answer.index, stand.alone.state().index().0);
    let current: Vec<bool> = answer.serving.iter().map(|node| node.current).collect();
    assert_eq!(current, [true, true, false], "node 3 is behind");
    assert_eq!(stand.alone.state().hostname_count(), 0);
}

/// All names, page by page.
async fn walk(clients: &mut Clients, page_size: i32, state: HostnameState) -> Vec<String> {
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let state = state.into();
        let request = ListHostnamesRequest {
            page_size,
            page_token,
            state,
            ..Default::default()
        };
        let page = clients
            .hostnames
            .list_hostnames(request)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(page.total_size, 25);
        let most = usize::try_from(page_size).unwrap();
        assert!(page.hostnames.len() <= most);
        names.extend(page.hostnames.into_iter().map(|hostname| hostname.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return names;
        }
    }
}

#[tokio::test]
async fn pages_hold_every_hostname_once_and_in_order() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    let mut expected = Vec::new();
    for number in 10..35 {
        stand.alone.authorize(&format!("shop-{number}.example"));
        expected.push(format!("hostnames/shop-{number}.example"));
    }
    for size in [1, 2, 7, 24, 25, 26, 1000] {
        let names = walk(&mut admin, size, HostnameState::Unspecified).await;
        assert_eq!(names, expected, "pages of {size}");
    }
    stand.alone.register(TERM, "thumbprint");
    stand.alone.prepare(TERM, "shop-11.example", key(), "a");
    stand.alone.prepare(TERM, "shop-34.example", key(), "b");
    for size in [1, 2, 3] {
        let names = walk(&mut admin, size, HostnameState::Issuing).await;
        assert_eq!(
            names,
            ["hostnames/shop-11.example", "hostnames/shop-34.example"]
        );
    }
    assert_eq!(
        walk(&mut admin, 5, HostnameState::Live).await,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn a_token_goes_on_where_it_was_while_names_come_and_go() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    for name in ["a.example", "b.example", "c.example", "d.example"] {
        stand.alone.authorize(name);
    }
    let request = ListHostnamesRequest {
        page_size: 2,
        ..Default::default()
    };
    let page = admin
        .hostnames
        .list_hostnames(request)
        .await
        .unwrap()
        .into_inner();
    let name = "hostnames/b.example".to_owned();
    let remove = DeleteHostnameRequest { name, revision: 0 };
    admin.hostnames.delete_hostname(remove).await.unwrap();
    stand.alone.authorize("aa.example");
    let request = ListHostnamesRequest {
        page_size: 2,
        page_token: page.next_page_token.clone(),
        ..Default::default()
    };
    let next = admin
        .hostnames
        .list_hostnames(request)
        .await
        .unwrap()
        .into_inner();
    let names: Vec<&str> = next.hostnames.iter().map(|h| h.name.as_str()).collect();
    assert_eq!(names, ["hostnames/c.example", "hostnames/d.example"]);
    let request = ListHostnamesRequest {
        page_token: page.next_page_token,
        state: HostnameState::Live.into(),
        ..Default::default()
    };
    let answer = admin.hostnames.list_hostnames(request).await;
    assert_eq!(
        told(answer),
        "InvalidArgument INVALID_ARGUMENT field=page_token"
    );
}
