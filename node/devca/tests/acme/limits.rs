//! The CA's limits (Let's Encrypt's table, in small) on a clock that is held.

use devca::limits::LimitName;
use devca::{Behaviour, Limit, Limits, limits};
use http::Method;
use serde_json::json;

use crate::bench::{Account, Answer, BASE, Bench};
use crate::signer::Signer;

fn limited() -> (Bench, Account) {
    let mut bench = Bench::behaving(Behaviour {
        limits: Limits::tiny(),
        ..Behaviour::default()
    });
    let account = bench.account();
    (bench, account)
}

/// Checks that this says to come back in so many seconds, and why.
#[track_caller]
fn refused(answer: &Answer, seconds: &str, part: &str) {
    let detail = answer.problem(429, "rateLimited");
    assert!(detail.contains(part), "{detail}");
    assert!(detail.contains("retry after 2027-01-15 08:"), "{detail}");
    assert_eq!(answer.header("retry-after"), seconds);
}

#[test]
fn new_orders_of_an_account_are_counted_even_when_reused() {
    let (mut bench, account) = limited();
    bench.adjust(|it| it.order_reuse = true);
    for _ in 0..3 {
        bench.order(&account, &["a.client.com"]);
    }
    assert_eq!(bench.core.ledger(bench.time()).orders.len(), 1);
    let fourth = bench.try_order(&account, &["a.client.com"], &json!({}));
    refused(
        &fourth,
        "10",
        "too many new orders (3) from this account in the last 30s",
    );
    bench.now += 9;
    let still = bench.try_order(&account, &["a.client.com"], &json!({}));
    refused(&still, "1", "new orders");
    bench.now += 1;
    bench.order(&account, &["a.client.com"]);
    let other = bench.account();
    bench.order(&other, &["a.client.com"]);
}

#[test]
fn a_refused_order_costs_nothing() {
    let (mut bench, account) = limited();
    for names in [&["A.client.com"][..], &["localhost"], &[]] {
        let answer = bench.try_order(&account, names, &json!({}));
        assert!(answer.status.is_client_error());
    }
    let id = account.url.rsplit('/').next().unwrap();
    let left = bench.core.meter().left(
        &Limits::tiny(),
        LimitName::NewOrdersPerAccount,
        id,
        bench.time().into(),
    );
    assert_eq!(left, Some(3));
}

#[test]
fn certificates_count_for_the_registered_domain_and_renewals_do_not() {
    let (mut bench, account) = limited();
    for name in ["a.client.com", "b.client.com", "c.client.com"] {
        bench.issued(&account, &[name]);
    }
    bench.now += 10;
    let fourth = bench.try_order(&account, &["d.client.com"], &json!({}));
    let part = "too many certificates (3) already issued for \"client.com\" in the last 1m0s";
    refused(&fourth, "10", part);
    bench.order(&account, &["d.other.com"]);
    bench.issued(&account, &["a.client.com"]);
}

#[test]
fn certificates_for_one_set_are_counted_even_for_renewals() {
    let (mut bench, account) = limited();
    for _ in 0..2 {
        bench.issued(&account, &["a.client.com"]);
    }
    let third = bench.try_order(&account, &["a.client.com"], &json!({}));
    refused(&third, "30", "this exact set of identifiers");
    bench.order(&account, &["a.client.com", "b.client.com"]);
}

#[test]
fn failures_hold_a_name_for_its_account_and_endless_ones_pause_it() {
    let (mut bench, account) = limited();
    bench.adjust(|it| it.limits.new_orders_per_account = None);
    for _ in 0..2 {
        bench.fail(&account, "a.client.com");
    }
    let held = bench.try_order(&account, &["a.client.com", "b.client.com"], &json!({}));
    refused(
        &held,
        "10",
        "too many failed authorizations (2) for \"a.client.com\" in the last 20s",
    );
    bench.order(&account, &["b.client.com"]);
    for _ in 0..3 {
        bench.now += 20;
        bench.fail(&account, "a.client.com");
    }
    bench.now += 20;
    let paused = bench.try_order(&account, &["a.client.com", "b.client.com"], &json!({}));
    let detail = paused.problem(429, "rateLimited");
    assert!(
        detail.contains("prevented from requesting certificates for a.client.com"),
        "{detail}"
    );
    assert!(detail.contains("https://self-service."), "{detail}");
    let id = account.url.rsplit('/').next().unwrap();
    assert_eq!(bench.core.unpause(id), 1);
    bench.order(&account, &["a.client.com"]);
}

