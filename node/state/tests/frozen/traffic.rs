//! Records that decide how traffic is served; `records.bin` is of before there were any.

use std::sync::Arc;

use state::{
    Actor, Change, State, Term,
    codec::record::kind,
    testing::{Alone, ManualClock, host},
};

use crate::{changes::whole_traffic, frozen, none_lost};

const SAMPLES: [(u8, &str); 2] = [
    (kind::ZONE, "traffic.zone.bin"),
    (kind::HOSTNAME, "traffic.hostname.bin"),
];

#[test]
fn settings_are_read_as_they_were_written() {
    let alone = Alone::founded(Arc::new(ManualClock::default()), |_| {});
    alone.register(Term(1), "thumb");
    alone.authorize("shop.example");
    for hostname in [None, Some(host("shop.example"))] {
        let change = Change::SetTraffic {
            hostname,
            traffic: Box::new(whole_traffic()),
            revision: None,
        };
        alone.apply(Actor::operator("test"), None, change);
    }
    let samples: Vec<_> = alone
        .state()
        .records()
        .filter_map(|(key, value)| {
            let (_, name) = SAMPLES.iter().find(|(kind, _)| key.first() == Some(kind))?;
            Some((key, frozen(name, &value)))
        })
        .collect();
    assert_eq!(samples.len(), SAMPLES.len());
    let mut loaded = State::default();
    for (key, value) in alone.state().records().chain(samples.clone()) {
        loaded.load(&key, &value).unwrap();
    }
    assert_eq!(*loaded.zone().traffic, whole_traffic());
    let record = loaded.hostname("shop.example").unwrap();
    assert_eq!(record.traffic.as_deref(), Some(&whole_traffic()));
    let again: Vec<_> = loaded.records().collect();
    let same = samples.iter().all(|sample| again.contains(sample));
    assert!(same, "a record is written otherwise now");
    none_lost("traffic.", SAMPLES.map(|(_, name)| name.to_owned()));
}
