//! Data keys are replaced: everything is sealed anew, whoever leads meanwhile.

use std::time::Duration;

use bytes::Bytes;
use state::{
    CertificateBody, Change, Holder, HpkeSealed, KeyPurpose, NodeId, State, Term, Wants,
    ports::{Bodies as _, Seal as _},
    sealed::SealContext,
    testing::{ca_name, host},
};

use crate::world::{Ended, Fate, World, served};

const NAME: &str = "shop.example";

/// A cluster with an account and a certificate, whose data keys have just been replaced.
async fn rotated() -> World {
    let world = World::new();
    world.authorize(NAME, Wants::default());
    let mut leader = world.lead(Fate::Lives);
    leader.until(served(NAME)).await;
    for purpose in KeyPurpose::ALL {
        rotate(&world, leader.term, purpose);
    }
    leader.running.shutdown().await;
    world
}

fn rotate(world: &World, term: Term, purpose: KeyPurpose) {
    let copy = HpkeSealed {
        encapsulated: Bytes::from_static(b"e"),
        ciphertext: Bytes::from_static(b"c"),
    };
    let newest = world.state().current_data_key(purpose).unwrap().generation;
    world.alone.duty(
        term,
        Change::RotateDataKey {
            purpose,
            generation: newest + 1,
            sealed_for: vec![(NodeId(1), copy)],
        },
    );
}

fn settled(state: &State) -> bool {
    state.retired_data_keys().is_empty()
}

/// The certificate's body and our account's key, as they open.
fn secrets(world: &World) -> (CertificateBody, Vec<Vec<u8>>) {
    let state = world.state();
    let id = state.hostname(NAME).unwrap().certificate.unwrap();
    let certificate = state.certificate(&id).unwrap();
    let body = world.alone.certificate(certificate).unwrap().unwrap();
    assert_eq!(certificate.sealed_under, body.sealed_key.generation);
    let context = SealContext::CertificateKey(host(NAME));
    let mut opened = vec![world.alone.open(&body.sealed_key, &context).unwrap()];
    for (context, sealed) in state.secrets_of(&Holder::Ca(ca_name())) {
        opened.push(world.alone.open(&sealed, &context).unwrap());
    }
    let opened = opened.iter().map(|secret| secret.expose().to_vec());
    (body, opened.collect())
}

#[tokio::test(start_paused = true)]
async fn everything_comes_under_the_new_keys_whenever_a_leader_dies() {
    let deaths = 0..;
    for at in deaths {
        let world = rotated().await;
        let (body, before) = secrets(&world);
        assert!(before.len() >= 2, "a certificate's key and an account's");
        let mut leader = world.lead(Fate::Dies(at));
        let ended = leader.until(settled).await;
        if ended == Ended::Died {
            let mut next = world.lead(Fate::Lives);
            next.until(settled).await;
        }
        let (resealed, after) = secrets(&world);
        assert_eq!(
            (&after, &resealed.chain),
            (&before, &body.chain),
            "death {at}"
        );
        assert_eq!(resealed.sealed_key.generation, 2);
        let state = world.state();
        for purpose in KeyPurpose::ALL {
            assert_eq!(state.secrets_to_reseal(purpose), 0);
        }
        assert_eq!(world.ca.certificates(), 1, "nothing was ordered again");
        if ended == Ended::Reached {
            assert!(at > 8, "a leader has more than {at} points to die at");
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_key_stays_for_as_long_as_members_may_need_it() {
    let world = rotated().await;
    let leader = world.lead_with(Fate::Lives, |config| {
        config.data_key_overlap = Duration::from_secs(600);
    });
    leader.linger(Duration::from_secs(590)).await;
    let state = world.state();
    assert_eq!(state.retired_data_keys().len(), 2);
    assert_eq!(state.secrets_to_reseal(KeyPurpose::Serving), 0);
    leader.linger(Duration::from_secs(30)).await;
    assert!(settled(&world.state()));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_replaced_while_it_takes_over_is_left_too() {
    let world = rotated().await;
    let mut leader = world.lead(Fate::Lives);
    let sealed = |state: &State| state.secrets_to_reseal(KeyPurpose::Serving) == 0;
    leader.until(sealed).await;
    rotate(&world, leader.term, KeyPurpose::Serving);
    assert!(!sealed(&world.state()));
    leader.until(settled).await;
    let (body, _) = secrets(&world);
    assert_eq!(body.sealed_key.generation, 3);
}
