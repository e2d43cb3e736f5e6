//! Records, bodies and events, as they stand on disk.
//!
//! Records are frozen as a whole state: `records.bin`, pairs of key and value, each
//! led by its length in two bytes. `records.txt` says what is to be read from it; it
//! alone may be written anew, when a record has learnt something more.

use std::fmt::Write as _;

use bytes::Bytes;
use state::{
    Actor, Batch, Change, Command, Event, EventKind, Evidence, FailureClass, InvitationId, NodeId,
    OrderId, Registration, Role, Sealed, Stage, State, Term, Timestamp, bodies,
    codec::{self, DecodeError, record::kind},
    command::Newcomer,
    invitation::Became,
    testing::{self, host},
};

use crate::{changes, complete, frozen, none_lost, variants};

variants!(STAGES, stage_name, Stage, {
    Stage::Admitted => "admitted",
    Stage::Prepared(_) => "prepared",
    Stage::ReadyIntent(_) => "ready-intent",
    Stage::FinalizeIntent(_) => "finalize-intent",
});

variants!(REGISTRATIONS, registration_name, Registration, {
    Registration::None => "none",
    Registration::KeyCommitted { .. } => "key-committed",
    Registration::Registered { .. } => "registered",
});

variants!(BECAME, became_name, Became, {
    Became::Node(_) => "node",
    Became::Operator(_) => "operator",
});

variants!(EVENTS, event_name, EventKind, {
    EventKind::Authorized => "authorized",
    EventKind::OrderAdmitted => "order-admitted",
    EventKind::ChallengePrepared => "challenge-prepared",
    EventKind::ChallengeReady => "challenge-ready",
    EventKind::Finalizing => "finalizing",
    EventKind::CertificateInstalled => "certificate-installed",
    EventKind::OrderFailed => "order-failed",
});

/// One of each.
pub(crate) fn stages() -> Vec<Stage> {
    let placed = testing::placed(OrderId(1), "token");
    let stages = vec![
        Stage::Admitted,
        Stage::Prepared(placed.clone()),
        Stage::ReadyIntent(placed.clone()),
        Stage::FinalizeIntent(placed),
    ];
    complete(STAGES, stages.iter().map(stage_name));
    stages
}

#[test]
fn records_are_read_as_they_were_written() {
    let lived = lived();
    let bytes = frozen("records.bin", &joined(&lived));
    let records = split(&bytes);
    let mut loaded = State::default();
    for (key, value) in &records {
        loaded.load(key, value).unwrap();
    }
    assert!(
        loaded.records().eq(records.iter().cloned()),
        "a record is written otherwise now"
    );
    let text = told(&loaded);
    let expected = frozen("records.txt", text.as_bytes());
    assert_eq!(text, String::from_utf8(expected).unwrap());
    none_lost("records.", ["records.bin".into(), "records.txt".into()]);
}

#[test]
fn every_record_and_every_variant_within_has_a_sample() {
    let bytes = frozen("records.bin", &joined(&lived()));
    let records = split(&bytes);
    let unknown = Err(DecodeError::Unknown("record"));
    let known = |kind: &u8| State::default().load(&[*kind], &[]) != unknown;
    for kind in (0..=u8::MAX).filter(known) {
        let sampled = records.iter().any(|(key, _)| key[0] == kind);
        assert!(sampled, "no record of kind {kind:#x}");
    }
    let mut state = State::default();
    for (key, value) in &records {
        state.load(key, value).unwrap();
    }
    complete(STAGES, state.orders().map(|order| stage_name(&order.stage)));
    let became = state.invitations().filter_map(|invitation| {
        let redemption = invitation.redemption.as_ref();
        redemption.map(|redemption| became_name(&redemption.became))
    });
    complete(BECAME, became);
    assert!(state.invitations().any(|invitation| invitation.revoked));
    assert!(state.certificates().any(|certificate| certificate.kept));
    assert!(
        state
            .hostnames()
            .any(|(_, record)| record.failure.is_some())
    );
    assert!(state.members().any(|member| member.leaving));
    assert!(state.zone().origin.is_some());
}

/// The account changes its shape, but there is one only: the commands that found a
/// cluster carry each.
#[test]
fn accounts_are_read_as_they_were_written() {
    let key = sealed(state::KeyPurpose::Control);
    let thumbprint = "thumbprint".to_owned();
    let registrations = [
        Registration::None,
        Registration::KeyCommitted {
            key: key.clone(),
            thumbprint: thumbprint.clone(),
        },
        Registration::Registered {
            key,
            thumbprint,
            url: "https://ca.example/acct/1".to_owned(),
        },
    ];
    complete(REGISTRATIONS, registrations.iter().map(registration_name));
    let mut names = Vec::new();
    for registration in registrations {
        let name = format!("account.{}.bin", registration_name(&registration));
        let mut lived = Life::default();
        let found = changes::found(registration.clone(), None);
        lived.change(None, Change::Found(Box::new(found)));
        let record = lived
            .state
            .records()
            .find(|(key, _)| key[0] == kind::ACCOUNT);
        let (record_key, written) = record.unwrap();
        let bytes = frozen(&name, &written);
        assert_eq!(written, bytes, "{name} is written otherwise now");
        let mut loaded = State::default();
        loaded.load(&record_key, &bytes).unwrap();
        assert_eq!(loaded.account().unwrap().registration, registration);
        names.push(name);
    }
    none_lost("account.", names);
}

