//! The serving set between members at work.

use std::time::Duration;

use bytes::Bytes;
use cluster::serving::{HEARD_WITHIN, Health, challenge::NobodyTells};
use state::{
    Actor, ChallengeKind, Change, Done, Index, KeyPurpose, NodeId, OrderId, Outcome, Sealed, Term,
    ports::{NodeReport, ServingSet},
    testing::placed,
};
use tokio::time::{Instant, timeout};

use crate::support::{Cluster, Node, SOON, eventually};

fn report_of(node: &Node, id: u64) -> Option<NodeReport> {
    let reports = node.serving.reports();
    reports.into_iter().find(|report| report.node == NodeId(id))
}

async fn hears(node: &Node, id: u64) -> NodeReport {
    eventually("a report", || async move {
        report_of(node, id).filter(|report| report.published.is_some())
    })
    .await
}

#[tokio::test]
async fn members_hear_of_each_other() {
    let cluster = Cluster::form().await;
    let founder = cluster.start_founder();
    let (_machine, _, second) = cluster.add("second").await;
    let health = Health {
        faults: vec!["disk full".to_owned()],
        draining: true,
    };
    second.published.send_replace(Index(7));
    second.health.send_replace(health);
    let report = eventually("the report", || async {
        report_of(&founder, 2).filter(|report| report.draining)
    })
    .await;
    assert_eq!(report.published, Some(Index(7)));
    assert_eq!(report.faults, ["disk full"]);
    assert_eq!(
        (report.version.as_str(), report.clock_offset_ms),
        ("test", 0)
    );
    assert!(report.silent < HEARD_WITHIN);
    assert_eq!(report_of(&founder, 1).unwrap().silent, Duration::ZERO);
    assert_eq!(hears(&second, 1).await.published, Some(Index(0)));
}

#[tokio::test]
async fn a_barrier_wakes_as_soon_as_the_last_has_published() {
    let cluster = Cluster::form().await;
    let founder = cluster.start_founder();
    let (_machine, _, second) = cluster.add("second").await;
    hears(&founder, 2).await;
    let short = Duration::from_millis(50);
    let missing = founder.serving.published(Index(9), short).await;
    assert_eq!(missing, [NodeId(1), NodeId(2)]);
    founder.published.send_replace(Index(9));
    let missing = founder.serving.published(Index(9), short).await;
    assert_eq!(missing, [NodeId(2)]);

    // The best of some: a busy machine may be late, but not always.
    let mut best = SOON;
    for index in (10..20).map(Index) {
        founder.published.send_replace(index);
        let serving = founder.serving.clone();
        let waiting = tokio::spawn(async move { serving.published(index, SOON).await });
        let before = Instant::now();
        second.published.send_replace(index);
        assert_eq!(waiting.await.unwrap(), []);
        best = best.min(before.elapsed());
    }
    assert!(
        best < Duration::from_millis(100),
        "not by the next regular report: {best:?}"
    );
}

#[tokio::test]
async fn a_silent_member_is_waited_for_only_while_it_may_be_late() {
    let cluster = Cluster::form().await;
    let founder = cluster.start_founder();
    let (machine, identity, second) = cluster.add("second").await;
    hears(&founder, 2).await;
    founder.published.send_replace(Index(9));
    drop(second);
    let missing = timeout(SOON, founder.serving.published(Index(9), SOON)).await;
    assert_eq!(
        missing.unwrap(),
        [],
        "it was silent for too long and no longer counts"
    );
    let report = report_of(&founder, 2).unwrap();
    assert!(report.silent >= HEARD_WITHIN && report.published == Some(Index(0)));
    drop((machine, identity));
}

#[tokio::test]
async fn a_draining_member_is_not_waited_for() {
    let cluster = Cluster::form().await;
    let founder = cluster.start_founder();
    let (_machine, _, second) = cluster.add("second").await;
    hears(&founder, 2).await;
    founder.published.send_replace(Index(9));
    second.health.send_replace(Health {
        draining: true,
        ..Health::default()
    });
    let missing = timeout(SOON, founder.serving.published(Index(9), SOON)).await;
    assert_eq!(missing.unwrap(), []);
}

#[tokio::test]
async fn a_removed_member_leaves_the_set() {
    let cluster = Cluster::form().await;
    let founder = cluster.start_founder();
    let (_machine, _, _second) = cluster.add("second").await;
    hears(&founder, 2).await;
    cluster.remove(NodeId(2));
    assert_eq!(report_of(&founder, 2), None);
}

#[tokio::test]
async fn a_challenge_that_is_not_here_yet_is_found_at_the_leader() {
    let cluster = Cluster::form().await;
    let founder = cluster.start_founder();
    let (_machine, _, second) = cluster.add("second").await;
    prepare(&cluster, "shop.example", "token-1", ChallengeKind::Http01);
    prepare(
        &cluster,
        "by-tls.example",
        "token-3",
        ChallengeKind::TlsAlpn01,
    );
    let ask = |name: &'static str, token: &'static str| second.challenges.find(name, Some(token));
    let found = eventually("the answer", || async {
        ask("shop.example", "token-1").await.ok()
    });
    assert_eq!(found.await.as_deref(), Some("token-1.thumbprint"));
    assert_eq!(ask("shop.example", "token-2").await, Ok(None));
    assert_eq!(ask("other.example", "token-1").await, Ok(None));
    let by_tls = |name: &'static str| second.challenges.find(name, None);
    let known = Ok(Some("token-3.thumbprint".to_owned()));
    assert_eq!(by_tls("by-tls.example").await, known);
    assert_eq!(by_tls("shop.example").await, Ok(None));
    founder.stop();
    assert_eq!(ask("shop.example", "token-1").await, Err(NobodyTells));
}

/// Carries an order to a placed challenge.
fn prepare(cluster: &Cluster, name: &str, token: &str, kind: ChallengeKind) {
    let key = Sealed {
        purpose: KeyPurpose::Control,
        generation: 1,
        nonce: [0; 12],
        ciphertext: Bytes::new(),
    };
    let duty = |change| {
        cluster
            .replica
            .apply(Actor::leader(), Some(Term(1)), change)
            .outcome
    };
    let ca = cluster.replica.state().cas().next().unwrap().name.clone();
    duty(Change::CommitAccountKey {
        ca: ca.clone(),
        key: state::testing::account_key("thumbprint"),
    });
    duty(Change::RegisterAccount {
        ca: ca.clone(),
        url: "https://ca.example/account/1".to_owned(),
    });
    let authorize = state::testing::authorize(name);
    cluster
        .replica
        .apply(Actor::operator("test"), None, authorize);
    let admitted = duty(Change::AdmitOrder(Box::new(state::command::Admit {
        claim: cluster.replica.state().hostname(name).unwrap().claim,
        ca,
        key,
        ..state::testing::admit(name)
    })));
    let Outcome::Done(Done::Order(OrderId(order))) = admitted else {
        panic!("{admitted:?}");
    };
    let mut placed = placed(OrderId(order), token);
    for authorization in &mut placed.authorizations {
        authorization.challenge.as_mut().unwrap().kind = kind;
    }
    let order = OrderId(order);
    assert_eq!(duty(Change::PrepareOrder { order, placed }), Outcome::DONE);
}
