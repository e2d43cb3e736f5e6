//! What a new leader does with what it finds, and what an old one no longer can.

use std::{sync::Arc, time::Duration};

use state::{Actor, Change, Stage, State, Term};

use crate::{
    ca::Effect,
    doubles::Blind,
    world::{Ended, Fate, Process, World, served},
};

const NAME: &str = "shop.example";

fn finalizing(state: &State) -> bool {
    let mut orders = state.orders();
    orders.any(|order| matches!(order.stage, Stage::FinalizeIntent(_)))
}

/// A leader that dies with its finalize intended and not sent.
async fn intended_and_dead(world: &World) {
    world.alone.authorize(NAME);
    let mut old = world.lead(Fate::DiesBefore(Effect::Finalize));
    assert_eq!(old.until(served(NAME)).await, Ended::Died);
    assert!(finalizing(&world.state()));
}

async fn wait_of_the_heir(finalize_atomic: bool) -> Duration {
    let world = World::new();
    let settings = state::CaSettings {
        finalize_atomic,
        ..state::testing::found().ca.unwrap().settings
    };
    let change = Change::PutCa {
        name: state::testing::ca_name(),
        settings: Box::new(settings),
        revision: None,
    };
    world.alone.apply(Actor::operator("test"), None, change);
    intended_and_dead(&world).await;
    let taken = world.clock.boottime();
    let mut heir = world.lead_with(Fate::Lives, |_| {});
    heir.until(served(NAME)).await;
    world.check_one_certificate(NAME, "after the wait");
    let books = world.ca.books();
    let (by, at, taken_by_ca) = books.finalizations[0];
    assert_eq!(
        (by, taken_by_ca, books.finalizations.len()),
        (heir.term, true, 1)
    );
    at - taken
}

#[tokio::test(start_paused = true)]
async fn an_order_that_may_be_finalized_waits_eight_seconds_after_the_takeover() {
    let wait = wait_of_the_heir(false).await;
    assert!(wait >= Duration::from_secs(8), "{wait:?}");
    assert!(wait < Duration::from_secs(10), "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn a_ca_whose_finalize_is_atomic_is_asked_at_once() {
    let wait = wait_of_the_heir(true).await;
    assert!(wait < Duration::from_secs(1), "{wait:?}");
}

/// A leader that learns of its intent to finalize only 20 s later, when another leads.
async fn slow_leader(world: &World, lease: Option<Arc<Blind>>) -> Process {
    world.alone.authorize(NAME);
    let fate = Fate::Slow(Duration::from_secs(20));
    let mut old = match lease {
        Some(blind) => world.lead_under(fate, blind, |_| {}),
        None => world.lead(fate),
    };
    old.until(finalizing).await;
    old
}

async fn nothing_from(old: Process, world: &World) {
    let mut heir = world.lead(Fate::Lives);
    heir.until(served(NAME)).await;
    old.linger(Duration::from_secs(120)).await;
    world.check_one_certificate(NAME, "beside a leader of old");
    let books = world.ca.books();
    let senders: Vec<Term> = books.finalizations.iter().map(|(by, ..)| *by).collect();
    assert_eq!(
        senders,
        [heir.term],
        "the old leader of {} sent nothing",
        old.term
    );
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_learns_of_its_commit_too_late_sends_nothing() {
    let world = World::new();
    let old = slow_leader(&world, None).await;
    nothing_from(old, &world).await;
}

#[tokio::test(start_paused = true)]
async fn not_even_if_its_lease_has_noticed_nothing() {
    let world = World::new();
    let old = slow_leader(&world, Some(Arc::new(Blind))).await;
    nothing_from(old, &world).await;
}

#[tokio::test(start_paused = true)]
async fn an_order_whose_hostname_was_withdrawn_is_given_up_after_the_wait() {
    let world = World::new();
    intended_and_dead(&world).await;
    let remove = Change::RemoveHostname {
        hostname: state::testing::host(NAME),
        revision: None,
    };
    world.alone.apply(Actor::operator("ann"), None, remove);
    assert_eq!(world.state().order_count(), 1, "it may have a certificate");
    let taken = world.clock.boottime();
    let mut heir = world.lead(Fate::Lives);
    heir.until(|state| state.order_count() == 0).await;
    assert!(world.clock.boottime() - taken >= Duration::from_secs(8));
    assert_eq!(world.ca.certificates(), 0);
    assert_eq!(world.ca.books().finalizations, []);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_was_issued_is_kept_for_a_withdrawn_hostname() {
    let world = World::new();
    world.alone.authorize(NAME);
    let mut old = world.lead(Fate::Lives);
    let sent = |world: &World| !world.ca.books().finalizations.is_empty();
    old.until(finalizing).await;
    while !sent(&world) {
        old.linger(Duration::from_millis(1)).await;
    }
    drop(old);
    let remove = Change::RemoveHostname {
        hostname: state::testing::host(NAME),
        revision: None,
    };
    world.alone.apply(Actor::operator("ann"), None, remove);
    let mut heir = world.lead(Fate::Lives);
    heir.until(|state| state.order_count() == 0).await;
    assert_eq!(world.ca.certificates(), 1);
    assert_eq!(
        world.state().certificates().count(),
        1,
        "it waits for its return"
    );
    world.alone.authorize(NAME);
    heir.until(served(NAME)).await;
    heir.linger(Duration::from_secs(60)).await;
    assert_eq!(world.ca.certificates(), 1, "adding again orders nothing");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_deposed_stops_and_shows_nothing() {
    let world = World::new();
    world.alone.authorize(NAME);
    let mut process = world.lead(Fate::Lives);
    process.until(|state| state.order_count() == 1).await;
    assert_eq!(process.running.status().term, Some(process.term));
    process.depose();
    process.linger(Duration::from_secs(1)).await;
    assert_eq!(process.running.status(), leader::status::Status::default());
    let before = world.ca.books().requests;
    process.linger(Duration::from_secs(60)).await;
    assert_eq!(world.ca.books().requests, before);
    process.running.shutdown().await;
}