#[test]
fn bodies_are_read_as_they_were_written() {
    let (leaf, issuers) = (
        Bytes::from_static(b"leaf"),
        [Bytes::from_static(b"issuer"), Bytes::from_static(b"root")],
    );
    let key = sealed(state::KeyPurpose::Serving);
    let (own, chain) = (
        codec::certificate_own_to(&leaf, &key),
        codec::chain_to(&issuers),
    );
    let (frozen_own, frozen_chain) = (
        frozen("body.own.bin", &own),
        frozen("body.chain.bin", &chain),
    );
    assert_eq!(own, frozen_own, "a certificate is written otherwise now");
    assert_eq!(chain, frozen_chain, "a chain is written otherwise now");
    let body = codec::certificate_body(&frozen_own, &frozen_chain).unwrap();
    assert_eq!(body.chain, ["leaf", "issuer", "root"]);
    assert_eq!(body.sealed_key, key);
    none_lost("body.", ["body.own.bin".into(), "body.chain.bin".into()]);
}

#[test]
fn events_are_read_as_they_were_written() {
    complete(EVENTS, EventKind::ALL.iter().map(event_name));
    let mut names = Vec::new();
    for kind in EventKind::ALL {
        let event = Event {
            at: Timestamp(1_767_225_600_123),
            kind,
            detail: "order 1, attempt 2".to_owned(),
        };
        let name = format!("event.{}.bin", event_name(&kind));
        let written = codec::event_to(&event);
        let bytes = frozen(&name, &written);
        assert_eq!(written, bytes, "{name} is written otherwise now");
        assert_eq!(codec::event_from(&bytes), Ok(event));
        names.push(name);
    }
    none_lost("event.", names);
}

#[test]
fn keys_of_bodies_stay_where_they_are() {
    let text = format!(
        "{:?}\n{:?}\n{:?}\n",
        Bytes::from(bodies::certificate_key(&state::CertificateId([1; 32]))),
        Bytes::from(bodies::chain_key(&state::ChainId([2; 32]))),
        Bytes::from(bodies::event_key(&host("shop.example"), 258)),
    );
    let expected = frozen("keys.txt", text.as_bytes());
    assert_eq!(text, String::from_utf8(expected).unwrap());
    none_lost("keys.", ["keys.txt".into()]);
}

fn joined(state: &State) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in state.records().flat_map(|(key, value)| [key, value]) {
        let length = u16::try_from(part.len()).unwrap();
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&part);
    }
    bytes
}

fn split(mut bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut part = || {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (part, rest) = rest.split_at(u16::from_be_bytes(*length).into());
        bytes = rest;
        Some(part.to_vec())
    };
    std::iter::from_fn(|| Some((part()?, part()?))).collect()
}

/// What was read, field by field; secrets show nothing, their bytes are compared.
fn told(state: &State) -> String {
    let mut text = String::new();
    let mut tell = |value: &dyn std::fmt::Debug| writeln!(text, "{value:?}").unwrap();
    tell(&state.cluster_id());
    tell(&state.epoch());
    tell(state.authority().unwrap());
    tell(state.account().unwrap());
    tell(state.zone());
    state.members().for_each(|member| tell(member));
    state.removed().for_each(|removed| tell(removed));
    state.operators().for_each(|operator| tell(operator));
    for invitation in state.invitations() {
        tell(&invitation);
        tell(&(
            invitation.created_at,
            &invitation.created_by,
            invitation.expires_at,
        ));
        tell(&(
            invitation.revoked,
            Bytes::copy_from_slice(&invitation.verifier),
        ));
    }
    state.data_keys().for_each(|key| tell(key));
    state
        .certificates()
        .for_each(|certificate| tell(certificate));
    state.orders().for_each(|order| tell(order));
    state.hostnames().for_each(|hostname| tell(&hostname));
    text
}

fn sealed(purpose: state::KeyPurpose) -> Sealed {
    Sealed {
        purpose,
        generation: 7,
        nonce: *b"twelve bytes",
        ciphertext: Bytes::from_static(b"ciphertext and tag"),
    }
}

