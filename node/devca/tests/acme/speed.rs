//! How long the core takes over many orders, on a clock of its own.

use devca::limits::{Admission, Exemption, Meter};
use devca::{Behaviour, Limits, Moment, OrderStatus};
use serde_json::json;
use tokio::time::Instant;

use crate::bench::{BASE, Bench, csr};
use crate::signer::Signer;

/// A hundred thousand orders against the limits of production, alone: what a planner of
/// orders is held against. Nothing is signed.
#[test]
fn a_hundred_thousand_orders_are_metered_within_seconds() {
    const ORDERS: u64 = 100_000;
    let begun = Instant::now();
    let (limits, mut meter) = (Limits::production(), Meter::default());
    let mut millis = 1_800_000_000_000;
    let mut waited = 0;
    for number in 0..ORDERS {
        let names = [format!("shop.client{number}.com")];
        let order = Admission {
            account: "a",
            names: &names,
            exemption: Exemption::None,
        };
        while let Err(denial) = meter.admit(&limits, order, Moment::from_unix_millis(millis)) {
            waited += 1;
            millis += denial.wait_millis;
        }
        meter.issued(&limits, &names, false, Moment::from_unix_millis(millis));
    }
    // 300 at once, then one every 36 s: 42 days, as the design says.
    let days = (millis - 1_800_000_000_000) / 86_400_000;
    assert_eq!((days, waited), (41, ORDERS - 300));
    println!("{ORDERS} orders metered in {:?}", begun.elapsed());
}

/// Orders with all their requests, signatures and certificates, through the core.
#[test]
fn orders_through_the_core_cost_about_a_millisecond() {
    const ORDERS: u64 = 1_000;
    let mut behaviour = Behaviour::boulder();
    behaviour.limits = Limits::production();
    let mut bench = Bench::behaving(behaviour);
    let account = bench.account_of(Signer::ed25519());
    let key = rcgen::KeyPair::generate().unwrap();
    let begun = Instant::now();
    for number in 0..ORDERS {
        bench.now += 36;
        let name = format!("shop.client{number}.com");
        let names = [name.as_str()];
        let order = bench.order(&account, &names);
        bench.prove(&account, &order);
        bench
            .post(&account, &order.finalize, &csr(&key, &names))
            .expect(200);
        bench.issue_due();
        bench.records.clear();
    }
    let each = begun.elapsed() / u32::try_from(ORDERS).unwrap();
    println!("{ORDERS} orders through the core, {each:?} each with the client's part");
    let ledger = bench.core.ledger(bench.time());
    assert_eq!(ledger.certificates.len(), 1_000);
    assert_eq!(ledger.duplicates(std::time::Duration::MAX), []);
}

/// The core under a hundred thousand orders for as many names, each asked for, proven and
/// made ready on the clock of production's limits. Nothing is signed.
#[test]
fn a_hundred_thousand_orders_are_made_ready_within_the_limits() {
    const ORDERS: u64 = 100_000;
    let mut behaviour = Behaviour::boulder();
    behaviour.limits = Limits::production();
    let mut bench = Bench::behaving(behaviour);
    let account = bench.account();
    let id = account.url.rsplit('/').next().unwrap();
    let begun = Instant::now();
    for number in 0..ORDERS {
        bench.now += 36;
        let name = format!("shop.client{number}.com");
        let payload = json!({ "identifiers": [{ "type": "dns", "value": name }] });
        let order = bench.vouched(id, "/order", &payload).expect(201);
        let proof = order.json()["authorizations"][0]
            .as_str()
            .unwrap()
            .to_owned();
        let challenge = format!("{}/http-01", proof.strip_prefix(BASE).unwrap());
        bench.vouched(id, &challenge, &json!({})).expect(200);
        let validation = bench.due_validation().unwrap();
        bench.conclude(&validation, Ok(()));
        bench.records.clear();
    }
    println!("{ORDERS} orders made ready in {:?}", begun.elapsed());
    let ledger = bench.core.ledger(bench.time());
    // Orders of this bench live an hour.
    let mut newest = ledger.orders.iter().rev().take(99);
    assert!(newest.all(|order| order.status == OrderStatus::Ready));
    assert_eq!(ledger.orders.len(), 100_000);
    assert!(bench.core.posts().iter().all(|post| post.status < 300));
}
