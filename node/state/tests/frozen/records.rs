//! Records, bodies and events, as they stand on disk.
//!
//! Records are frozen as a whole state: `records.bin`, pairs of key and value, each
//! led by its length in two bytes. `records.txt` says what is to be read from it; it
//! alone may be written anew, when a record has learnt something more.

use std::fmt::Write as _;

use bytes::Bytes;
use state::{
    Certificate, Change, Event, EventKind, FeatureLevel, HostnameRecord, KeyAlgorithm, OrderId,
    Reissue, RevocationState, Sealed, Source, Stage, State, Timestamp, bodies,
    codec::{self, DecodeError, record::kind},
    invitation::Became,
    testing::{self, host},
};

use crate::{
    changes, complete, frozen,
    life::{Life, level_two, lived, restored},
    none_lost, variants,
};

variants!(STAGES, stage_name, Stage, {
    Stage::Admitted => "admitted",
    Stage::Prepared(_) => "prepared",
    Stage::ReadyIntent(_) => "ready-intent",
    Stage::FinalizeIntent(_) => "finalize-intent",
});

variants!(BECAME, became_name, Became, {
    Became::Node(_) => "node",
    Became::Operator(_) => "operator",
});

variants!(EVENTS, event_name, EventKind, {
    EventKind::Authorized => "authorized",
    EventKind::Changed => "changed",
    EventKind::OwnershipProven => "ownership-proven",
    EventKind::OwnershipLapsed => "ownership-lapsed",
    EventKind::Contested => "contested",
    EventKind::Transferred => "transferred",
    EventKind::ContestEnded => "contest-ended",
    EventKind::Deferred => "deferred",
    EventKind::Parked => "parked",
    EventKind::OrderAdmitted => "order-admitted",
    EventKind::ChallengePrepared => "challenge-prepared",
    EventKind::ChallengeReady => "challenge-ready",
    EventKind::Finalizing => "finalizing",
    EventKind::CertificateInstalled => "certificate-installed",
    EventKind::CertificateUploaded => "certificate-uploaded",
    EventKind::RequestCreated => "request-created",
    EventKind::ReissueAsked => "reissue-asked",
    EventKind::RevocationAsked => "revocation-asked",
    EventKind::Revoked => "revoked",
    EventKind::RevocationRefused => "revocation-refused",
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
    read("records", &lived().state);
    read("restored", &restored().state);
    read("level-two", &level_two().state);
}

fn read(name: &str, lived: &State) {
    let bytes = frozen(&format!("{name}.bin"), &joined(lived));
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
    let expected = frozen(&format!("{name}.txt"), text.as_bytes());
    assert_eq!(text, String::from_utf8(expected).unwrap());
    let names = ["bin", "txt"].map(|extension| format!("{name}.{extension}"));
    none_lost(&format!("{name}."), names);
}

#[test]
fn every_record_and_every_variant_within_has_a_sample() {
    let bytes = frozen("records.bin", &joined(&lived().state));
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
    assert_certificates(&state);
    assert_hostnames(&state);
    assert!(state.members().any(|member| member.leaving));
    assert!(state.zone().origin.is_some());
}

fn assert_certificates(state: &State) {
    let any = |what: fn(&Certificate) -> bool| state.certificates().any(|one| what(one));
    assert!(any(|one| one.kept));
    assert!(any(|one| one.wildcard && one.algorithm == KeyAlgorithm::Rsa));
    assert!(any(|one| one.source == Source::Uploaded));
    assert!(any(|one| one.window.is_some()));
    assert!(any(|one| one.reissue == Some(Reissue::Calm)));
    assert!(any(|one| one.reissue == Some(Reissue::Urgent)));
    let revocations = state.certificates().filter_map(|one| {
        let revocation = one.revocation.as_ref()?;
        Some(match revocation.state {
            RevocationState::Wanted { .. } => "wanted",
            RevocationState::Done => "done",
            RevocationState::Refused(_) => "refused",
        })
    });
    complete(&["wanted", "done", "refused"], revocations);
}

fn assert_hostnames(state: &State) {
    let any = |what: fn(&HostnameRecord) -> bool| state.hostnames().any(|(_, one)| what(one));
    let failed = |one: &HostnameRecord, parked| {
        let failure = one.failure.as_ref();
        failure.is_some_and(|failure| failure.parked == parked)
    };
    assert!(state.hostnames().any(|(_, one)| failed(one, true)));
    assert!(state.hostnames().any(|(_, one)| failed(one, false)));
    assert!(any(|one| one.wants.is_some()));
    assert!(any(|one| one
        .contest()
        .is_some_and(|contest| contest.fault.is_some())));
    assert!(any(|one| one.request().is_some()));
    assert!(any(|one| one.certificate_of(KeyAlgorithm::Rsa).is_some()));
    assert!(any(|one| one.ownership.fault.is_some()));
    let standings = state
        .hostnames()
        .map(|(_, one)| one.ownership.standing.as_str());
    complete(&["vouched", "unproven", "lapsed", "txt"], standings);
    assert!(state.buckets().any(|(_, bucket)| bucket.promised > 0));
    assert!(
        state
            .buckets()
            .any(|(_, bucket)| bucket.blocked_until.is_some())
    );
    assert!(state.tombstones().count() > 0);
}

/// The first CA changes its shape: the commands that found a cluster carry each.
#[test]
fn cas_are_read_as_they_were_written() {
    let mut names = Vec::new();
    for registration in changes::registrations() {
        let name = format!("ca.{}.bin", registration.as_str());
        let mut life = Life::default();
        let found = changes::found(registration.clone(), None);
        life.change(None, Change::Found(Box::new(found)));
        let record = life.state.records().find(|(key, _)| key[0] == kind::CA);
        let (record_key, written) = record.unwrap();
        let bytes = frozen(&name, &written);
        assert_eq!(written, bytes, "{name} is written otherwise now");
        let mut loaded = State::default();
        loaded.load(&record_key, &bytes).unwrap();
        let ca = loaded.cas().next().unwrap();
        assert_eq!(ca.registration, registration);
        assert_eq!(Some(ca), life.state.cas().next());
        names.push(name);
    }
    none_lost("ca.", names);
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
    for kind in EventKind::ALL.iter().copied() {
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
        "{:?}\n{:?}\n{:?}\n{:?}\n",
        Bytes::from(bodies::left_certificate_key(&state::CertificateId([1; 32]))),
        Bytes::from(bodies::certificate_key(&testing::certificate(
            "shop.example"
        ))),
        Bytes::from(bodies::chain_key(&state::ChainId([2; 32]))),
        Bytes::from(bodies::event_key(&host("shop.example"), 258)),
    );
    let expected = frozen("keys.txt", text.as_bytes());
    assert_eq!(text, String::from_utf8(expected).unwrap());
    none_lost("keys.", ["keys.txt".into()]);
}

pub(crate) fn joined(state: &State) -> Vec<u8> {
    join(state.records().flat_map(|(key, value)| [key, value]))
}

/// Each with its length before it.
pub(crate) fn join(parts: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        let length = u16::try_from(part.len()).unwrap();
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&part);
    }
    bytes
}

