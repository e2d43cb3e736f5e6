//! Orders and proofs that are used again, as at Boulder; and what is finalized twice.

use std::time::Duration;

use devca::{Behaviour, FinalizeRule, Kind};
use rcgen::KeyPair;
use serde_json::{Value, json};

use crate::bench::{Account, BASE, Bench, Order, csr};

fn reusing() -> (Bench, Account) {
    let mut bench = Bench::behaving(Behaviour {
        order_reuse: true,
        profiles: Behaviour::boulder().profiles,
        ..Behaviour::default()
    });
    let account = bench.account();
    (bench, account)
}

fn ordered(bench: &mut Bench, account: &Account, more: &Value) -> String {
    let answer = bench.try_order(account, &["a.example", "b.example"], more);
    Order::read(&answer.expect(201)).url
}

#[test]
fn a_pending_or_ready_order_for_the_same_set_is_handed_out_again() {
    let (mut bench, account) = reusing();
    let first = bench.order(&account, &["a.example", "b.example"]);
    let again = bench.order(&account, &["b.example", "a.example"]);
    assert_eq!(again.url, first.url);
    bench.prove(&account, &first);
    assert_eq!(ordered(&mut bench, &account, &json!({})), first.url);
    let larger = bench.order(&account, &["a.example", "b.example", "c.example"]);
    assert_ne!(larger.url, first.url);
    let other = bench.account();
    assert_ne!(ordered(&mut bench, &other, &json!({})), first.url);
    assert_eq!(bench.core.ledger(bench.time()).orders.len(), 3);
}

#[test]
fn an_order_of_another_profile_is_not() {
    let (mut bench, account) = reusing();
    bench.adjust(|it| {
        let short = it.profiles.get_mut("shortlived").unwrap();
        short.order_lifetime_seconds = Some(600);
    });
    let plain = ordered(&mut bench, &account, &json!({}));
    let short = json!({ "profile": "shortlived" });
    assert_ne!(ordered(&mut bench, &account, &short), plain);
    // The one of `shortlived` expires first, and is the only one looked at.
    let third = ordered(&mut bench, &account, &json!({}));
    assert_ne!(third, plain);
}

#[test]
fn a_finalized_order_is_not_handed_out_again() {
    let (mut bench, account) = reusing();
    bench.issued(&account, &["a.example"]);
    let order = bench.order(&account, &["a.example"]);
    assert_eq!(bench.status(&account, &order.url), "pending");
}

#[test]
fn an_invalid_order_shadows_later_ones_until_it_expires() {
    let (mut bench, account) = reusing();
    bench.fail(&account, "a.example");
    bench.now += 10;
    let second = bench.order(&account, &["a.example"]);
    assert_eq!(bench.status(&account, &second.url), "pending");
    let third = bench.order(&account, &["a.example"]);
    assert_ne!(third.url, second.url);
    // The failed one is an hour old: it is not looked at any longer.
    bench.now += 3_595;
    let fourth = bench.order(&account, &["a.example"]);
    assert_eq!(fourth.url, second.url);
}

#[test]
fn an_order_of_another_account_shadows_too() {
    let (mut bench, account) = reusing();
    let other = bench.account();
    bench.order(&other, &["a.example"]);
    bench.now += 10;
    let first = bench.order(&account, &["a.example"]);
    let second = bench.order(&account, &["a.example"]);
    assert_ne!(second.url, first.url);
    bench.now += 3_595;
    let third = bench.order(&account, &["a.example"]);
    assert_eq!(third.url, first.url);
}

#[test]
fn an_order_that_is_being_processed_shadows_too() {
    let (mut bench, account) = reusing();
    bench.adjust(|it| it.issue_delay_seconds = Some(60));
    let slow = bench.ready_order(&account, &["a.example"]);
    let payload = csr(&KeyPair::generate().unwrap(), &["a.example"]);
    bench.post(&account, &slow.finalize, &payload).expect(200);
    bench.now += 10;
    let second = bench.order(&account, &["a.example"]);
    assert_ne!(second.url, slow.url);
    assert_ne!(bench.order(&account, &["a.example"]).url, second.url);
    bench.issue_due();
    assert_eq!(bench.order(&account, &["a.example"]).url, second.url);
}

