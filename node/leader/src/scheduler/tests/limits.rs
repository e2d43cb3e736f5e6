//! What a limit holds, and what it does not.

use std::time::Duration;

use state::{
    CaSettings, Change, Limit, LimitKind, Preset, Reissue, Wants,
    testing::{START, ca_name, host},
};

use super::desk::{DAY, Desk};
use crate::scheduler::Lane;

fn limited(kind: LimitKind, burst: u32, refill: u64) -> CaSettings {
    CaSettings {
        limits: vec![Limit {
            kind,
            burst,
            refill: Duration::from_secs(refill),
        }],
        ..CaSettings::default()
    }
}

#[test]
fn new_names_stop_at_their_share_of_the_account_and_go_on_one_by_one() {
    let mut desk = Desk::new(limited(LimitKind::Orders, 20, 60));
    for number in 0..40 {
        desk.host(&format!("n{number:02}.example"));
    }
    let picks = desk.pick();
    assert_eq!(picks.len(), 15, "three quarters of twenty");
    for pick in &picks {
        desk.issue(pick);
    }
    assert_eq!(desk.left(LimitKind::Orders, ""), Some(5));
    assert!(desk.pick().is_empty());
    assert_eq!(desk.waiting(), [0, 0, 0, 25, 0], "they wait in their lane");
    desk.now = desk.now.plus(Duration::from_secs(59));
    assert!(desk.pick().is_empty());
    desk.now = desk.now.plus(Duration::from_secs(1));
    assert_eq!(desk.pick().len(), 1);
}

#[test]
fn a_full_account_holds_no_renewal() {
    let mut desk = Desk::new(limited(LimitKind::Orders, 20, 3_600));
    desk.served("due.example");
    desk.now = START.plus(DAY * 60);
    for number in 0..40 {
        desk.host(&format!("n{number:02}.example"));
    }
    let blocked = Change::ObserveLimit {
        bucket: crate::scheduler::budget::orders(&ca_name()),
        until: desk.now.plus(DAY),
    };
    desk.apply([blocked]);
    assert_eq!(desk.names(), ["due.example"]);
}

#[test]
fn a_full_domain_holds_its_own_names_only() {
    let mut desk = Desk::new(limited(LimitKind::Certificates, 4, 600));
    for number in 0..2_500 {
        desk.host(&format!("a{number}.busy.com"));
    }
    desk.now = desk.now.plus(DAY);
    desk.host("shop.other.com");
    let picks = desk.pick();
    let names: Vec<_> = picks.iter().map(|pick| pick.domain.as_str()).collect();
    assert_eq!(names, ["busy.com", "busy.com", "busy.com", "other.com"]);
    for pick in &picks {
        desk.issue(pick);
    }
    assert!(desk.pick().is_empty());
    desk.now = desk.now.plus(Duration::from_secs(600));
    assert_eq!(desk.pick().len(), 1);
}

#[test]
fn a_full_set_holds_that_name_until_it_is_free() {
    let mut desk = Desk::new(limited(LimitKind::Sets, 1, 3_600));
    desk.served("a.example");
    desk.served("b.example");
    let hostnames = vec![host("a.example")];
    desk.apply([Change::ReissueCertificates {
        hostnames,
        urgency: Reissue::Urgent,
    }]);
    desk.host("c.example");
    assert_eq!(desk.names(), ["c.example"]);
    desk.now = desk.now.plus(Duration::from_secs(3_600));
    assert_eq!(desk.names(), ["a.example"]);
}

#[test]
fn what_was_said_and_not_yet_admitted_counts() {
    let mut desk = Desk::new(limited(LimitKind::Orders, 4, 60));
    for number in 0..9 {
        desk.host(&format!("n{number}.example"));
    }
    let first = desk.pick();
    assert_eq!(first.len(), 3);
    assert!(desk.pick().is_empty());
    desk.give_back(&first[..1]);
    assert_eq!(desk.pick().len(), 1, "what came to nothing is free again");
}

#[test]
fn admission_never_refuses_what_was_picked_in_time() {
    let settings = CaSettings {
        limits: Preset::LetsEncrypt.settings().limits,
        ..CaSettings::default()
    };
    let mut desk = Desk::new(settings);
    for number in 0..600_u32 {
        let name = format!("n{number}.d{}.com", number % 7);
        desk.authorize(&format!("t{}", number % 3), &name, Wants::default());
    }
    let mut issued = 0;
    for _ in 0..200 {
        desk.free = 32;
        let picks = desk.pick();
        for pick in &picks {
            assert_eq!(pick.lane, Lane::New);
            desk.issue(pick);
            issued += 1;
        }
        desk.now = desk.now.plus(Duration::from_secs(36));
    }
    // 225 at once by the account, but 37 by each of seven domains; then one of each domain
    // in 202 minutes is less than one in 36 seconds.
    assert_eq!(issued, 225 + 34);
}