fn split(bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut parts = parts(bytes);
    std::iter::from_fn(|| Some((parts.next()?, parts.next()?))).collect()
}

/// What was joined.
pub(crate) fn parts(mut bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (part, rest) = rest.split_at(u16::from_be_bytes(*length).into());
        bytes = rest;
        Some(part.to_vec())
    })
}

/// What was read, field by field; secrets show nothing, their bytes are compared.
fn told(state: &State) -> String {
    let mut text = String::new();
    let mut tell = |value: &dyn std::fmt::Debug| writeln!(text, "{value:?}").unwrap();
    tell(&state.cluster_id());
    tell(&state.epoch());
    if state.level() > FeatureLevel::FIRST {
        tell(&state.level());
    }
    if let Some(restored) = state.restored() {
        tell(&(restored, state.names_id()));
    }
    tell(state.authority().unwrap());
    state.cas().for_each(|ca| tell(ca));
    tell(state.zone());
    state.buckets().for_each(|bucket| tell(&bucket));
    state.tombstones().for_each(|tombstone| tell(&tombstone));
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

/// Of the data keys.
pub(crate) const GENERATION: u32 = 7;

pub(crate) fn sealed(purpose: state::KeyPurpose) -> Sealed {
    Sealed {
        purpose,
        generation: GENERATION,
        nonce: *b"twelve bytes",
        ciphertext: Bytes::from_static(b"ciphertext and tag"),
    }
}
