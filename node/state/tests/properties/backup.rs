//! A cluster that takes over what another left has all of it, and nothing of who took part.

use bytes::Bytes;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use state::{
    AccountKey, BackupOf, Batch, CaName, Change, DataKey, ExternalAccount, Index, KeyAlgorithm,
    KeyPurpose, NodeId, Outcome, Refusal, Registration, Restoring, Sealed, State, Term, Timestamp,
    Traffic,
    backup::{Piece, PieceError, TakingOver},
    command::{Admit, Restore, Upload},
    sealed::SealContext,
    testing,
    traffic::{OriginIdentity, Switch},
};

use crate::history::{Entry, Store, command, live, plan};

const NOW: Timestamp = Timestamp(1_900_000_000_000);

/// The generation under which secrets are sealed anew.
const NEW: u32 = 999;

/// A piece with its bytes: true for a body.
type Whole = (bool, Vec<u8>, Vec<u8>);

fn done(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Done(_))
}

/// A backup of `state`.
fn left(state: &State, store: &Store) -> Vec<Whole> {
    let whole = |piece| match piece {
        Piece::Record { key, value } => (false, key, value),
        Piece::Body { key, at } => {
            let value = store.bodies.get(&at).expect("a body is there").clone();
            (true, key, value)
        }
    };
    state.backup().map(whole).collect()
}

/// The pieces with each secret sealed by `seal`.
fn resealed(
    pieces: &[Whole],
    seal: impl Fn(&Sealed) -> Result<Sealed, &'static str>,
) -> Result<Vec<Whole>, PieceError<&'static str>> {
    let mut taking = TakingOver::default();
    let each = pieces.iter().map(|(body, key, value)| {
        let value = if *body {
            taking.body(key, value, |_, sealed| seal(sealed))?
        } else {
            taking.record(key, value, |_, sealed| seal(sealed))?
        };
        Ok((*body, key.clone(), value))
    });
    each.collect()
}

/// Another cluster, and what it has on disk.
struct Heir {
    state: State,
    store: Store,
}

impl Heir {
    fn founded(of: BackupOf) -> Self {
        let mut heir = Self {
            state: State::default(),
            store: Store::default(),
        };
        let mut found = testing::found();
        found.cluster_id.0 = [5; 16];
        found.ca = None;
        found.backup = Some(of);
        // Every generation that a history comes to, and the new one.
        let keys = std::mem::take(&mut found.data_keys).into_iter();
        found.data_keys = keys
            .flat_map(|key| {
                (0..200).chain([NEW]).map(move |generation| DataKey {
                    generation,
                    ..key.clone()
                })
            })
            .collect();
        assert!(done(&heir.asks(Change::Found(Box::new(found)))));
        assert!(done(&heir.leads()));
        heir
    }

    fn leads(&mut self) -> Outcome {
        let change = Change::TakeOver { node: NodeId(1) };
        self.apply(Some(Term(7)), change)
    }

    fn asks(&mut self, change: Change) -> Outcome {
        self.apply(None, change)
    }

    fn apply(&mut self, duty: Option<Term>, change: Change) -> Outcome {
        let index = Index(self.state.index().0 + 1);
        let commands = vec![command(NOW, duty, change)];
        let (outcomes, changes) = self.state.apply(index, &Batch { commands });
        self.store.write(&changes);
        outcomes
            .into_iter()
            .next()
            .expect("one command, one outcome")
    }

    fn takes_over(&mut self, pieces: &[Whole]) {
        for some in pieces.chunks(7) {
            let mut part = Restore::default();
            for (body, key, value) in some {
                let pairs = if *body {
                    &mut part.bodies
                } else {
                    &mut part.records
                };
                pairs.push((Bytes::from(key.clone()), Bytes::from(value.clone())));
            }
            // What is sent again, after an answer that was lost, is the same.
            for _ in 0..2 {
                let outcome = self.asks(Change::Restore(Box::new(part.clone())));
                assert!(done(&outcome), "{outcome:?}");
            }
        }
    }

    fn finishes(&mut self, of: &State) -> Outcome {
        let count = |number: usize| u64::try_from(number).expect("a small number");
        self.asks(Change::FinishRestore {
            hostnames: count(of.hostname_count()),
            certificates: count(of.certificates().count()),
        })
    }

