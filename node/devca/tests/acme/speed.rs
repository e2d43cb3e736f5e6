//! How long the core takes over many orders, on a clock of its own.

use devca::limits::{Admission, Exemption, Meter};
use devca::{Behaviour, Limits, Moment};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::bench::{Bench, csr};
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
        meter.issued(&limits, order, Moment::from_unix_millis(millis));
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
        bench.records.clear();
    }
    let each = begun.elapsed() / u32::try_from(ORDERS).unwrap();
    println!("{ORDERS} orders through the core, {each:?} each with the client's part");
    let ledger = bench.core.ledger(bench.time());
    assert_eq!(ledger.certificates.len(), 1_000);
    assert_eq!(ledger.duplicates(std::time::Duration::MAX), []);
}

/// The core alone under a hundred thousand new orders for as many names.
#[test]
fn a_hundred_thousand_new_orders_are_taken() {
    const ORDERS: u64 = 100_000;
    let mut behaviour = Behaviour::boulder();
    behaviour.limits = Limits::production();
    let mut bench = Bench::behaving(behaviour);
    let account = bench.account_of(Signer::ed25519());
    let begun = Instant::now();
    for number in 0..ORDERS {
        bench.now += 36;
        let name = format!("shop.client{number}.com");
        let payload = json!({ "identifiers": [{ "type": "dns", "value": name }] });
        let url = format!("{}/order", crate::bench::BASE);
        let answer = bench.post(&account, &url, &payload);
        assert_eq!(answer.status, 201);
        bench.records.clear();
    }
    let answer = bench.post(&account, &account.url.clone(), &Value::Null);
    answer.expect(200);
    println!("{ORDERS} new orders in {:?}", begun.elapsed());
    assert_eq!(bench.core.ledger(bench.time()).orders.len(), 100_000);
}
