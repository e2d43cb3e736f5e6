//! On which terms the CA gives a certificate: profiles, replacements, chains; and when
//! another CA is asked.

use std::time::Duration;

use leader::Config;
use state::{Actor, Change, Evidence, FailureClass, State, Wants, testing::host};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{
    ca::{Asked, Effect, Script, problem},
    world::{Ended, Fate, Process, World, failed, served},
};

const NAME: &str = "shop.example";
const OLD: &str = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";

fn failure(world: &World) -> (FailureClass, String) {
    let state = world.state();
    let failure = state.hostname(NAME).unwrap().failure.clone().unwrap();
    (failure.class, failure.reason.to_string())
}

fn profiled(manner: Asked) -> World {
    let world = World::new();
    let wants = Wants {
        profile: Some("shortlived".to_owned()),
        ..Wants::default()
    };
    world.authorize(NAME, wants);
    world.ca.books().manners.profile = manner;
    world
}

#[tokio::test(start_paused = true)]
async fn a_profile_is_asked_for() {
    let world = profiled(Asked::Granted);
    let mut leader = world.lead(Fate::Lives);
    leader.until(served(NAME)).await;
    let profile = world.ca.books().orders[0].profile.clone();
    assert_eq!(profile.as_deref(), Some("shortlived"));
}

#[tokio::test(start_paused = true)]
async fn a_profile_that_is_unknown_or_ignored_is_never_done_without() {
    for (manner, words) in [
        (
            Asked::Refused,
            "the CA offers no profile `shortlived`; it offers: classic",
        ),
        (Asked::Ignored, "the CA ignored the profile `shortlived`"),
    ] {
        let world = profiled(manner);
        let mut leader = world.lead(Fate::Lives);
        leader.until(failed(NAME)).await;
        let (class, reason) = failure(&world);
        assert_eq!(class, FailureClass::Rejected);
        assert!(reason.starts_with(words), "{reason}");
        leader.linger(Duration::from_secs(30)).await;
        let books = world.ca.books();
        assert!(books.finalizations.is_empty());
        assert!(books.orders.iter().all(|order| order.told[0].is_none()));
    }
}

/// An order that is to replace a certificate.
fn replacing(manner: Asked) -> World {
    let world = World::new();
    world.alone.authorize(NAME);
    world.ca.books().manners.replaces = manner;
    world.admit_as_left(NAME, |admit| admit.replaces = Some(OLD.to_owned()));
    world
}