    fn progress(&self) -> Restoring {
        self.state
            .restored()
            .expect("it began with a backup")
            .progress
    }
}

/// The state after the last entry, and what is on disk with it.
fn end(entries: &[Entry]) -> (State, Store) {
    let mut store = Store::default();
    for entry in entries {
        store.write(&entry.changes);
    }
    let last = entries.last().expect("a history begins with one");
    (last.after.clone(), store)
}

fn same(sealed: &Sealed) -> Result<Sealed, &'static str> {
    Ok(sealed.clone())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn all_is_taken_over(plan in plan()) {
        let (old, disk) = end(&live(&plan));
        let pieces = left(&old, &disk);
        let mut heir = Heir::founded(old.backup_of(NOW).expect("it was formed"));
        heir.takes_over(&resealed(&pieces, same).expect("a backup is understood"));
        prop_assert!(done(&heir.finishes(&old)));
        prop_assert_eq!(left(&heir.state, &heir.store), pieces);
        prop_assert_eq!(heir.progress(), Restoring::Quarantined);
        for (name, record) in old.hostnames() {
            prop_assert_eq!(heir.state.delegation(name.as_str()), old.delegation(name.as_str()));
            prop_assert_eq!(
                heir.state.tenant_target(&record.tenant),
                old.tenant_target(&record.tenant)
            );
        }
        // Exactly the orders that were begun for the claim that holds can go on.
        for order in old.orders() {
            let goes_on = |state: &State| {
                let order = state.order(order.id).expect("it was taken over");
                let record = state.hostname(order.hostname.as_str());
                record.is_some_and(|record| record.claim == order.claim)
            };
            prop_assert_eq!(goes_on(&heir.state), goes_on(&old));
        }
        // Nobody came along.
        prop_assert_eq!(heir.state.members().count(), 1);
        prop_assert_eq!(heir.state.operators().count(), 1);
        prop_assert_eq!(heir.state.invitations().count(), 0);
        prop_assert_eq!(heir.state.removed().count(), 0);
    }

    #[test]
    fn no_secret_stays_sealed_for_the_cluster_that_left_it(plan in plan()) {
        let (old, disk) = end(&live(&plan));
        let pieces = left(&old, &disk);
        let seal = |sealed: &Sealed| {
            let mut sealed = sealed.clone();
            sealed.generation = NEW;
            Ok(sealed)
        };
        let new = resealed(&pieces, seal).expect("a backup is understood");
        let check = |sealed: &Sealed| {
            if sealed.generation == NEW { Ok(sealed.clone()) } else { Err("an old secret") }
        };
        prop_assert_eq!(resealed(&new, check), Ok(new.clone()));
        // Wherever a secret stands, its old sealing is gone.
        let mut heir = Heir::founded(old.backup_of(NOW).expect("it was formed"));
        heir.takes_over(&new);
        prop_assert!(done(&heir.finishes(&old)));
        prop_assert_eq!(resealed(&left(&heir.state, &heir.store), check), Ok(new));
    }
}

fn of() -> BackupOf {
    BackupOf {
        cluster: state::ClusterId([1; 16]),
        names: state::ClusterId([2; 16]),
        index: Index(40),
        taken_at: Timestamp(50),
    }
}

fn resume(cluster: Option<[u8; 16]>) -> Change {
    let cluster = cluster.map(state::ClusterId);
    Change::ResumeIssuance { cluster }
}

#[test]
fn nothing_else_is_changed_before_all_is_there() {
    let mut heir = Heir::founded(of());
    let authorize = testing::authorize("shop.example");
    let refused = Outcome::Refused(Refusal::Restoring);
    assert_eq!(heir.asks(authorize.clone()), refused);
    assert_eq!(heir.asks(resume(Some([5; 16]))), refused);
    assert!(heir.state.pause().is_some());
    assert!(done(&heir.finishes(&State::default())));
    assert!(done(&heir.asks(authorize)));
}

#[test]
fn nothing_is_issued_before_somebody_says_the_id() {
    let mut heir = Heir::founded(of());
    assert!(done(&heir.finishes(&State::default())));
    let refused = |refusal| Outcome::Refused(refusal);
    assert_eq!(heir.asks(resume(None)), refused(Refusal::Quarantined));
    let old = resume(Some([1; 16]));
    assert_eq!(heir.asks(old), refused(Refusal::OtherCluster));
    assert!(heir.state.pause().is_some());
    assert!(done(&heir.asks(resume(Some([5; 16])))));
    assert_eq!(heir.state.pause(), None);
    assert_eq!(heir.progress(), Restoring::Released);
    // From now on it is a cluster as any.
    let reason = "a drill".to_owned();
    assert!(done(&heir.asks(Change::PauseIssuance { reason })));
    assert!(done(&heir.asks(resume(None))));
}