#[test]
fn expired_orders_are_forgotten_whatever_became_of_them() {
    let mut bench = Bench::behaving(Behaviour::boulder());
    let account = bench.account();
    let valid = bench.ready_order(&account, &["a.example"]);
    let key = KeyPair::generate().unwrap();
    bench.finalized(&account, &valid, &key, &["a.example"]);
    let pending = bench.order(&account, &["b.example"]);
    bench.now += 3_600;
    for order in [&valid, &pending] {
        let gone = bench.post(&account, &order.url, &Value::Null);
        gone.problem(404, "malformed");
        let late = bench.post(&account, &order.finalize, &json!({}));
        late.problem(404, "malformed");
    }
}

#[test]
fn reuse_survives_a_restart() {
    let (mut bench, account) = reusing();
    let first = bench.order(&account, &["a.example"]);
    bench.restart();
    assert_eq!(bench.order(&account, &["a.example"]).url, first.url);
}

#[test]
fn a_proven_name_needs_no_new_proof_for_a_time() {
    let mut bench = Bench::behaving(Behaviour {
        authorization_reuse_seconds: Some(8_000),
        ..Behaviour::default()
    });
    let account = bench.account();
    bench.issued(&account, &["a.example"]);
    // An hour must be left.
    bench.now += 4_400;
    let born_ready = bench.order(&account, &["a.example"]);
    assert_eq!(bench.status(&account, &born_ready.url), "ready");
    let half = bench.order(&account, &["a.example", "b.example"]);
    assert_eq!(bench.status(&account, &half.url), "pending");
    assert_eq!(half.authorizations[0], born_ready.authorizations[0]);
    let stranger = bench.account();
    let other = bench.order(&stranger, &["a.example"]);
    assert_eq!(bench.status(&stranger, &other.url), "pending");
    bench.now += 1;
    let late = bench.order(&account, &["a.example"]);
    assert_eq!(bench.status(&account, &late.url), "pending");
}

#[test]
fn a_proof_under_another_profile_is_not_used_again() {
    let mut bench = Bench::behaving(Behaviour::boulder());
    let account = bench.account();
    bench.issued(&account, &["a.example"]);
    let mut born = |profile: &Value| {
        let answer = bench.try_order(&account, &["a.example"], profile);
        answer.expect(201).json()["status"].clone()
    };
    assert_eq!(born(&json!({})), "ready");
    assert_eq!(born(&json!({ "profile": "classic" })), "pending");
}

#[test]
fn a_proof_that_was_given_up_is_not_used_again() {
    let mut bench = Bench::behaving(Behaviour::boulder());
    let account = bench.account();
    let order = bench.ready_order(&account, &["a.example"]);
    let payload = json!({ "status": "deactivated" });
    bench
        .post(&account, &order.authorizations[0], &payload)
        .expect(200);
    let next = bench.order(&account, &["a.example"]);
    assert_ne!(next.authorizations, order.authorizations);
}

#[test]
fn boulder_answers_before_it_has_signed() {
    let mut bench = Bench::behaving(Behaviour::boulder());
    let account = bench.account();
    let order = bench.ready_order(&account, &["a.example"]);
    let payload = csr(&KeyPair::generate().unwrap(), &["a.example"]);
    let answer = bench.post(&account, &order.finalize, &payload).expect(200);
    assert_eq!(answer.json()["status"], "processing");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(bench.status(&account, &order.url), "processing");
    bench.issue_due();
    assert_eq!(bench.status(&account, &order.url), "valid");
}

#[test]
fn finalizing_a_valid_order_is_not_ready() {
    let mut bench = Bench::behaving(Behaviour::boulder());
    let account = bench.account();
    let order = bench.ready_order(&account, &["a.example"]);
    let key = KeyPair::generate().unwrap();
    bench.finalized(&account, &order, &key, &["a.example"]);
    let again = bench.post(&account, &order.finalize, &csr(&key, &["a.example"]));
    again.problem(403, "orderNotReady");
}

/// Finalizes an order twice, the second time so many milliseconds later.
fn raced(delay: Duration, apart_seconds: u64) -> (Bench, Account, Order, u16) {
    let mut bench = Bench::with_delay(delay);
    bench.adjust(|it| {
        it.finalize = FinalizeRule::Race {
            window_millis: 2_000,
        }
    });
    let account = bench.account();
    let order = bench.ready_order(&account, &["a.example"]);
    let keys = [KeyPair::generate().unwrap(), KeyPair::generate().unwrap()];
    let first = csr(&keys[0], &["a.example"]);
    bench.post(&account, &order.finalize, &first).expect(200);
    bench.now += apart_seconds;
    let second = csr(&keys[1], &["a.example"]);
    let second = bench.post(&account, &order.finalize, &second).status;
    (bench, account, order, second.as_u16())
}

