//! Whole leaders at a CA that behaves as Boulder does, and that breaks on command, by the
//! CA's own ledger.

use std::time::Duration;

use devca::{Behaviour, Endpoint, Fault, Limit, Limits, Mishap, Spoil};
use futures_util::future::join_all;
use state::{Algorithms, FailureClass, KeyAlgorithm, LimitKind, State, Wants};

use crate::{
    development_ca::Site,
    terms::top_of_last,
    world::{failed, served},
};

const NAME: &str = "shop.example";

/// A cluster with a DNS zone at a Boulder; its hostname wants this.
async fn site(wants: Wants, edit: impl FnOnce(&mut Behaviour)) -> Site {
    let mut site = Site::start(|config| {
        config.behaviour = Behaviour::boulder();
        edit(&mut config.behaviour);
    })
    .await;
    site.world = site.world.with_zone();
    site.world.authorize(NAME, wants);
    site
}

fn wildcard() -> Wants {
    Wants {
        wildcard: true,
        ..Wants::default()
    }
}

#[track_caller]
fn check(site: &Site, orders: usize, what: &str) {
    let ledger = site.ca.ledger();
    let names = ["*.shop.example", NAME];
    let issued = ledger.certificates_for(&names).count();
    assert_eq!(issued, 1, "{what}: certificates");
    assert_eq!(ledger.orders.len(), orders, "{what}: orders");
    assert!(ledger.overlaps().is_empty(), "{what}: overlaps");
}

#[tokio::test]
async fn a_name_and_its_wildcard_are_proven_over_dns() {
    let site = site(wildcard(), |_| {}).await;
    let mut leader = site.lead();
    leader.until(served(NAME)).await;
    check(&site, 1, "in good weather");
}

/// What goes wrong once, at each request with an effect.
const MISHAPS: [Mishap; 6] = [
    Mishap::ResetBefore,
    Mishap::ResetAfter,
    Mishap::StatusAfter { status: 500 },
    Mishap::Truncate { bytes: 10 },
    Mishap::BadNonce,
    Mishap::Status {
        status: 503,
        html: true,
    },
];

#[tokio::test]
async fn whatever_goes_wrong_once_there_is_one_order_and_one_certificate() {
    let endpoints = [
        Endpoint::NewOrder,
        Endpoint::Authorization,
        Endpoint::Challenge,
        Endpoint::Finalize,
        Endpoint::Order,
        Endpoint::Certificate,
    ];
    let each = endpoints.iter().flat_map(|endpoint| {
        MISHAPS.map(|mishap| async move {
            let site = site(wildcard(), |_| {}).await;
            let fault = Fault::once(*endpoint, mishap.clone());
            site.ca.control().inject(fault);
            let mut leader = site.lead();
            leader.until(served(NAME)).await;
            check(&site, 1, &format!("{endpoint:?}: {mishap:?}"));
        })
    });
    join_all(each).await;
}

#[tokio::test]
async fn leaders_that_follow_each_other_finish_one_wildcard_order() {
    let site = site(wildcard(), |behaviour| {
        behaviour.validation_delay_millis = 300;
        behaviour.issue_delay_seconds = Some(1);
    })
    .await;
    for stage in ["admitted", "prepared", "ready-intent", "finalize-intent"] {
        let mut leader = site.lead();
        let reached = |state: &State| {
            let mut orders = state.orders();
            orders.any(|order| order.stage.as_str() == stage) || served(NAME)(state)
        };
        leader.until(reached).await;
    }
    let mut heir = site.lead();
    heir.until(served(NAME)).await;
    check(&site, 1, "after five leaders");
}

#[tokio::test]
async fn two_kinds_of_key_are_two_orders_that_are_never_mixed() {
    let both = Wants {
        algorithms: Algorithms::Both,
        ..Wants::default()
    };
    let site = site(both, |_| {}).await;
    let mut leader = site.lead();
    let served = |state: &State| {
        let record = state.hostname(NAME).unwrap();
        record.certificates().count() == 2 && record.order.is_none()
    };
    leader.until(served).await;
    let state = site.world.state();
    let record = state.hostname(NAME).unwrap();
    for algorithm in KeyAlgorithm::ALL {
        let id = record.certificate_of(algorithm).unwrap();
        assert_eq!(state.certificate(&id).unwrap().algorithm, algorithm);
    }
    let ledger = site.ca.ledger();
    assert_eq!((ledger.orders.len(), ledger.certificates.len()), (2, 2));
    assert!(ledger.overlaps().is_empty());
}