#[test]
fn a_backup_that_is_not_whole_is_not_finished() {
    let mut heir = Heir::founded(of());
    let all = Change::FinishRestore {
        hostnames: 1,
        certificates: 0,
    };
    let Outcome::Refused(Refusal::Unfit(why)) = heir.asks(all) else {
        panic!("it was taken for whole");
    };
    assert!(why.contains("1 hostnames and 0 certificates"), "{why}");
    assert_eq!(heir.progress(), Restoring::Incomplete);
}

#[test]
fn a_part_that_is_not_understood_changes_nothing() {
    let mut heir = Heir::founded(of());
    let before: Vec<_> = heir.state.records().collect();
    let pair = |key: &'static [u8]| (Bytes::from_static(key), Bytes::from_static(b"\x01"));
    let parts = [
        // A member, a data key and the cluster itself are nothing to take over.
        Restore {
            records: vec![pair(b"\x05")],
            bodies: vec![],
        },
        Restore {
            records: vec![pair(b"\x09")],
            bodies: vec![],
        },
        Restore {
            records: vec![pair(b"\x01")],
            bodies: vec![],
        },
        Restore {
            records: vec![pair(b"")],
            bodies: vec![pair(b"e")],
        },
        Restore {
            records: vec![],
            bodies: vec![pair(b"x")],
        },
    ];
    for part in parts {
        let outcome = heir.asks(Change::Restore(Box::new(part.clone())));
        assert!(
            matches!(outcome, Outcome::Refused(Refusal::Unfit(_))),
            "{part:?}: {outcome:?}"
        );
    }
    let after: Vec<_> = heir.state.records().collect();
    assert_eq!(after, before);
    assert!(heir.store.bodies.is_empty());
}

#[test]
fn a_cluster_that_began_without_a_backup_takes_none() {
    let entries = live(&Vec::new());
    let (mut state, _) = end(&entries);
    let changes = [
        Change::Restore(Box::default()),
        Change::FinishRestore {
            hostnames: 0,
            certificates: 0,
        },
    ];
    for (change, index) in changes.into_iter().zip(1..) {
        let batch = Batch {
            commands: vec![command(NOW, None, change)],
        };
        let index = Index(state.index().0 + index);
        let (outcomes, _) = state.apply(index, &batch);
        assert!(matches!(
            &outcomes[..],
            [Outcome::Refused(Refusal::Unfit(_))]
        ));
    }
}

/// A secret under an old key that names itself.
fn old(purpose: KeyPurpose, what: &'static str) -> Sealed {
    Sealed {
        purpose,
        generation: 1,
        nonce: [3; 12],
        ciphertext: Bytes::from_static(what.as_bytes()),
    }
}

