//! No secret is ever lost because the key that it is under was forgotten.

use bytes::Bytes;
use proptest::prelude::*;
use state::{
    Batch, Change, Holder, Index, KeyPurpose, NodeId, Outcome, Refusal, Sealed, State, Term,
    bodies, codec,
    command::{Reseal, ResealCertificate},
    testing,
};

use crate::{
    backup::with_all_secrets,
    history::{Store, command, live, plan},
};

/// All that `state` and its bodies have sealed.
fn all(state: &State, store: &Store) -> Vec<Sealed> {
    let cas = state.cas().map(|ca| Holder::Ca(ca.name.clone()));
    let orders = state.orders().map(|order| Holder::Order(order.id));
    let hostnames = state
        .hostnames()
        .map(|(name, _)| Holder::Hostname(name.clone()));
    let holders = [Holder::Authority, Holder::Zone].into_iter();
    let holders = holders.chain(cas).chain(orders).chain(hostnames);
    let secrets = holders.flat_map(|holder| state.secrets_of(&holder));
    let mut secrets: Vec<Sealed> = secrets.map(|(_, sealed)| sealed).collect();
    for certificate in state.certificates() {
        let body = &store.bodies[&bodies::certificate_key(certificate)];
        let (_, key) = codec::certificate_own_from(body).expect("a body");
        assert_eq!(key.generation, certificate.sealed_under);
        secrets.push(key);
    }
    secrets
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_secret_is_under_a_key_that_the_cluster_has(plan in plan()) {
        let mut store = Store::default();
        for entry in live(&plan) {
            store.write(&entry.changes);
            let state = &entry.after;
            for sealed in all(state, &store) {
                let mut keys = state.data_keys().map(|key| (key.purpose, key.generation));
                prop_assert!(keys.any(|key| key == (sealed.purpose, sealed.generation)));
            }
            // What is counted is what there is.
            for purpose in KeyPurpose::ALL {
                let newest = state.current_data_key(purpose).map_or(0, |key| key.generation);
                let old = all(state, &store).into_iter().filter(|sealed| {
                    sealed.purpose == purpose && sealed.generation < newest
                });
                prop_assert_eq!(state.secrets_to_reseal(purpose), old.count());
            }
        }
    }
}

/// A cluster, and what it has on disk.
struct Alone {
    state: State,
    store: Store,
}

impl Alone {
    fn apply(&mut self, change: Change) -> Outcome {
        let index = Index(self.state.index().0 + 1);
        let duty = change.is_duty().then_some(Term(1));
        let commands = vec![command(testing::START, duty, change)];
        let (mut outcomes, changes) = self.state.apply(index, &Batch { commands });
        self.store.write(&changes);
        outcomes.remove(0)
    }

    fn rotate(&mut self, purpose: KeyPurpose) {
        let copy = state::HpkeSealed {
            encapsulated: Bytes::from_static(b"e"),
            ciphertext: Bytes::from_static(b"c"),
        };
        let outcome = self.apply(Change::RotateDataKey {
            purpose,
            generation: 2,
            sealed_for: vec![(NodeId(1), copy)],
        });
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    }

    fn drop_first(&mut self, purpose: KeyPurpose) -> Outcome {
        let generation = 1;
        self.apply(Change::DropDataKey {
            purpose,
            generation,
        })
    }

    fn reseal_records(&mut self) {
        let holders: Vec<_> = self.state.holders_to_reseal().collect();
        for holder in holders {
            let secrets = self.state.secrets_of(&holder).into_iter().zip(0..);
            let secrets = secrets.map(|((_, old), number)| {
                let nonce = [number; 12];
                let generation = 2;
                (
                    old.digest(),
                    Sealed {
                        nonce,
                        generation,
                        ..old
                    },
                )
            });
            let secrets = secrets.collect();
            let reseal = Change::Reseal(Box::new(Reseal { holder, secrets }));
            let outcome = self.apply(reseal);
            assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
        }
    }

    fn reseal_certificates(&mut self) {
        let stale: Vec<_> = self.state.certificates_to_reseal().cloned().collect();
        for certificate in stale {
            let body = &self.store.bodies[&bodies::certificate_key(&certificate)];
            let (leaf, key) = codec::certificate_own_from(body).expect("a body");
            let key = Sealed {
                generation: 2,
                ..key
            };
            let id = certificate.id;
            let reseal = ResealCertificate { id, leaf, key };
            let outcome = self.apply(Change::ResealCertificate(Box::new(reseal)));
            assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
        }
    }
}

#[test]
fn a_key_goes_once_everything_was_sealed_anew_and_not_before() {
    let (state, store) = with_all_secrets();
    let mut alone = Alone { state, store };
    let before = all(&alone.state, &alone.store);
    let refused = |outcome: &Outcome| matches!(outcome, Outcome::Refused(Refusal::InUse(_)));
    for purpose in KeyPurpose::ALL {
        assert!(refused(&alone.drop_first(purpose)), "the only one");
        alone.rotate(purpose);
        assert!(refused(&alone.drop_first(purpose)), "{purpose}");
    }
    alone.reseal_records();
    assert!(refused(&alone.drop_first(KeyPurpose::Serving)), "a body");
    alone.reseal_certificates();
    for purpose in KeyPurpose::ALL {
        assert!(matches!(alone.drop_first(purpose), Outcome::Done(_)));
    }
    // Nothing is lost, and each is under the new key.
    let after = all(&alone.state, &alone.store);
    let ciphertexts = |secrets: &[Sealed]| {
        let of = |sealed: &Sealed| sealed.ciphertext.clone();
        secrets.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(ciphertexts(&before), ciphertexts(&after));
    assert!(after.iter().all(|sealed| sealed.generation == 2));
    assert_eq!(alone.state.retired_data_keys(), []);
    // What comes late under the old key is refused: nobody could open it again.
    let late = Change::CreateRequest {
        hostname: testing::host("shop.example"),
        key: Sealed {
            generation: 1,
            ..before[0].clone()
        },
        csr: Bytes::from_static(b"csr"),
    };
    let refused = alone.apply(late);
    assert_eq!(
        refused,
        Outcome::Refused(Refusal::NotFound(state::outcome::Kind::DataKey))
    );
}
