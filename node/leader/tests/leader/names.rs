//! What is ordered and how it is proven: names with their wildcards, each kind of
//! challenge, each kind of key.

use std::time::Duration;

use leader::issuance::authority::ChallengeKind;
use state::{Algorithms, Change, FailureClass, KeyAlgorithm, State, Wants};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{
    ca::{Effect, Script},
    world::{Fate, World, failed, served},
};

const NAME: &str = "shop.example";

fn wildcard() -> Wants {
    Wants {
        wildcard: true,
        ..Wants::default()
    }
}

fn by(kind: state::ChallengeKind) -> Wants {
    Wants {
        challenge: Some(kind),
        ..Wants::default()
    }
}

fn with(algorithms: Algorithms) -> Wants {
    Wants {
        algorithms,
        ..Wants::default()
    }
}

fn world(wants: Wants) -> World {
    let world = World::new().with_zone();
    world.authorize(NAME, wants);
    world
}

/// By what each name of the CA's nth order was proven.
fn proven_by(world: &World, order: usize) -> Vec<Option<ChallengeKind>> {
    let books = world.ca.books();
    let order = &books.orders[order];
    let told = order.told[..order.names().len()].iter();
    told.map(|told| told.as_ref().map(|(kind, ..)| kind.clone()))
        .collect()
}

fn count(world: &World, name: &str) -> usize {
    let log = world.alone.log();
    log.iter().filter(|it| it.change.name() == name).count()
}

#[tokio::test(start_paused = true)]
async fn a_name_and_its_wildcard_are_on_one_order_and_one_certificate() {
    let world = world(wildcard());
    let mut leader = world.lead(Fate::Lives);
    leader.until(served(NAME)).await;
    world.check_one_certificate(NAME, "with its wildcard");
    let books = world.ca.books();
    assert_eq!(books.orders[0].names(), [NAME, "*.shop.example"]);
    drop(books);
    let dns = Some(ChallengeKind::Dns01);
    assert_eq!(proven_by(&world, 0), [dns.clone(), dns]);
    let state = world.state();
    let id = state.hostname(NAME).unwrap().certificate.unwrap();
    assert!(state.certificate(&id).unwrap().wildcard);
    // Each challenge was told under a permission of its own.
    assert_eq!(count(&world, "intend-ready"), 2);
}