/// A cluster that has secrets wherever one can be.
pub(crate) fn with_all_secrets() -> (State, Store) {
    let (mut state, mut store) = (State::default(), Store::default());
    let other = || "other-ca".parse::<CaName>().expect("a CA");
    let shop = || testing::host("shop.example");
    let identity = |leaf: &'static str, key| {
        let identity = OriginIdentity {
            chain: vec![Bytes::from_static(leaf.as_bytes())],
            key: old(KeyPurpose::Serving, key),
        };
        Box::new(Traffic {
            origin_identity: Some(Switch::On(identity.into())),
            ..Traffic::default()
        })
    };
    let account = |what| AccountKey {
        sealed: old(KeyPurpose::Control, what),
        ..testing::account_key("thumbprint")
    };
    let mut found = testing::found();
    let first = found.ca.as_mut().expect("it begins with a CA");
    first.registration = Registration::Registered {
        key: account("old account key"),
        url: "https://ca.example/acct/1".to_owned(),
        rollover: false,
    };
    first.external_account = Some(ExternalAccount {
        key_id: "ours".to_owned(),
        hmac: old(KeyPurpose::Control, "old hmac"),
    });
    let upload = Upload {
        hostname: testing::host("brought.example"),
        wildcard: false,
        algorithm: KeyAlgorithm::Ecdsa,
        key: Some(old(KeyPurpose::Serving, "old uploaded key")),
        parts: testing::parts(
            Bytes::from_static(b"serial"),
            Bytes::from_static(b"leaf"),
            vec![Bytes::from_static(b"issuer")],
            testing::START,
        ),
        move_at: None,
        revision: None,
    };
    let admit = Admit {
        claim: Index(3),
        key: old(KeyPurpose::Serving, "old order key"),
        ..testing::admit("shop.example")
    };
    let by_operators = |change| (None, change);
    let by_the_leader = |change| (Some(Term(1)), change);
    let changes = [
        by_operators(Change::Found(Box::new(found))),
        by_the_leader(Change::TakeOver { node: NodeId(1) }),
        by_operators(testing::authorize("shop.example")),
        by_operators(testing::authorize("brought.example")),
        by_operators(Change::SetTraffic {
            hostname: None,
            traffic: identity("zone's", "old zone identity"),
            revision: None,
        }),
        by_operators(Change::SetTraffic {
            hostname: Some(shop()),
            traffic: identity("shop's", "old shop identity"),
            revision: None,
        }),
        by_operators(Change::CreateRequest {
            hostname: shop(),
            key: old(KeyPurpose::Serving, "old request key"),
            csr: Bytes::from_static(b"csr"),
        }),
        by_operators(Change::UploadCertificate(Box::new(upload))),
        by_the_leader(Change::AdmitOrder(Box::new(admit))),
        by_operators(Change::PutCa {
            name: other(),
            settings: Box::default(),
            revision: None,
        }),
        by_the_leader(Change::CommitAccountKey {
            ca: other(),
            key: account("old other key"),
        }),
        by_the_leader(Change::RegisterAccount {
            ca: other(),
            url: "https://other.example/acct/1".to_owned(),
        }),
        by_operators(Change::RollAccountKey { ca: other() }),
        by_the_leader(Change::CommitAccountKey {
            ca: other(),
            key: account("old next key"),
        }),
    ];
    for (duty, change) in changes {
        let index = Index(state.index().0 + 1);
        let commands = vec![command(testing::START, duty, change)];
        let (outcomes, changes) = state.apply(index, &Batch { commands });
        assert!(outcomes.iter().all(done), "{index}: {outcomes:?}");
        store.write(&changes);
    }
    (state, store)
}

#[test]
fn every_secret_is_sealed_anew_and_as_what_it_is() {
    let (state, store) = with_all_secrets();
    let mut contexts = Vec::new();
    let mut taking = TakingOver::default();
    let mut seal = |context: &SealContext, sealed: &Sealed| {
        let what = String::from_utf8_lossy(&sealed.ciphertext).into_owned();
        contexts.push(format!("{what}: {context:?}"));
        let ciphertext = Bytes::from_static(b"new");
        Ok::<_, &str>(Sealed {
            ciphertext,
            ..sealed.clone()
        })
    };
    for (body, key, value) in left(&state, &store) {
        let value = if body {
            taking.body(&key, &value, &mut seal)
        } else {
            taking.record(&key, &value, &mut seal)
        };
        let value = value.expect("a backup is understood");
        let text = String::from_utf8_lossy(&value);
        assert!(!text.contains("old "), "{text}");
    }
    contexts.sort();
    let identity = |leaf: &str| SealContext::OriginIdentity(Sha256::digest(leaf).into());
    let serving = |name| SealContext::CertificateKey(testing::host(name));
    let expected = [
        (
            "old account key",
            SealContext::AccountKey(testing::ca_name()),
        ),
        (
            "old hmac",
            SealContext::ExternalAccountKey(testing::ca_name()),
        ),
        (
            "old next key",
            SealContext::AccountKey("other-ca".parse().expect("a CA")),
        ),
        ("old order key", serving("shop.example")),
        (
            "old other key",
            SealContext::AccountKey("other-ca".parse().expect("a CA")),
        ),
        ("old request key", serving("shop.example")),
        ("old shop identity", identity("shop's")),
        ("old uploaded key", serving("brought.example")),
        ("old zone identity", identity("zone's")),
    ];
    let expected = expected.map(|(what, context)| format!("{what}: {context:?}"));
    assert_eq!(contexts, expected);
}