/// A state that met all that a record can be. Only its records were frozen: it may
/// live otherwise later on.
fn lived() -> State {
    let mut life = Life::default();
    let found = changes::found(Registration::None, None);
    life.change(None, Change::Found(Box::new(found)));
    life.change(Some(1), Change::TakeOver { node: NodeId(1) });
    let origin = "https://app.internal:8443".parse().unwrap();
    let revision = None;
    life.change(None, Change::SetOrigin { origin, revision });
    life.duty(Change::CommitAccountKey {
        key: sealed(state::KeyPurpose::Control),
        thumbprint: "thumbprint".to_owned(),
    });
    life.members();
    life.certificates();
    for (number, stage) in stages().iter().enumerate() {
        let order = life.admit(&format!("order-{number}.example"));
        life.carry(order, stage);
    }
    let failing = life.admit("failing.example");
    life.duty(Change::FailOrder {
        order: failing,
        evidence: Evidence::Invalid,
        class: FailureClass::Challenge,
        reason: "no answer from 192.0.2.1".to_owned(),
        next_try: Timestamp(1_000_000),
    });
    life.state
}

#[derive(Default)]
struct Life {
    state: State,
    index: u64,
}

impl Life {
    fn change(&mut self, duty: Option<u64>, change: Change) {
        self.index += 1;
        let name = change.name();
        let command = Command {
            at: Timestamp(1000 + self.index),
            actor: Actor::operator("alice"),
            duty: duty.map(Term),
            change,
        };
        let commands = vec![command];
        let (outcomes, _) = self.state.apply(self.index.into(), &Batch { commands });
        let done = outcomes[0].clone().into_result();
        done.unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
    }

    fn duty(&mut self, change: Change) {
        self.change(Some(1), change);
    }

    fn invite(&mut self, role: Role) -> InvitationId {
        self.change(
            None,
            Change::CreateInvitation {
                role,
                verifier: [9; 32],
                expires_at: Timestamp(900_000),
            },
        );
        self.state.invitations().last().unwrap().id
    }

    fn members(&mut self) {
        for machine in [2, 3] {
            let invitation = self.invite(Role::Node);
            let newcomer: Newcomer = testing::newcomer(machine);
            self.change(
                None,
                Change::AdmitNode {
                    invitation,
                    newcomer,
                },
            );
            self.change(
                None,
                Change::RemoveNode {
                    node: NodeId(machine.into()),
                },
            );
        }
        self.duty(Change::FinishRemoval { node: NodeId(2) });
        let invitation = self.invite(Role::Viewer);
        let public_key = Bytes::from_static(b"bob's key");
        let name = "bob".to_owned();
        self.change(
            None,
            Change::AdmitOperator {
                invitation,
                name,
                public_key,
            },
        );
        let id = self.invite(Role::Admin);
        self.change(None, Change::RevokeInvitation { id });
        self.invite(Role::Admin);
    }

    /// One live, one replaced, one kept.
    fn certificates(&mut self) {
        for name in ["live.example", "kept.example"] {
            let order = self.admit(name);
            self.issue(order, name);
        }
        let claim = self.state.hostname("live.example").unwrap().claim;
        self.index += 10_000_000_000;
        let order = self.order("live.example", claim);
        self.issue(order, "renewed");
        let hostname = host("kept.example");
        let revision = None;
        self.change(None, Change::RemoveHostname { hostname, revision });
    }

    fn admit(&mut self, name: &str) -> OrderId {
        let hostname = host(name);
        self.change(None, Change::AuthorizeHostname { hostname });
        let claim = self.state.hostname(name).unwrap().claim;
        self.order(name, claim)
    }

    fn order(&mut self, name: &str, claim: state::Index) -> OrderId {
        self.duty(Change::AdmitOrder {
            hostname: host(name),
            claim,
            key: sealed(state::KeyPurpose::Serving),
            csr: Bytes::from_static(b"csr"),
        });
        self.state.orders().last().unwrap().id
    }

    /// From admitted on to `stage`.
    fn carry(&mut self, order: OrderId, stage: &Stage) {
        let mut placed = testing::placed(order, "token");
        placed.expires = Some(Timestamp(800_000));
        let way = [
            Change::PrepareOrder { order, placed },
            Change::IntendReady { order },
            Change::IntendFinalize { order },
        ];
        let steps = STAGES
            .iter()
            .position(|name| *name == stage_name(stage))
            .unwrap();
        for change in way.into_iter().take(steps) {
            self.duty(change);
        }
    }

    fn issue(&mut self, order: OrderId, leaf: &str) {
        let last = stages().pop().unwrap();
        self.carry(order, &last);
        let leaf = Bytes::copy_from_slice(leaf.as_bytes());
        let chain = vec![Bytes::from_static(b"issuer")];
        let now = Timestamp(1000 + self.index);
        let install = testing::install(order, leaf, chain, now);
        self.duty(Change::InstallCertificate(Box::new(install)));
    }
}
