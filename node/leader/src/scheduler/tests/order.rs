//! Who goes before whom.

use std::time::Duration;

use state::{
    Algorithms, Budget, CaName, CaSettings, Change, KeyAlgorithm, OwnershipPolicy, ProofMethod,
    Reissue, Wants, Window, ZoneSettings,
    testing::{START, ca_name, host},
};

use super::desk::{DAY, Desk, lanes};
use crate::scheduler::Lane;

#[test]
fn each_goes_to_its_lane_and_lanes_go_in_their_order() {
    let mut desk = Desk::new(CaSettings::default());
    for name in [
        "revoked.example",
        "late.example",
        "due.example",
        "calm.example",
        "both.example",
    ] {
        desk.served(name);
    }
    let revoked = desk
        .state
        .hostname("revoked.example")
        .unwrap()
        .certificate
        .unwrap();
    desk.apply([Change::RevokeCertificate {
        id: revoked,
        reason: 1,
    }]);
    let calm = Change::ReissueCertificates {
        hostnames: vec![host("calm.example")],
        urgency: Reissue::Calm,
    };
    let both = Wants {
        algorithms: Algorithms::Both,
        ..Wants::default()
    };
    let both = Change::SetWants {
        hostname: host("both.example"),
        wants: Box::new(both),
        revision: None,
    };
    desk.apply([calm, both]);
    desk.host("vouched.example");
    let proof = ZoneSettings {
        ownership: OwnershipPolicy::Proof,
        ..ZoneSettings::default()
    };
    desk.apply([Change::SetZone {
        settings: Box::new(proof),
        revision: None,
    }]);
    for (name, by) in [
        ("txt.example", ProofMethod::Txt),
        ("cname.example", ProofMethod::Cname),
    ] {
        desk.host(name);
        desk.prove(name, by);
    }
    let late = desk
        .state
        .hostname("late.example")
        .unwrap()
        .certificate
        .unwrap();
    desk.now = START.plus(DAY * 60);
    let window = Window {
        start: desk.now.minus(DAY),
        end: desk.now,
    };
    desk.apply([Change::ScheduleRenewal {
        id: late,
        renew_at: desk.now,
        window: Some(window),
    }]);
    desk.queue = crate::scheduler::Scheduler::default();
    let picks = desk.pick();
    assert_eq!(
        lanes(&picks),
        [
            ("revoked.example", Lane::Urgent),
            ("late.example", Lane::Urgent),
            ("due.example", Lane::Renewal),
            ("cname.example", Lane::Arriving),
            ("txt.example", Lane::New),
            ("vouched.example", Lane::New),
            ("both.example", Lane::Calm),
            ("calm.example", Lane::Calm),
        ]
        .map(|(name, lane)| (name.to_owned(), lane))
        .to_vec()
    );
    let budgets: Vec<_> = picks.iter().map(|pick| pick.budget).collect();
    use Budget::{New, Renewal, Urgent};
    assert_eq!(
        budgets,
        [Urgent, Urgent, Renewal, New, New, New, Renewal, Renewal]
    );
    assert_eq!(picks[6].algorithm, KeyAlgorithm::Rsa);
    assert!(
        picks[6].replaces.is_none(),
        "nothing is replaced by a second key"
    );
    assert!(picks[2].replaces.is_some());
}

#[test]
fn what_is_waiting_becomes_urgent_by_the_clock_and_by_a_revocation() {
    let mut desk = Desk::new(CaSettings::default());
    desk.free = 0;
    for name in ["a.example", "b.example"] {
        desk.free = 1;
        desk.served(name);
        desk.free = 0;
    }
    desk.now = START.plus(DAY * 60);
    assert_eq!(desk.waiting(), [0, 2, 0, 0, 0]);
    let id = desk
        .state
        .hostname("b.example")
        .unwrap()
        .certificate
        .unwrap();
    desk.apply([Change::RevokeCertificate { id, reason: 1 }]);
    assert_eq!(desk.waiting(), [1, 1, 0, 0, 0]);
    desk.now = START.plus(DAY * 75 - Duration::from_secs(1));
    assert_eq!(desk.waiting(), [1, 1, 0, 0, 0]);
    desk.now = START.plus(DAY * 75);
    assert_eq!(desk.waiting(), [2, 0, 0, 0, 0]);
}

#[test]
fn an_order_within_its_window_is_exempt_but_not_at_its_edges() {
    let mut desk = Desk::new(CaSettings::default());
    let id = desk.served("a.example");
    desk.now = START.plus(DAY * 60);
    let window = Window {
        start: desk.now,
        end: desk.now.plus(DAY),
    };
    desk.apply([Change::ScheduleRenewal {
        id,
        renew_at: desk.now,
        window: Some(window),
    }]);
    let mut budget_at = |offset: Duration| {
        desk.now = window.start.plus(offset);
        let picks = desk.pick();
        desk.give_back(&picks);
        (picks[0].budget, picks[0].lane)
    };
    let minute = Duration::from_secs(60);
    assert_eq!(budget_at(Duration::ZERO), (Budget::Renewal, Lane::Renewal));
    assert_eq!(budget_at(minute), (Budget::Exempt, Lane::Renewal));
    assert_eq!(budget_at(DAY - 2 * minute), (Budget::Exempt, Lane::Renewal));
    assert_eq!(budget_at(DAY - minute), (Budget::Renewal, Lane::Renewal));
    assert_eq!(budget_at(DAY), (Budget::Urgent, Lane::Urgent));
}