#[tokio::test(start_paused = true)]
async fn of_two_names_only_the_one_that_is_not_proven_is_told() {
    let world = world(wildcard());
    world.ca.books().manners.base_proven = true;
    let mut leader = world.lead(Fate::Lives);
    leader.until(served(NAME)).await;
    world.check_one_certificate(NAME, "half proven");
    assert_eq!(proven_by(&world, 0), [None, Some(ChallengeKind::Dns01)]);
    assert_eq!(count(&world, "intend-ready"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_wildcards_failure_names_what_was_not_proven() {
    let world = world(wildcard());
    world.ca.books().manners.base_proven = true;
    world.ca.books().manners.unconvinced = Some("no TXT record");
    let mut leader = world.lead(Fate::Lives);
    leader.until(failed(NAME)).await;
    let failure = world.state().hostname(NAME).unwrap().failure.clone();
    let failure = failure.unwrap();
    assert_eq!(failure.class, FailureClass::Challenge);
    let reason = "*.shop.example: unauthorized: no TXT record";
    assert_eq!(&*failure.reason, reason);
    world.ca.books().manners.unconvinced = None;
    leader.until(served(NAME)).await;
    world.check_one_certificate(NAME, "in the end");
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_lost_cost_a_wildcard_no_second_certificate() {
    for effect in [Effect::NewOrder, Effect::Ready, Effect::Finalize] {
        for times in 1..5 {
            for script in [Script::AnswerLost, Script::Unsent] {
                let world = world(wildcard());
                for _ in 0..times {
                    world.ca.script(effect, script.clone());
                }
                let mut leader = world.lead(Fate::Lives);
                leader.until(served(NAME)).await;
                leader.linger(Duration::from_secs(60)).await;
                let what = format!("{effect:?}: {script:?} {times} times");
                world.check_one_certificate(NAME, &what);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_the_ca_offers_of_what_can_be_answered_is_used() {
    use ChallengeKind::{Dns01, Http01, TlsAlpn01};
    for (offers, used) in [
        (vec![Dns01, TlsAlpn01, Http01], Http01),
        (vec![Dns01, TlsAlpn01], TlsAlpn01),
        (vec![Dns01], Dns01),
    ] {
        let world = world(Wants::default());
        world.ca.books().manners.offers = offers;
        let mut leader = world.lead(Fate::Lives);
        leader.until(served(NAME)).await;
        world.check_one_certificate(NAME, used.as_str());
        assert_eq!(proven_by(&world, 0), [Some(used)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_offers_nothing_that_can_be_answered_is_told_apart() {
    let world = World::new();
    world.alone.authorize(NAME);
    world.ca.books().manners.offers = vec![ChallengeKind::Dns01];
    let mut leader = world.lead(Fate::Lives);
    leader.until(failed(NAME)).await;
    let failure = world.state().hostname(NAME).unwrap().failure.clone();
    let failure = failure.unwrap();
    assert_eq!(failure.class, FailureClass::Rejected);
    assert_eq!(
        &*failure.reason,
        "the CA offers no challenge that can be answered here: it offers dns-01; possible \
         here: http-01, tls-alpn-01"
    );
}

#[tokio::test(start_paused = true)]
async fn what_one_challenge_did_not_prove_is_tried_by_the_next() {
    let world = world(Wants::default());
    world.ca.books().manners.blind_to = Some(ChallengeKind::Http01);
    let mut leader = world.lead(Fate::Lives);
    leader.until(failed(NAME)).await;
    leader.until(served(NAME)).await;
    world.check_one_certificate(NAME, "by another challenge");
    assert_eq!(proven_by(&world, 0), [Some(ChallengeKind::Http01)]);
    assert_eq!(proven_by(&world, 1), [Some(ChallengeKind::TlsAlpn01)]);
}

#[tokio::test(start_paused = true)]
async fn a_hostname_is_proven_by_the_challenge_that_it_wants() {
    let world = world(by(state::ChallengeKind::Dns01));
    let mut leader = world.lead(Fate::Lives);
    leader.until(served(NAME)).await;
    assert_eq!(proven_by(&world, 0), [Some(ChallengeKind::Dns01)]);
}

#[tokio::test(start_paused = true)]
async fn tls_is_not_chosen_while_a_member_is_silent() {
    let offers = vec![ChallengeKind::TlsAlpn01, ChallengeKind::Dns01];
    let silent = world(Wants::default());
    silent.ca.books().manners.offers = offers;
    silent.silence(true);
    let mut leader = silent.lead(Fate::Lives);
    leader.until(served(NAME)).await;
    assert_eq!(proven_by(&silent, 0), [Some(ChallengeKind::Dns01)]);
}

#[tokio::test(start_paused = true)]
async fn what_only_tls_can_prove_waits_for_the_silent_member_and_not_for_ever() {
    let world = world(by(state::ChallengeKind::TlsAlpn01));
    world.silence(true);
    let mut leader = world.lead(Fate::Lives);
    leader.until(failed(NAME)).await;
    let failure = world.state().hostname(NAME).unwrap().failure.clone();
    let failure = failure.unwrap();
    assert_eq!(failure.class, FailureClass::Preflight);
    assert!(failure.reason.contains("silent"), "{}", failure.reason);
    assert_eq!(proven_by(&world, 0), [None], "the CA was told of nothing");

    // It comes back in the middle of the next wait.
    leader.until(|state| state.order_count() == 1).await;
    leader.linger(Duration::from_secs(5)).await;
    assert_eq!(world.state().order_count(), 1);
    world.silence(false);
    leader.until(served(NAME)).await;
    world.check_one_certificate(NAME, "after the silence");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_falls_silent_before_the_ca_is_told_holds_tls_up() {
    let world = world(by(state::ChallengeKind::TlsAlpn01));
    let mut leader = world.lead(Fate::Dies(18));
    // It died after its order was prepared and before anything was told.
    let prepared = |state: &State| {
        let mut orders = state.orders();
        orders.any(|order| order.stage.as_str() == "prepared")
    };
    leader.until(prepared).await;
    leader.linger(Duration::from_secs(1)).await;
    assert_eq!(proven_by(&world, 0), [None]);
    world.silence(true);
    let mut heir = world.lead(Fate::Lives);
    heir.linger(Duration::from_secs(10)).await;
    assert_eq!(proven_by(&world, 0), [None], "held up");
    world.silence(false);
    heir.until(served(NAME)).await;
    world.check_one_certificate(NAME, "after the silence");
}

/// The kind of key of what is served as that.
fn key_of(world: &World, algorithm: KeyAlgorithm) -> String {
    let state = world.state();
    let record = state.hostname(NAME).unwrap();
    let id = record.certificate_of(algorithm).unwrap();
    let log = world.alone.log();
    let leaf = log.iter().find_map(|command| match &command.change {
        Change::InstallCertificate(install) if install.parts.id == id => {
            Some(install.parts.leaf.clone())
        }
        _ => None,
    });
    let leaf = leaf.unwrap();
    let (_, leaf) = X509Certificate::from_der(&leaf).unwrap();
    leaf.public_key().algorithm.algorithm.to_id_string()
}

#[tokio::test(start_paused = true)]
async fn two_kinds_of_key_are_ordered_strictly_one_after_the_other() {
    let world = world(with(Algorithms::Both));
    let mut leader = world.lead(Fate::Lives);
    let both = |state: &State| {
        let record = state.hostname(NAME).unwrap();
        record.certificates().count() == 2 && record.order.is_none()
    };
    leader.until(both).await;
    assert_eq!(key_of(&world, KeyAlgorithm::Ecdsa), "1.2.840.10045.2.1");
    assert_eq!(key_of(&world, KeyAlgorithm::Rsa), "1.2.840.113549.1.1.1");
    assert_eq!(world.ca.certificates(), 2);
    // As the CA saw it: the second newOrder came after the first finalize was through.
    let books = world.ca.books();
    let at = |effect| {
        let of = books.arrivals.iter().filter(move |(it, ..)| *it == effect);
        of.map(|(.., at)| *at).collect::<Vec<_>>()
    };
    let (orders, finalizations) = (at(Effect::NewOrder), at(Effect::Finalize));
    assert_eq!((orders.len(), finalizations.len()), (2, 2));
    let through = books.manners.window + books.manners.issuing.unwrap();
    assert!(orders[1] >= finalizations[0] + through);
}

#[tokio::test(start_paused = true)]
async fn an_rsa_key_is_made_where_it_is_wanted_and_nowhere_else() {
    let world = world(with(Algorithms::Rsa));
    let mut leader = world.lead(Fate::Lives);
    let rsa = |state: &State| {
        let record = state.hostname(NAME).unwrap();
        record.certificate_of(KeyAlgorithm::Rsa).is_some()
    };
    leader.until(rsa).await;
    assert_eq!(key_of(&world, KeyAlgorithm::Rsa), "1.2.840.113549.1.1.1");
    let state = world.state();
    assert!(state.hostname(NAME).unwrap().certificate.is_none());
    assert_eq!(world.ca.certificates(), 1);
}
