use std::sync::Arc;

use super::*;
use crate::{
    Actor, CaSettings, Change, Limit, Preset, Term,
    testing::{Alone, ManualClock, START, account_key, ca_name},
};

fn cluster(limits: Vec<Limit>) -> Alone {
    let alone = Alone::founded(Arc::new(ManualClock::default()), |_| {});
    let before = alone.state().ca("test-ca").unwrap().settings.clone();
    let settings = Box::new(CaSettings { limits, ..before });
    let put = Change::PutCa {
        name: ca_name(),
        settings,
        revision: None,
    };
    alone.apply(Actor::operator("ann"), None, put);
    alone
}

fn lets_encrypt() -> Alone {
    cluster(Preset::LetsEncrypt.settings().limits)
}

/// What follows the first label.
fn parent(name: &Hostname) -> String {
    name.parent().unwrap_or(name.as_str()).to_owned()
}

fn look(alone: &Alone, days: usize) -> Forecast {
    forecast(&alone.state(), START, days, &parent)
}

#[test]
fn renewals_stand_on_their_day_and_come_again() {
    let alone = cluster(Vec::new());
    alone.authorize("shop.a.example");
    let leaf = bytes::Bytes::from_static(b"leaf");
    alone.install(
        Term(1),
        "shop.a.example",
        account_key("t").sealed,
        leaf,
        Vec::new(),
    );
    let found = look(&alone, 200);
    let on: Vec<usize> = (0..200)
        .filter(|day| found.days[*day].renewals == 1)
        .collect();
    assert_eq!(on, [60, 120, 180]);
    assert_eq!((found.queued, found.hits.len()), (0, 0));
    let late = forecast(&alone.state(), START.plus(DAY * 70), 3, &parent);
    assert_eq!(late.days[0].renewals, 1, "what is late is due at once");
}

#[test]
fn short_lives_are_renewed_many_times_a_day() {
    let alone = cluster(Vec::new());
    alone.authorize("shop.a.example");
    let leaf = bytes::Bytes::from_static(b"leaf");
    alone.install(
        Term(1),
        "shop.a.example",
        account_key("t").sealed,
        leaf,
        Vec::new(),
    );
    let mut certificate = (**alone.state().certificates().next().unwrap()).clone();
    certificate.renew_at = START.plus(Duration::from_secs(3_600));
    let mut days = vec![
        Day {
            begins: START,
            ..Day::default()
        },
        Day {
            begins: START.plus(DAY),
            ..Day::default()
        },
    ];
    count_renewals(&certificate, START, &mut days);
    assert_eq!([days[0].renewals, days[1].renewals], [23, 24]);
}

#[test]
fn new_names_wait_for_the_account_and_crowded_domains_for_themselves() {
    let alone = lets_encrypt();
    for number in 0..3_000 {
        alone.authorize(&format!("shop.client{number}.example"));
    }
    for number in 0..60 {
        alone.authorize(&format!("shop{number}.platform.example"));
    }
    let found = look(&alone, 30);
    assert_eq!(found.queued, 3_060);
    // 225 at once, and one each 36 s, the last of them as the next day begins.
    assert_eq!(found.days[0].issued, 225 + 2_399);
    assert_eq!(found.days[0].waiting, 3_060 - 2_624);
    // Then only the crowded domain waits: 37 at once, and one each 202 minutes.
    assert_eq!(found.days[1].waiting, 60 - 37 - 14);
    assert_eq!(found.days[4].waiting, 0);
    let hits: Vec<_> = found
        .hits
        .iter()
        .map(|hit| (hit.bucket.kind, hit.held))
        .collect();
    assert_eq!(
        hits,
        [
            (LimitKind::Orders, 3_000 + 44 - 2_624),
            (LimitKind::Certificates, 16)
        ]
    );
    assert_eq!(
        found.hits[0].until,
        START.plus(Duration::from_secs(36 * (3_060 - 225)))
    );
}

#[test]
fn a_reissue_takes_what_the_work_takes_and_new_orders_what_the_limit_takes() {
    let alone = lets_encrypt();
    let state = alone.state();
    let at = |count, budget| eta(&state, &ca_name(), count, budget, PACE, START).since(START);
    assert_eq!(at(0, Budget::New), Duration::ZERO);
    assert_eq!(at(100_000, Budget::Renewal), Duration::from_secs(20_000));
    assert_eq!(at(10, Budget::New), Duration::from_secs(2));
    assert_eq!(at(1_225, Budget::New), Duration::from_secs(36 * 1_000));
}
