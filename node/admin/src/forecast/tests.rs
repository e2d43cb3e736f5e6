//! What is to come, of states that were made by commands.

use state::{
    Actor, CaSettings, Change, Limit, Registration, Term,
    testing::{Alone, ManualClock, START, account_key, ca_name, found, host},
};

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn limit(kind: LimitKind, burst: u32, refill: Duration) -> Limit {
    Limit {
        kind,
        burst,
        refill,
    }
}

/// A cluster whose CA has these limits and a registered account.
fn cluster(limits: Vec<Limit>) -> Alone {
    let alone = Alone::founded(Arc::new(ManualClock::default()), |_| {});
    let change = Change::PutCa {
        name: ca_name(),
        settings: Box::new(CaSettings {
            limits,
            ..found().ca.settings
        }),
        revision: None,
    };
    alone.apply(Actor::operator("test"), None, change);
    alone.register(Term(1), "thumbprint");
    alone
}

fn look(alone: &Alone, days: u32) -> Forecast {
    forecast(&alone.state(), START, days)
}

fn firsts(forecast: &Forecast) -> Vec<u64> {
    forecast.days.iter().map(|day| day.firsts).collect()
}

#[test]
fn nothing_is_to_come_of_nothing() {
    let forecast = look(&cluster(Vec::new()), 3);
    assert_eq!((forecast.waiting, forecast.waiting_until), (0, None));
    assert_eq!(firsts(&forecast), [0, 0, 0]);
    assert_eq!(forecast.days[2].from, START.plus(DAY * 2));
    assert!(forecast.hits.is_empty());
}

#[test]
fn without_limits_the_queue_goes_at_the_pace_of_the_cluster() {
    let alone = cluster(Vec::new());
    for number in 0..10 {
        alone.authorize(&format!("s{number}.client-{number}.com"));
    }
    let forecast = look(&alone, 2);
    assert_eq!(forecast.waiting, 10);
    assert_eq!(forecast.waiting_until, Some(START.plus(PACE * 10)));
    assert_eq!(firsts(&forecast), [10, 0]);
}

#[test]
fn a_limit_of_orders_spreads_the_queue_and_is_told() {
    // 4 at once, of which new names may use 3, and one more each 6 hours.
    let alone = cluster(vec![limit(LimitKind::Orders, 4, HOUR * 6)]);
    for number in 0..12 {
        alone.authorize(&format!("s.client-{number}.com"));
    }
    let forecast = look(&alone, 4);
    // 3 now, then at 6, 12, 18 and 24 h; then 4 a day.
    assert_eq!(firsts(&forecast), [7, 4, 1, 0]);
    assert_eq!(forecast.waiting_until, Some(START.plus(HOUR * 6 * 9)));
    let [hit] = &forecast.hits[..] else {
        panic!("{:?}", forecast.hits);
    };
    assert_eq!(hit.bucket.kind, LimitKind::Orders);
    assert_eq!(hit.over, 5);
    assert_eq!(hit.at, START.plus(HOUR * 30), "the first that must wait");
}

#[test]
fn a_limit_on_a_domain_holds_up_its_names_only() {
    let alone = cluster(vec![limit(LimitKind::Certificates, 4, DAY)]);
    for number in 0..6 {
        alone.authorize(&format!("s{number}.client.co.uk"));
        alone.authorize(&format!("s{number}.other-{number}.com"));
    }
    let forecast = look(&alone, 5);
    // 3 of the 6 at once, and one a day; the others pass.
    assert_eq!(firsts(&forecast), [10, 1, 1, 0, 0]);
    let [hit] = &forecast.hits[..] else {
        panic!("{:?}", forecast.hits);
    };
    assert_eq!((&*hit.bucket.key, hit.over), ("client.co.uk", 2));
}

#[test]
fn what_the_ca_refused_holds_up_until_then() {
    let alone = cluster(vec![limit(LimitKind::Orders, 4, HOUR)]);
    alone.authorize("s.client.com");
    alone.duty(
        Term(1),
        Change::ObserveLimit {
            bucket: BucketKey {
                ca: ca_name(),
                kind: LimitKind::Orders,
                key: "".into(),
            },
            until: START.plus(DAY * 2),
        },
    );
    let forecast = look(&alone, 4);
    // The first one then is not for new names: they may use three of four.
    assert_eq!(firsts(&forecast), [0, 0, 1, 0]);
    assert_eq!(forecast.waiting_until, Some(START.plus(DAY * 2 + HOUR)));
    assert_eq!(forecast.hits.len(), 1);
}

#[test]
fn renewals_fall_due_on_their_days_again_and_again() {
    let alone = cluster(Vec::new());
    alone.authorize("shop.client.com");
    let (key, leaf) = (account_key("t").sealed, bytes::Bytes::from_static(b"leaf"));
    alone.install(Term(1), "shop.client.com", key, leaf, Vec::new());
    // 90 days, renewed after 60.
    let forecast = look(&alone, 130);
    let due: Vec<usize> = (0..130)
        .filter(|day| forecast.days[*day].renewals > 0)
        .collect();
    assert_eq!(due, [60, 120]);
    assert_eq!(forecast.waiting, 0);
}

#[test]
fn what_waits_for_somebody_is_no_part_of_the_queue() {
    let alone = cluster(Vec::new());
    alone.authorize("a.client.com");
    alone.authorize("b.client.com");
    alone.apply(
        Actor::operator("test"),
        None,
        Change::SetWants {
            hostname: host("b.client.com"),
            wants: Box::new(state::Wants {
                automatic: false,
                ..state::Wants::default()
            }),
            revision: None,
        },
    );
    assert_eq!(look(&alone, 1).waiting, 1);
    let registered = alone.state();
    let registration = &registered.ca("test-ca").unwrap().registration;
    assert!(matches!(registration, Registration::Registered { .. }));
}
