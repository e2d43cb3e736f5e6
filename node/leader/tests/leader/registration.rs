//! The account's duty: whatever dies at whichever point, there is one account, and its key
//! is ours.

use std::{sync::Arc, time::Duration};

use data_encoding::BASE64URL_NOPAD;
use leader::status::Duty;
use state::{
    Actor, Ca, Change, ExternalAccount, KeyPurpose, Outcome, Registration, Sealed, State,
    ports::Seal,
    sealed::SealContext,
    testing::{MaskSeal, ca_name},
};

use crate::{
    doubles::Steady,
    registrar::{Registrar, Road},
    world::{Ended, Fate, Process, World},
};

/// Longer than anything that was sent can be under way.
const LONG: Duration = Duration::from_secs(30);

pub(crate) fn lead(world: &World, registrar: &Registrar, fate: Fate) -> Process {
    world.lead_on_road(fate, |doom| {
        Arc::new(Road {
            registrar: registrar.clone(),
            doom,
            lease: Arc::new(Steady(world.term.clone())),
            clock: world.clock.clone(),
        })
    })
}

fn ca(state: &State) -> &Ca {
    state.ca("test-ca").unwrap()
}

pub(crate) fn registered(state: &State) -> bool {
    ca(state).takes_orders()
}

fn bind(world: &World, registrar: &Registrar) {
    let hmac: &[u8] = b"an hmac key";
    registrar.books().bound_only = true;
    registrar.books().bindings.push(hmac.to_vec());
    let context = SealContext::ExternalAccountKey(ca_name());
    let hmac = MaskSeal.seal(KeyPurpose::Control, &context, hmac).unwrap();
    let change = Change::BindExternalAccount {
        ca: ca_name(),
        account: Some(ExternalAccount {
            key_id: "kid".to_owned(),
            hmac,
        }),
    };
    world.alone.apply(Actor::operator("ann"), None, change);
}

fn opened(sealed: &Sealed) -> Vec<u8> {
    let context = SealContext::AccountKey(ca_name());
    MaskSeal.open(sealed, &context).unwrap().expose().to_vec()
}

/// The CA has one account, and its key is the one that the state has.
#[track_caller]
fn check(world: &World, registrar: &Registrar, what: &str) {
    let state = world.state();
    let key = opened(&ca(&state).key().unwrap().sealed);
    assert_eq!(registrar.books().accounts, [key], "{what}");
    assert!(registered(&state), "{what}");
}

/// Leaders that die at each point in turn, until one lives through; each is followed by
/// one that lives. Tells how many points there were.
async fn at_every_point(
    fate: impl Fn(usize) -> Fate,
    begin: impl AsyncFn() -> (World, Registrar),
    done: impl Fn(&State) -> bool + Copy,
) -> usize {
    for point in 0.. {
        let (world, registrar) = begin().await;
        let mut process = lead(&world, &registrar, fate(point));
        let mut ended = process.until(done).await;
        if ended == Ended::Reached {
            ended = process.linger(Duration::from_millis(10)).await;
        }
        let mut heir = lead(&world, &registrar, Fate::Lives);
        drop(process);
        heir.until(done).await;
        heir.linger(LONG).await;
        check(&world, &registrar, &format!("died at {point}"));
        if ended == Ended::Reached {
            return point;
        }
    }
    unreachable!("there are finitely many points")
}