#[tokio::test]
async fn the_chain_that_is_preferred_is_the_one_that_is_installed() {
    let site = site(Wants::default(), |behaviour| behaviour.alternate_chains = 2).await;
    let wanted = "hostquorum development alternate root 2";
    site.world
        .set_ca(|settings| settings.preferred_chain = Some(wanted.to_owned()));
    let mut leader = site.lead();
    leader.until(served(NAME)).await;
    assert_eq!(top_of_last(&site.world), wanted);
    assert_eq!(site.ca.ledger().certificates.len(), 1);
}

#[tokio::test]
async fn a_profile_is_granted_and_one_that_is_ignored_is_a_failure() {
    let shortlived = || Wants {
        profile: Some("shortlived".to_owned()),
        ..Wants::default()
    };
    let granted = site(shortlived(), |_| {}).await;
    let mut leader = granted.lead();
    leader.until(served(NAME)).await;
    let profile = granted.ca.ledger().orders[0].profile.clone();
    assert_eq!(profile.as_deref(), Some("shortlived"));
    // 160 hours: half of them are left at its renewal.
    let state = granted.world.state();
    let id = state.hostname(NAME).unwrap().certificate.unwrap();
    let certificate = state.certificate(&id).unwrap();
    let into = certificate.renew_at.since(certificate.not_before);
    let life = certificate.not_after.since(certificate.not_before);
    assert!(into.abs_diff(life / 2) < Duration::from_secs(2), "{into:?}");

    let ignored = site(shortlived(), |behaviour| behaviour.ignore_profiles = true).await;
    let mut leader = ignored.lead();
    leader.until(failed(NAME)).await;
    let failure = ignored
        .world
        .state()
        .hostname(NAME)
        .unwrap()
        .failure
        .clone();
    let failure = failure.unwrap();
    assert_eq!(failure.class, FailureClass::Rejected);
    assert!(failure.reason.contains("shortlived"), "{}", failure.reason);
    assert!(ignored.ca.ledger().finalizations.is_empty());
}

#[tokio::test]
async fn a_certificate_that_is_not_what_was_ordered_is_never_installed() {
    for spoil in [Spoil::Names, Spoil::Key] {
        let site = site(wildcard(), |_| {}).await;
        let fault = Fault::once(Endpoint::Finalize, Mishap::Spoil(spoil));
        site.ca.control().inject(fault);
        let mut leader = site.lead();
        leader.until(failed(NAME)).await;
        let state = site.world.state();
        let failure = state.hostname(NAME).unwrap().failure.clone().unwrap();
        assert_eq!(failure.class, FailureClass::Unusable, "{spoil:?}");
        assert_eq!(state.certificates().count(), 0);
    }
}

/// The second of two hostnames meets a limit of one an hour; the bucket that is noted.
async fn limited(edit: impl FnOnce(&mut Limits, Limit)) -> (LimitKind, String) {
    let site = Site::start(|config| {
        let hourly = Limit {
            burst: 1,
            count: 1,
            period_millis: 3_600_000,
        };
        edit(&mut config.behaviour.limits, hourly);
    })
    .await;
    let (first, second) = ("a.client.example", "b.client.example");
    site.world.alone.authorize(first);
    let mut leader = site.lead();
    leader.until(served(first)).await;
    site.world.alone.authorize(second);
    leader.until(failed(second)).await;
    let state = site.world.state();
    let failure = state.hostname(second).unwrap().failure.clone().unwrap();
    assert_eq!(failure.class, FailureClass::RateLimited);
    let wait = failure.next_try.since(failure.at);
    let nearly = Duration::from_secs(3_590)..Duration::from_secs(3_610);
    assert!(nearly.contains(&wait), "{wait:?}");
    let mut blocked = state.buckets().filter(|(_, it)| it.blocked_until.is_some());
    let (key, bucket) = blocked.next().unwrap();
    assert_eq!(bucket.blocked_until, Some(failure.next_try));
    assert!(blocked.next().is_none());
    (key.kind, key.key.to_string())
}

#[tokio::test]
async fn a_limit_is_noted_with_the_moment_that_the_ca_names() {
    let orders = limited(|limits, hourly| limits.new_orders_per_account = Some(hourly));
    assert_eq!(orders.await, (LimitKind::Orders, String::new()));
    let domain = limited(|limits, hourly| limits.certificates_per_domain = Some(hourly));
    let expected = (LimitKind::Certificates, "client.example".to_owned());
    assert_eq!(domain.await, expected);
}
