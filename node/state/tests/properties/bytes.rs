//! Bytes from elsewhere: whatever they are, they end no replica.

use proptest::{collection::vec, prelude::*, sample::Index as Place};
use state::{Batch, Hostname, Index, State, codec};

use crate::history::{live, plan};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn random_bytes_are_read_without_panic(mut bytes in vec(any::<u8>(), 0..200), kind in 0u8..0x14) {
        decode_all(&bytes, kind);
        // Past the version, where the shapes begin.
        if let Some(version) = bytes.first_mut() {
            *version = codec::VERSION;
        }
        decode_all(&bytes, kind);
    }

    #[test]
    fn damaged_entries_are_refused_or_applied_but_never_end_a_replica(
        plan in plan(),
        place: Place,
        damage in vec((any::<Place>(), any::<u8>()), 1..4),
    ) {
        let entries = live(&plan);
        let entry = place.get(&entries);
        let mut bytes = codec::batch_to(&entry.batch);
        for (place, byte) in damage {
            *place.get_mut(&mut bytes[..]) = byte;
        }
        if let Ok(batch) = codec::batch_from(&bytes) {
            let mut state = entry.before.clone();
            let (outcomes, _) = state.apply(entry.index, &batch);
            prop_assert_eq!(outcomes.len(), batch.commands.len());
            // What was accepted can be stored and read again.
            let mut loaded = State::default();
            for (key, value) in state.records() {
                prop_assert_eq!(loaded.load(&key, &value), Ok(()));
            }
            prop_assert!(loaded.records().eq(state.records()));
        }
    }

    #[test]
    fn damaged_records_are_refused_or_loaded_but_never_end_a_replica(
        plan in plan(),
        place: Place,
        damage in vec((any::<Place>(), any::<u8>()), 1..4),
    ) {
        let entries = live(&plan);
        let last = &entries.last().expect("a plan is not empty").after;
        let records: Vec<_> = last.records().collect();
        let (key, value) = place.get(&records);
        let mut value = value.clone();
        for (place, byte) in damage {
            *place.get_mut(&mut value[..]) = byte;
        }
        let mut state = State::default();
        if state.load(key, &value).is_ok() {
            prop_assert!(state.records().count() <= 2, "the record, and the zone with a cluster");
        }
    }

    #[test]
    fn what_is_encoded_is_decoded_to_the_same(plan in plan()) {
        for entry in live(&plan) {
            for outcome in entry.outcomes {
                prop_assert_eq!(codec::outcome_from(&codec::outcome_to(&outcome)), Ok(outcome));
            }
            for command in &entry.batch.commands {
                let bytes = codec::proposal_to(&command.actor, &command.change);
                let proposal = (command.actor.clone(), command.change.clone());
                prop_assert_eq!(codec::proposal_from(&bytes), Ok(proposal));
            }
        }
    }

    #[test]
    fn a_hostname_is_its_own_normal_form(text in name()) {
        let Ok(name) = Hostname::parse(&text) else { return Ok(()) };
        prop_assert_eq!(Hostname::parse(name.as_str()), Ok(name.clone()));
        prop_assert_eq!(Hostname::parse(&format!("{name}.")), Ok(name.clone()));
        let upper = name.as_str().to_ascii_uppercase();
        prop_assert_eq!(Hostname::parse(&upper), Ok(name.clone()));
        // What was accepted once is read again from the log.
        let change = state::testing::authorize(name.as_str());
        let command = crate::history::command(state::Timestamp(0), None, change);
        let batch = Batch { commands: vec![command] };
        prop_assert_eq!(codec::batch_from(&codec::batch_to(&batch)), Ok(batch));
    }
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9.-]{1,40}",
        "[a-zäöüßéñ中国。.]{1,20}\\.[a-z]{2,6}",
        "(xn--)?[a-z0-9-]{1,10}\\.[a-z]{2,6}\\.?",
        "\\PC{1,12}\\.example",
    ]
}

fn decode_all(bytes: &[u8], kind: u8) {
    let _ = codec::batch_from(bytes).map(|batch| State::default().apply(Index(1), &batch));
    let _ = codec::proposal_from(bytes);
    let _ = codec::outcome_from(bytes);
    let _ = codec::event_from(bytes);
    let _ = codec::certificate_body(bytes, bytes);
    let mut state = State::default();
    let _ = state.load(bytes, bytes);
    let mut key = vec![kind];
    key.extend_from_slice(bytes);
    let _ = state.load(&key, bytes);
    let _ = state.load(&key[..1], bytes);
}