#[test]
fn a_success_ends_the_row_of_failures() {
    let (mut bench, account) = limited();
    for round in 0..3 {
        for _ in 0..2 {
            bench.fail(&account, "a.client.com");
            bench.now += 20;
        }
        if round < 2 {
            bench.ready_order(&account, &["a.client.com"]);
            bench.now += 20;
        }
    }
    bench.order(&account, &["a.client.com"]);
}

#[test]
fn giving_up_a_pending_proof_counts_as_a_failure() {
    let (mut bench, account) = limited();
    for _ in 0..2 {
        let order = bench.order(&account, &["a.client.com"]);
        let payload = json!({ "status": "deactivated" });
        bench
            .post(&account, &order.authorizations[0], &payload)
            .expect(200);
    }
    let held = bench.try_order(&account, &["a.client.com"], &json!({}));
    refused(&held, "10", "failed authorizations");
}

#[test]
fn new_accounts_are_counted_by_address() {
    let (mut bench, account) = limited();
    bench.account();
    bench.account();
    let payload = json!({ "termsOfServiceAgreed": true });
    let url = format!("{BASE}/account");
    let fourth = bench.post_as_key(&Signer::p256(), &url, &payload);
    refused(
        &fourth,
        "20",
        "too many new registrations (3) from this IP address",
    );
    // Finding an account is not making one.
    bench
        .post_as_key(&account.signer, &url, &payload)
        .expect(200);
}

#[test]
fn the_limit_that_lasts_longest_is_told() {
    let (mut bench, account) = limited();
    bench.issued(&account, &["a.client.com"]);
    bench.issued(&account, &["b.client.com"]);
    bench.issued(&account, &["c.client.com"]);
    let fourth = bench.try_order(&account, &["d.client.com"], &json!({}));
    refused(
        &fourth,
        "20",
        "certificates (3) already issued for \"client.com\"",
    );
}

#[test]
fn too_many_requests_a_second_are_busy_without_a_nonce() {
    let mut bench = Bench::new();
    let account = bench.account();
    bench.strict = false;
    bench.adjust(|it| {
        it.limits.requests.new_nonce = Some(Limit {
            burst: 2,
            count: 1,
            period_millis: 1_000,
        });
        it.limits.requests.new_order = Some(Limit::per_millis(1, 3_000));
    });
    for _ in 0..2 {
        bench.get(Method::HEAD, "/nonce").expect(200);
    }
    let third = bench.get(Method::GET, "/nonce");
    third.problem(503, "rateLimited");
    assert_eq!(third.header("retry-after"), "1");
    assert!(third.headers.get("replay-nonce").is_none());
    bench.now += 1;
    bench.order(&account, &["a.example"]);
    bench.now += 1;
    let busy = bench.try_order(&account, &["a.example"], &json!({}));
    busy.problem(503, "rateLimited");
    assert_eq!(busy.header("retry-after"), "2");
}

#[test]
fn the_tables_are_those_of_the_documentation() {
    let table = Limits::production();
    let orders = table.new_orders_per_account.unwrap();
    assert_eq!((orders.burst, orders.period_millis), (300, 10_800_000));
    let names = ["a.client.com".to_owned()];
    let mut meter = limits::Meter::default();
    let order = limits::Admission {
        account: "a",
        names: &names,
        exemption: limits::Exemption::None,
    };
    // 50 a week for a domain, 5 for a set: the sixth waits a fifth of a week.
    let now = devca::Moment::from_unix_millis(1_800_000_000_000);
    for _ in 0..5 {
        assert_eq!(meter.admit(&table, order, now), Ok(()));
        meter.issued(&table, &names, false, now);
    }
    let denial = meter.admit(&table, order, now).unwrap_err();
    assert_eq!(denial.limit, LimitName::CertificatesPerSet);
    assert_eq!(denial.retry_after(), 7 * 86_400 / 5);
    assert!(Limits::staging().certificates_per_set.unwrap().burst > 1_000);
}