#[tokio::test(start_paused = true)]
async fn a_binding_good_for_one_use_is_enough_whatever_dies() {
    let begin = async || {
        let (world, registrar) = (World::new(), Registrar::default());
        bind(&world, &registrar);
        (world, registrar)
    };
    let points = at_every_point(Fate::Dies, begin, registered).await;
    assert!(points >= 8, "{points}");
    let late = Duration::from_millis(2_900);
    let sending = |point| Fate::DiesSending(point, late);
    at_every_point(sending, begin, registered).await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_to_be_changed_is_lost_by_no_death() {
    let begin = async || {
        let (world, registrar) = (World::new(), Registrar::default());
        let mut first = lead(&world, &registrar, Fate::Lives);
        first.until(registered).await;
        first.running.shutdown().await;
        let roll = Change::RollAccountKey { ca: ca_name() };
        world.alone.apply(Actor::operator("ann"), None, roll);
        (world, registrar)
    };
    let points = at_every_point(Fate::Dies, begin, registered).await;
    assert!(points >= 8, "{points}");
    for late in [0, 1_000, 2_900, 5_900].map(Duration::from_millis) {
        at_every_point(|point| Fate::DiesSending(point, late), begin, registered).await;
    }
    let (world, registrar) = begin().await;
    let before = registrar.books().accounts.clone();
    lead(&world, &registrar, Fate::Lives)
        .until(registered)
        .await;
    assert_ne!(registrar.books().accounts, before);
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_changes_no_key_leaves_the_one_there_is() {
    let (world, registrar) = (World::new(), Registrar::default());
    let mut leader = lead(&world, &registrar, Fate::Lives);
    leader.until(registered).await;
    let before = registrar.books().accounts.clone();
    registrar.books().stubborn = true;
    let roll = Change::RollAccountKey { ca: ca_name() };
    world.alone.apply(Actor::operator("ann"), None, roll);
    leader
        .until(|state| matches!(ca(state).registration, Registration::Rolling { .. }))
        .await;
    leader.until(registered).await;
    leader.linger(Duration::from_millis(10)).await;
    assert_eq!(registrar.books().accounts, before);
    check(&world, &registrar, "refused");
    let status = leader.running.status();
    let error = status.duties[&Duty::Account].error.clone();
    assert!(error.is_none_or(|error| error.contains("stays as it was")));
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_wants_a_binding_and_has_none_says_so() {
    let (world, registrar) = (World::new(), Registrar::default());
    registrar.books().bound_only = true;
    let mut leader = lead(&world, &registrar, Fate::Lives);
    leader.linger(Duration::from_secs(10)).await;
    let status = leader.running.status();
    let error = status.cas[&ca_name()].error.clone().unwrap();
    assert!(error.contains("bound to an external one"), "{error}");
    let told = status.duties[&Duty::Account].error.clone().unwrap();
    assert!(told.starts_with("test-ca: "), "{told}");
    // What an operator does about it works at once.
    bind(&world, &registrar);
    leader.until(registered).await;
    leader.linger(Duration::from_secs(1)).await;
    assert_eq!(leader.running.status().cas[&ca_name()].error, None);
}

#[tokio::test(start_paused = true)]
async fn contacts_are_told_when_they_change_and_by_each_new_leader() {
    let (world, registrar) = (World::new(), Registrar::default());
    let mut leader = lead(&world, &registrar, Fate::Lives);
    leader.until(registered).await;
    leader.linger(Duration::from_secs(5)).await;
    let first = vec!["mailto:ops@saas.example".to_owned()];
    assert_eq!(registrar.books().contacts, std::slice::from_ref(&first));
    let set = |contacts: Vec<String>| {
        let mut settings = ca(&world.state()).settings.clone();
        settings.contacts = contacts;
        let put = Change::PutCa {
            name: ca_name(),
            settings: Box::new(settings),
            revision: None,
        };
        let applied = world.alone.apply(Actor::operator("ann"), None, put);
        assert_eq!(applied.outcome, Outcome::DONE);
    };
    set(Vec::new());
    leader.linger(Duration::from_secs(5)).await;
    assert_eq!(registrar.books().contacts, [first.clone(), Vec::new()]);
    set(first.clone());
    leader.linger(Duration::from_secs(5)).await;
    leader.running.shutdown().await;
    lead(&world, &registrar, Fate::Lives)
        .linger(Duration::from_secs(5))
        .await;
    let told = registrar.books().contacts.clone();
    assert_eq!(told, [first.clone(), Vec::new(), first.clone(), first]);
}

#[tokio::test(start_paused = true)]
async fn each_ca_has_an_account_of_its_own_key() {
    let (world, registrar) = (World::new(), Registrar::default());
    let second: state::CaName = "second".parse().unwrap();
    let mut settings = ca(&world.state()).settings.clone();
    settings.rank = 7;
    let put = Change::PutCa {
        name: second,
        settings: Box::new(settings),
        revision: None,
    };
    world.alone.apply(Actor::operator("ann"), None, put);
    let mut leader = lead(&world, &registrar, Fate::Lives);
    leader
        .until(|state| state.cas().all(|ca| ca.takes_orders()))
        .await;
    assert_eq!(registrar.books().accounts.len(), 2);
    let state = world.state();
    let thumbprints: Vec<_> = state.cas().map(|ca| ca.thumbprint().unwrap()).collect();
    assert_ne!(thumbprints[0], thumbprints[1]);
    assert_eq!(
        BASE64URL_NOPAD
            .decode(thumbprints[0].as_bytes())
            .unwrap()
            .len(),
        32
    );
}
