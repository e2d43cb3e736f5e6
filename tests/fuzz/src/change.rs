//! The codec of what is agreed on, and what a peer may propose: applied, whatever it says.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use state::{
    Actor, Batch, Command, Index, State, Term, Timestamp,
    codec::{self, DecodeError},
    testing::{Alone, ManualClock, START},
};

use crate::snapshot::comes_back;

/// Reads bytes as what the first byte chooses.
pub fn target(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else {
        return;
    };
    let error = match kind % 6 {
        0 => codec::batch_from(bytes).map(|batch| applied(&batch)).err(),
        1 => codec::proposal_from(bytes)
            .map(|(actor, change)| {
                let again = codec::proposal_from(&codec::proposal_to(&actor, &change));
                assert_eq!(again.as_ref(), Ok(&(actor.clone(), change.clone())));
                let command = Command {
                    at: START,
                    actor,
                    duty: None,
                    change,
                };
                applied(&Batch {
                    commands: vec![command],
                });
            })
            .err(),
        2 => codec::outcome_from(bytes)
            .map(|outcome| {
                let again = codec::outcome_from(&codec::outcome_to(&outcome));
                assert_eq!(again, Ok(outcome));
            })
            .err(),
        3 => codec::event_from(bytes)
            .map(|event| {
                assert_eq!(codec::event_from(&codec::event_to(&event)), Ok(event));
            })
            .err(),
        4 => {
            let middle = bytes.iter().position(|b| *b == 0xff);
            let (own, issuers) = bytes.split_at(middle.unwrap_or(bytes.len()));
            let issuers = issuers.get(1..).unwrap_or_default();
            codec::certificate_body(own, issuers).map(drop).err()
        }
        _ => loaded(bytes).err(),
    };
    if let Some(error) = error {
        crate::is_fit_to_show(&error.to_string());
    }
}

/// One record into an empty state and into one that has some.
fn loaded(bytes: &[u8]) -> Result<(), DecodeError> {
    let length = usize::from(bytes.first().copied().unwrap_or_default());
    let bytes = bytes.get(1..).unwrap_or_default();
    let (key, value) = bytes.split_at(length.min(bytes.len()));
    let mut empty = State::default();
    empty.load(key, value)?;
    comes_back(&empty);
    let mut state = present().clone();
    state.load(key, value)
}

/// A batch is read, written and applied alike; all that it changed is told.
fn applied(batch: &Batch) {
    let bytes = codec::batch_to(batch);
    assert_eq!(codec::batch_from(&bytes).as_ref(), Ok(batch));
    let (mut one, mut other) = (present().clone(), present().clone());
    let index = Index(one.index().0 + 1);
    let (outcomes, changes) = one.apply(index, batch);
    assert_eq!(outcomes.len(), batch.commands.len());
    assert_eq!(other.apply(index, batch), (outcomes, changes.clone()));
    let mut records: BTreeMap<Vec<u8>, Vec<u8>> = present().records().collect();
    for write in changes.records {
        match write {
            state::Write::Put { key, value } => records.insert(key, value),
            state::Write::Delete { key } => records.remove(&key),
        };
    }
    let told: Vec<_> = records.into_iter().collect();
    let found: Vec<_> = one.records().collect();
    assert_eq!(told, found, "what was written is not what the state is");
    comes_back(&one);
    // What is planned from it is finite.
    let _ = one.next_due(Timestamp(u64::MAX));
}

/// A cluster with hostnames, an order and a certificate.
fn present() -> &'static State {
    static PRESENT: OnceLock<Arc<State>> = OnceLock::new();
    PRESENT.get_or_init(|| {
        let clock = Arc::new(ManualClock::default());
        let alone = Alone::founded(clock, |_| {});
        alone.set_origin("https://app.saas.example");
        alone.authorize("shop.client.example");
        alone.authorize("www.client.example");
        let term = Term(1_000_001);
        let change = state::Change::TakeOver {
            node: state::NodeId(1),
        };
        alone.apply(Actor::socket(), Some(term), change);
        alone.register(term, "thumb");
        alone.state()
    })
}