#[test]
fn simultaneous_finalizations_race_on_command_and_make_two_certificates() {
    for delay in [Duration::ZERO, Duration::from_secs(5)] {
        let (mut bench, account, order, second) = raced(delay, 1);
        assert_eq!(second, 200);
        bench.issue_due();
        assert_eq!(bench.status(&account, &order.url), "valid");
        let ledger = bench.core.ledger(bench.time());
        assert_eq!(ledger.certificates_for(&["a.example"]).count(), 2);
        let duplicates = ledger.duplicates(Duration::from_secs(60));
        assert_eq!(duplicates[0].serials.len(), 2);
        let completed = ledger
            .finalizations
            .iter()
            .filter(|it| it.completed.is_some());
        assert_eq!(completed.count(), 2);
        // Without a delay the first was through when the second came.
        let overlaps = usize::from(!delay.is_zero());
        assert_eq!(ledger.overlaps().len(), overlaps);
    }
}

#[test]
fn the_race_is_over_after_its_window() {
    let (bench, _, _, second) = raced(Duration::ZERO, 2);
    assert_eq!(second, 403);
    let ledger = bench.core.ledger(bench.time());
    assert_eq!(ledger.certificates.len(), 1);
    assert_eq!(ledger.duplicates(Duration::from_secs(60)), []);
}

#[test]
fn a_refused_finalization_overlaps_too() {
    let mut bench = Bench::with_delay(Duration::from_secs(5));
    let account = bench.account();
    let order = bench.ready_order(&account, &["a.example"]);
    let payload = csr(&KeyPair::generate().unwrap(), &["a.example"]);
    bench.post(&account, &order.finalize, &payload).expect(200);
    bench.now += 1;
    let second = bench.post(&account, &order.finalize, &payload);
    second.problem(403, "orderNotReady");
    let open = bench.core.ledger(bench.time());
    assert_eq!(open.finalizations[0].completed, None);
    bench.now += 4;
    bench.issue_due();
    bench.now += 5;
    let third = bench.post(&account, &order.finalize, &payload);
    third.problem(403, "orderNotReady");
    let ledger = bench.core.ledger(bench.time());
    let (earlier, later) = ledger.overlaps()[0];
    assert_eq!(ledger.overlaps().len(), 1);
    let millis = |moment: devca::Moment| moment.as_unix_millis();
    assert_eq!(later.refused, Some(Kind::OrderNotReady));
    assert_eq!(millis(later.received) - millis(earlier.received), 1_000);
    let span = millis(earlier.completed.unwrap()) - millis(earlier.received);
    assert_eq!(span, 5_000);
}

#[test]
fn slowness_can_be_changed_while_it_runs() {
    let mut bench = Bench::new();
    let account = bench.account();
    bench.adjust(|it| {
        it.issue_delay_seconds = Some(7);
        it.validation_delay_millis = 1_500;
    });
    let order = bench.order(&account, &["a.example"]);
    let url = format!("{}/http-01", order.authorizations[0]);
    bench.post(&account, &url, &json!({})).expect(200);
    let validation = bench.due_validation().unwrap();
    assert_eq!(validation.delay, Duration::from_millis(1_500));
    bench.conclude(&validation, Ok(()));
    let payload = csr(&KeyPair::generate().unwrap(), &["a.example"]);
    let answer = bench.post(&account, &order.finalize, &payload).expect(200);
    assert_eq!(answer.json()["status"], "processing");
    assert_eq!(answer.header("retry-after"), "7");
    bench.restart();
    assert_eq!(bench.effects.len(), 1);
    bench.now += 7;
    bench.issue_due();
    assert_eq!(bench.status(&account, &order.url), "valid");
}

#[test]
fn boulder_hides_what_belongs_to_others_and_keeps_no_list_of_orders() {
    let mut bench = Bench::behaving(Behaviour::boulder());
    let account = bench.account();
    let order = bench.ready_order(&account, &["a.example"]);
    let stranger = bench.account();
    for url in [&order.url, &order.finalize, &order.authorizations[0]] {
        let answer = bench.post(&stranger, url, &Value::Null);
        answer.problem(404, "malformed");
    }
    let shown = bench.post(&account, &account.url.clone(), &Value::Null);
    assert!(shown.expect(200).json()["orders"].is_null());
    let list = format!("{}/orders", account.url);
    assert!(list.starts_with(BASE));
    bench
        .post(&account, &list, &Value::Null)
        .problem(404, "malformed");
}
