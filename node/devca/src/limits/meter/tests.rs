//! The rules by which orders touch the buckets, on a clock that is held.

use super::*;

fn at(seconds: u64) -> Moment {
    Moment::from_unix_millis(seconds * 1_000)
}

fn names(text: &str) -> Vec<String> {
    text.split(' ').map(Into::into).collect()
}

/// Admits an order of these names and issues for it; which limit stands against it.
fn order(meter: &mut Meter, text: &str, exemption: Exemption, now: u64) -> Option<LimitName> {
    let (limits, names) = (Limits::tiny(), names(text));
    let order = Admission {
        account: "a",
        names: &names,
        exemption,
    };
    let denied = meter.admit(&limits, order, at(now)).err();
    if denied.is_none() {
        let is_renewal = exemption != Exemption::None;
        meter.issued(&limits, &names, is_renewal, at(now));
    }
    denied.map(|denial| denial.limit)
}

#[test]
fn domain_and_set_are_spent_at_issuance_only() {
    let mut meter = Meter::default();
    let (limits, names) = (Limits::tiny(), names("a.client.com b.client.com"));
    let order = Admission {
        account: "a",
        names: &names,
        exemption: Exemption::None,
    };
    for _ in 0..3 {
        assert_eq!(meter.admit(&limits, order, at(100)), Ok(()));
    }
    let left = |meter: &Meter, name, key| meter.left(&limits, name, key, at(100));
    let set = "a.client.com,b.client.com";
    assert_eq!(left(&meter, LimitName::NewOrdersPerAccount, "a"), Some(0));
    assert_eq!(left(&meter, LimitName::CertificatesPerSet, set), Some(2));
    meter.issued(&limits, &names, false, at(100));
    assert_eq!(left(&meter, LimitName::CertificatesPerSet, set), Some(1));
    let domain = left(&meter, LimitName::CertificatesPerDomain, "client.com");
    assert_eq!(domain, Some(2));
}

#[test]
fn the_limit_that_lasts_longest_is_told_and_nothing_is_spent() {
    let mut meter = Meter::default();
    for _ in 0..2 {
        assert_eq!(order(&mut meter, "a.com", Exemption::None, 100), None);
    }
    let told = order(&mut meter, "a.com", Exemption::None, 100);
    assert_eq!(told, Some(LimitName::CertificatesPerSet));
    let left = meter.left(
        &Limits::tiny(),
        LimitName::NewOrdersPerAccount,
        "a",
        at(100),
    );
    assert_eq!(left, Some(1));
    let third = order(&mut meter, "b.a.com", Exemption::None, 100);
    assert_eq!(third, None);
    let fourth = order(&mut meter, "c.a.com", Exemption::None, 100);
    assert_eq!(fourth, Some(LimitName::CertificatesPerDomain));
    let elsewhere = order(&mut meter, "c.org", Exemption::None, 100);
    assert_eq!(elsewhere, Some(LimitName::NewOrdersPerAccount));
}

#[test]
fn a_renewal_by_set_is_held_by_the_set_alone_and_one_in_its_window_by_nothing() {
    let mut meter = Meter::default();
    for _ in 0..2 {
        assert_eq!(order(&mut meter, "a.com", Exemption::SameSet, 100), None);
    }
    let third = order(&mut meter, "a.com", Exemption::SameSet, 100);
    assert_eq!(third, Some(LimitName::CertificatesPerSet));
    for _ in 0..20 {
        let free = order(&mut meter, "a.com", Exemption::RenewalWindow, 100);
        assert_eq!(free, None);
    }
    assert_eq!(order(&mut meter, "a.com", Exemption::SameSet, 130), None);
    let orders = LimitName::NewOrdersPerAccount;
    assert_eq!(meter.left(&Limits::tiny(), orders, "a", at(100)), Some(3));
}

#[test]
fn a_renewal_in_its_window_takes_from_the_set_all_the_same() {
    let mut meter = Meter::default();
    for _ in 0..2 {
        let free = order(&mut meter, "a.com", Exemption::RenewalWindow, 100);
        assert_eq!(free, None);
    }
    let late = order(&mut meter, "a.com", Exemption::SameSet, 100);
    assert_eq!(late, Some(LimitName::CertificatesPerSet));
}

#[test]
fn failures_hold_the_name_and_endless_ones_pause_it() {
    let (mut meter, limits) = (Meter::default(), Limits::tiny());
    let fail = |meter: &mut Meter| meter.failed(&limits, "a", "x.com", at(100));
    for _ in 0..2 {
        assert!(!fail(&mut meter));
    }
    let held = order(&mut meter, "x.com", Exemption::SameSet, 100);
    assert_eq!(held, Some(LimitName::FailedValidations));
    assert_eq!(order(&mut meter, "y.com", Exemption::None, 100), None);
    meter.succeeded("a", "x.com");
    for _ in 0..4 {
        assert!(!fail(&mut meter));
    }
    assert!(fail(&mut meter));
    assert_eq!(meter.paused("a", &names("w.com x.com")), ["x.com"]);
    assert!(meter.paused("b", &names("x.com")).is_empty());
    assert_eq!(meter.unpause("b"), 0);
    assert_eq!(meter.unpause("a"), 1);
    assert!(meter.paused("a", &names("x.com")).is_empty());
    assert!(!fail(&mut meter));
}

#[test]
fn accounts_are_counted_by_address_and_by_range() {
    let (mut meter, limits) = (Meter::default(), Limits::tiny());
    let mut new = |address: &str| {
        let made = meter.new_account(&limits, address.parse().unwrap(), at(9));
        made.err().map(|denial| denial.limit)
    };
    for _ in 0..3 {
        assert_eq!(new("192.0.2.1"), None);
    }
    assert_eq!(new("192.0.2.1"), Some(LimitName::NewAccountsPerIp));
    assert_eq!(new("192.0.2.2"), None);
    for last in 0..5 {
        assert_eq!(new(&format!("2001:db8:1:{last}::1")), None);
    }
    let full = new("2001:db8:1:9::1");
    assert_eq!(full, Some(LimitName::NewAccountsPerRange));
    assert_eq!(new("2001:db8:2::1"), None);
}

#[test]
fn a_bucket_may_have_a_size_of_its_own() {
    let mut limits = Limits::tiny();
    limits.overrides.push(crate::limits::Override {
        limit: LimitName::NewOrdersPerAccount,
        key: "big".into(),
        value: Limit::per_millis(1_000, 1_000),
    });
    let meter = Meter::default();
    let left = |key| meter.left(&limits, LimitName::NewOrdersPerAccount, key, at(1));
    assert_eq!(left("big"), Some(1_000));
    assert_eq!(left("small"), Some(3));
}