#[tokio::test(start_paused = true)]
async fn a_replacement_is_asked_for_as_one() {
    let world = replacing(Asked::Granted);
    let mut leader = world.lead(Fate::Lives);
    leader.until(served(NAME)).await;
    let replaces = world.ca.books().orders[0].replaces.clone();
    assert_eq!(replaces.as_deref(), Some(OLD));
    assert_eq!(world.ca.certificates(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_replacement_that_is_refused_or_ignored_is_had_without() {
    for manner in [Asked::Refused, Asked::Ignored] {
        let world = replacing(manner);
        let begun = world.clock.boottime();
        let mut leader = world.lead(Fate::Lives);
        leader.until(served(NAME)).await;
        assert_eq!(world.ca.certificates(), 1, "{manner:?}");
        assert_eq!(world.ca.books().orders.len(), 1, "{manner:?}");
        let record = world.state().hostname(NAME).unwrap().clone();
        assert_eq!(record.failure, None);
        let took = world.clock.boottime() - begun;
        assert!(took < Duration::from_secs(5), "no back-off: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_leads_next_finds_out_again_that_nothing_is_replaced() {
    for manner in [Asked::Refused, Asked::Ignored] {
        let (mut point, mut deaths) = (0, 1);
        while deaths == 1 {
            let world = replacing(manner);
            world.ca.books().manners.order_reuse = true;
            let mut old = world.lead(Fate::Dies(point));
            let mut ended = old.until(served(NAME)).await;
            if ended == Ended::Reached {
                ended = old.linger(Duration::from_millis(10)).await;
            }
            deaths = usize::from(ended == Ended::Died);
            let mut heir = world.lead(Fate::Lives);
            heir.until(served(NAME)).await;
            heir.linger(Duration::from_secs(60)).await;
            assert_eq!(world.ca.certificates(), 1, "{manner:?}, died at {point}");
            // The pending order that the CA has is given again.
            assert_eq!(world.ca.books().orders.len(), 1, "{manner:?} {point}");
            point += 1;
        }
        assert!(point > 15, "only {point} points were passed");
    }
}

/// Two hostnames get their certificates one after the other; of the second, the common
/// name above its chain's top is told.
async fn top_of_chain(edit: impl FnOnce(&World)) -> String {
    let world = World::new();
    world.ca.books().manners.alternates = vec!["Old Root", "New Root"];
    world.alone.authorize("first.example");
    let mut leader = world.lead(Fate::Lives);
    leader.until(served("first.example")).await;
    edit(&world);
    world.alone.authorize(NAME);
    leader.until(served(NAME)).await;
    top_of_last(&world)
}

/// The common name above the top of the chain that was installed last.
pub(crate) fn top_of_last(world: &World) -> String {
    let log = world.alone.log();
    let chain = log.iter().rev().find_map(|command| match &command.change {
        Change::InstallCertificate(install) => install.parts.chain.last().cloned(),
        _ => None,
    });
    let chain = chain.unwrap();
    let (_, top) = X509Certificate::from_der(&chain).unwrap();
    let name = top.issuer().iter_common_name().next().unwrap();
    name.as_str().unwrap().to_owned()
}

fn prefer(world: &World, chain: &str) {
    world.set_ca(|settings| settings.preferred_chain = Some(chain.to_owned()));
}

#[tokio::test(start_paused = true)]
async fn the_chain_that_is_preferred_is_installed_if_the_ca_has_it() {
    assert_eq!(top_of_chain(|_| {}).await, "Fake 1");
    assert_eq!(
        top_of_chain(|world| prefer(world, "New Root")).await,
        "New Root"
    );
    assert_eq!(
        top_of_chain(|world| prefer(world, "Fake 1")).await,
        "Fake 1"
    );
    assert_eq!(
        top_of_chain(|world| prefer(world, "No Root")).await,
        "Fake 1"
    );
}

#[tokio::test(start_paused = true)]
async fn an_alternate_chain_of_another_leaf_is_refused() {
    let top = top_of_chain(|world| {
        prefer(world, "New Root");
        world.ca.books().manners.alternates_foreign = true;
    });
    assert_eq!(top.await, "Fake 1");
}

/// A first CA that goes down once an order is at that stage, and a second that is well.
async fn out_at(stage: &str) -> (World, Process) {
    let world = World::new();
    world.add_second();
    world.alone.authorize(NAME);
    world.ca.books().manners.validation = Duration::from_secs(600);
    world.ca.books().manners.window = Duration::from_secs(600);
    let soon = |config: &mut Config| {
        config.fallback_after = Duration::from_secs(900);
        config.tick = Duration::from_secs(5);
    };
    if stage == "finalize-intent" {
        world.ca.books().manners.validation = Duration::ZERO;
    }
    // So that whoever looks can see it at its first stage.
    world.ca.script(Effect::NewOrder, Script::Unsent);
    let mut leader = world.lead_with(Fate::Lives, soon);
    let reached = |state: &State| state.orders().any(|order| order.stage.as_str() == stage);
    leader.until(reached).await;
    while stage == "finalize-intent" && world.ca.books().finalizations.is_empty() {
        leader.linger(Duration::from_millis(10)).await;
    }
    world.ca.books().down = true;
    (world, leader)
}

fn superseded(world: &World) -> bool {
    let log = world.alone.log();
    log.iter().any(|command| {
        matches!(
            command.change,
            Change::FailOrder {
                evidence: Evidence::Superseded,
                ..
            }
        )
    })
}

#[tokio::test(start_paused = true)]
async fn an_order_whose_ca_is_out_for_long_gives_way_to_another_ca() {
    for stage in ["admitted", "prepared", "ready-intent"] {
        let (world, leader) = out_at(stage).await;
        leader.linger(Duration::from_secs(800)).await;
        assert!(!superseded(&world), "{stage}: too early");
        leader.linger(Duration::from_secs(400)).await;
        assert!(superseded(&world), "{stage}");
        let failure = world.state().hostname(NAME).unwrap().failure.clone();
        assert_eq!(failure, None, "{stage}: it is no failure of the hostname's");
        assert_eq!(world.ca.certificates(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_may_be_finalized_is_never_given_to_another_ca() {
    let (world, mut leader) = out_at("finalize-intent").await;
    leader.linger(Duration::from_secs(5 * 3_600)).await;
    assert!(!superseded(&world));
    assert_eq!(world.state().order_count(), 1);
    world.ca.books().down = false;
    leader.until(served(NAME)).await;
    world.check_one_certificate(NAME, "after a long outage");
    assert_eq!(world.second.certificates(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_ca_says_of_one_hostname_sends_nobody_elsewhere() {
    let world = World::new();
    world.add_second();
    world.alone.authorize(NAME);
    world.ca.books().manners.unconvinced = Some("404");
    let slow = |config: &mut Config| config.tick = Duration::from_secs(60);
    let leader = world.lead_with(Fate::Lives, slow);
    leader.linger(Duration::from_secs(3 * 86_400)).await;
    assert!(!superseded(&world));
    assert!(world.second.books().orders.is_empty());
    assert!(leader.running.status().pause.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_order_in_processing_for_hours_is_waited_for_while_another_is_served() {
    let world = World::new();
    world.alone.authorize(NAME);
    let slow = |config: &mut Config| config.tick = Duration::from_secs(600);
    let mut leader = world.lead_with(Fate::Lives, slow);
    leader.until(served(NAME)).await;
    world.ca.books().manners.issuing = Some(Duration::from_secs(5 * 3_600));
    let renewing = |state: &State| state.order_count() == 1;
    leader.linger(Duration::from_secs(59 * 86_400)).await;
    leader.until(renewing).await;
    leader.linger(Duration::from_secs(4 * 3_600)).await;
    assert!(renewing(&world.state()), "it has hours");
    leader.until(served(NAME)).await;
    assert_eq!(world.ca.certificates(), 2);
    assert_eq!(leader.running.metrics().possible_duplicates, 0);
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_asks_to_wait_between_looks_is_obeyed() {
    let world = World::new();
    world.alone.authorize(NAME);
    world.ca.books().manners.retry_after = Some(Duration::from_secs(300));
    world.ca.books().manners.issuing = Some(Duration::from_secs(1_500));
    let mut leader = world.lead(Fate::Lives);
    leader.until(served(NAME)).await;
    let asked = world.ca.books().requests;
    assert!(asked < 30, "{asked} requests in half an hour");
    world.check_one_certificate(NAME, "slowly");
}

#[tokio::test(start_paused = true)]
async fn a_hostname_that_changes_hands_takes_its_order_along_only_if_that_may_be_issued() {
    for (stage, kept) in [
        ("admitted", 0),
        ("prepared", 0),
        ("ready-intent", 0),
        ("finalize-intent", 1),
    ] {
        let world = World::new();
        world.alone.authorize(NAME);
        world.ca.books().manners.validation = Duration::from_secs(30);
        world.ca.script(Effect::NewOrder, Script::Unsent);
        let mut leader = world.lead(Fate::Lives);
        let reached = |state: &State| state.orders().any(|order| order.stage.as_str() == stage);
        leader.until(reached).await;
        while kept == 1 && world.ca.books().finalizations.is_empty() {
            leader.linger(Duration::from_millis(10)).await;
        }
        let remove = Change::RemoveHostname {
            hostname: host(NAME),
            revision: None,
        };
        world.alone.apply(Actor::operator("ann"), None, remove);
        leader.until(|state| state.order_count() == 0).await;
        leader.linger(Duration::from_secs(60)).await;
        assert_eq!(world.ca.certificates(), kept, "{stage}");
        assert_eq!(world.state().certificates().count(), kept, "{stage}: kept");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_finalize_is_told_in_the_words_of_the_ca() {
    let world = World::new();
    world.alone.authorize(NAME);
    let caa = problem("caa", "CAA record for shop.example prevents issuance");
    world.ca.script(Effect::Finalize, Script::Refuse(caa));
    let mut leader = world.lead(Fate::Lives);
    leader.until(failed(NAME)).await;
    let (class, reason) = failure(&world);
    assert_eq!(class, FailureClass::Rejected);
    assert!(reason.starts_with("caa: CAA record"), "{reason}");
}