#[test]
fn a_set_that_is_new_at_its_ca_counts_in_full() {
    let mut desk = Desk::new(CaSettings::default());
    desk.served("widens.example");
    desk.served("moves.example");
    let other = desk.add_ca("other-ca", 9);
    let set = |name: &str, wants: Wants| Change::SetWants {
        hostname: host(name),
        wants: Box::new(wants),
        revision: None,
    };
    let wildcard = Wants {
        wildcard: true,
        ..Wants::default()
    };
    let moved = Wants {
        ca: Some(other.clone()),
        ..Wants::default()
    };
    desk.apply([set("widens.example", wildcard), set("moves.example", moved)]);
    desk.now = START.plus(DAY * 60);
    let picks = desk.pick();
    let shown: Vec<_> = picks
        .iter()
        .map(|pick| {
            (
                pick.lane,
                pick.budget,
                pick.ca.clone(),
                pick.replaces.is_some(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            (Lane::Renewal, Budget::New, other, false),
            (Lane::New, Budget::New, ca_name(), false),
        ]
    );
}

#[test]
fn tenants_take_turns_whoever_came_first() {
    let mut desk = Desk::new(CaSettings::default());
    for number in 0..5 {
        desk.authorize("big", &format!("b{number}.example"), Wants::default());
    }
    desk.now = desk.now.plus(DAY);
    desk.authorize("small", "s0.example", Wants::default());
    desk.authorize("small", "s1.example", Wants::default());
    assert_eq!(
        desk.names(),
        ["b0", "s0", "b1", "s1", "b2", "b3", "b4"].map(|name| format!("{name}.example"))
    );
}

#[test]
fn the_last_places_are_for_renewals() {
    let mut desk = Desk::new(CaSettings::default());
    desk.served("due.example");
    desk.now = START.plus(DAY * 60);
    for number in 0..5 {
        desk.host(&format!("n{number}.example"));
    }
    (desk.free, desk.kept) = (3, 2);
    assert_eq!(desk.names(), ["due.example"]);
    (desk.free, desk.kept) = (4, 2);
    assert_eq!(desk.names(), ["n0.example", "n1.example"]);
}

#[test]
fn what_nobody_waits_for_is_not_starved() {
    let mut desk = Desk::new(CaSettings::default());
    for number in 0..4 {
        desk.served(&format!("c{number}.example"));
    }
    let hostnames = (0..4)
        .map(|number| host(&format!("c{number}.example")))
        .collect();
    desk.apply([Change::ReissueCertificates {
        hostnames,
        urgency: Reissue::Calm,
    }]);
    for number in 0..100 {
        desk.host(&format!("n{number}.example"));
    }
    desk.free = 16;
    let picks = desk.pick();
    let calm = picks.iter().filter(|pick| pick.lane == Lane::Calm).count();
    assert_eq!((picks.len(), calm), (16, 2));
}

#[test]
fn a_clock_in_doubt_holds_what_only_time_makes_due() {
    let mut desk = Desk::new(CaSettings::default());
    desk.served("due.example");
    let revoked = desk.served("revoked.example");
    desk.apply([Change::RevokeCertificate {
        id: revoked,
        reason: 1,
    }]);
    desk.now = START.plus(DAY * 60);
    desk.host("new.example");
    desk.trusted = false;
    assert_eq!(desk.names(), ["revoked.example", "new.example"]);
    desk.trusted = true;
    assert_eq!(desk.names(), ["due.example"]);
}

#[test]
fn a_clock_that_is_far_off_or_a_pause_begins_nothing() {
    let mut desk = Desk::new(CaSettings::default());
    let revoked = desk.served("revoked.example");
    desk.apply([Change::RevokeCertificate {
        id: revoked,
        reason: 1,
    }]);
    desk.host("new.example");
    desk.held = true;
    assert!(desk.names().is_empty());
    desk.held = false;
    assert_eq!(desk.names(), ["revoked.example", "new.example"]);
}

#[test]
fn another_ca_is_asked_only_for_what_cannot_wait() {
    let mut desk = Desk::new(CaSettings::default());
    desk.served("due.example");
    let other = desk.add_ca("other-ca", 9);
    desk.now = START.plus(DAY * 60);
    desk.host("new.example");
    desk.out.insert(ca_name());
    let picks = desk.pick();
    let shown: Vec<(String, CaName)> = picks
        .iter()
        .map(|pick| (pick.hostname.to_string(), pick.ca.clone()))
        .collect();
    assert_eq!(shown, [("new.example".to_owned(), other.clone())]);
    desk.now = START.plus(DAY * 61);
    let late = desk.pick();
    assert_eq!(
        (late[0].hostname.as_str(), &late[0].ca),
        ("due.example", &other)
    );
    assert_eq!(late[0].budget, Budget::New, "that CA does not know the set");
}

#[test]
fn what_came_to_nothing_rests_and_what_changed_does_not() {
    let mut desk = Desk::new(CaSettings::default());
    desk.host("a.example");
    let picks = desk.pick();
    assert!(desk.pick().is_empty(), "it is in hand");
    desk.queue.ended(&picks[0].hostname, desk.now);
    assert!(desk.pick().is_empty(), "it rests");
    desk.now = desk.now.plus(Duration::from_secs(1));
    assert_eq!(desk.names(), ["a.example"]);
}
