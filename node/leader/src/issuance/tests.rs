//! Which orders are taken up and begun, from real states.

use std::time::Duration;

use bytes::Bytes;
use state::{
    Evidence, FailureClass, Sealed, Term,
    testing::{Alone, ManualClock, START, host},
};

use super::*;

fn cluster() -> Alone {
    Alone::founded(Arc::new(ManualClock::default()), |_| {})
}

fn key() -> Sealed {
    Sealed {
        purpose: KeyPurpose::Serving,
        generation: 1,
        nonce: [0; 12],
        ciphertext: Bytes::new(),
    }
}

#[track_caller]
fn check(alone: &Alone, edit: impl FnOnce(&mut Outlook<'_>), expected: &[&str]) {
    check_beside(alone, &[], edit, expected);
}

#[track_caller]
fn check_beside(
    alone: &Alone,
    in_hand: &[&str],
    edit: impl FnOnce(&mut Outlook<'_>),
    expected: &[&str],
) {
    let in_hand = in_hand.iter().copied().map(host).collect();
    let mut outlook = Outlook {
        now: START,
        in_hand: &in_hand,
        bound: 8,
        trusted: true,
        calm: true,
    };
    edit(&mut outlook);
    let steps: Vec<String> = plan(&alone.state(), &outlook)
        .iter()
        .map(|step| match step {
            Step::Resume(hostname, id) => format!("resume {hostname} {id}"),
            Step::Admit(hostname, _) => format!("admit {hostname}"),
        })
        .collect();
    assert_eq!(steps, expected);
}

#[test]
fn what_is_in_flight_comes_before_what_is_due_and_the_bound_holds_for_both() {
    let alone = cluster();
    alone.authorize("a.example");
    alone.authorize("b.example");
    alone.authorize("c.example");
    alone.prepare(Term(1), "b.example", key(), "token");
    check(
        &alone,
        |_| {},
        &["resume b.example 1", "admit a.example", "admit c.example"],
    );
    check(
        &alone,
        |it| it.bound = 2,
        &["resume b.example 1", "admit a.example"],
    );
    check(&alone, |it| it.bound = 0, &[]);
    check(&alone, |it| it.calm = false, &["resume b.example 1"]);
    check_beside(
        &alone,
        &["a.example", "b.example"],
        |_| {},
        &["admit c.example"],
    );
}

#[test]
fn a_failed_hostname_waits_for_its_next_try() {
    let alone = cluster();
    alone.authorize("a.example");
    let order = alone.prepare(Term(1), "a.example", key(), "token");
    let next_try = START.plus(Duration::from_secs(60));
    let change = Change::FailOrder {
        order,
        evidence: Evidence::Invalid,
        class: FailureClass::Challenge,
        reason: "no".to_owned(),
        next_try,
    };
    alone.duty(Term(1), change);
    check(&alone, |_| {}, &[]);
    check(&alone, |it| it.now = next_try, &["admit a.example"]);
}

#[test]
fn a_renewal_is_due_at_its_moment_and_rests_while_the_clock_is_doubted() {
    let alone = cluster();
    alone.authorize("a.example");
    let leaf = Bytes::from_static(b"leaf");
    alone.install(Term(1), "a.example", key(), leaf, Vec::new());
    let due = START.plus(Duration::from_secs(60 * 86_400));
    check(&alone, |it| it.now = due.minus(Duration::from_secs(1)), &[]);
    check(&alone, |it| it.now = due, &["admit a.example"]);
    let doubt = |it: &mut Outlook<'_>| {
        it.now = due;
        it.trusted = false;
    };
    check(&alone, doubt, &[]);
    alone.authorize("new.example");
    check(&alone, doubt, &["admit new.example"]);
}
