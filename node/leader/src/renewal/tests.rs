use super::*;
use crate::issuance::inspect::Fraction;
use state::{
    Term, Window,
    testing::{Alone, ManualClock, START, certificate},
};

const DAY: Duration = Duration::from_secs(86_400);
const MOST: u64 = 0xffff_ffff_ffff;

fn day(days: u32) -> Timestamp {
    START.plus(DAY * days)
}

fn window(from: u32, to: u32) -> Window {
    Window {
        start: day(from),
        end: day(to),
    }
}

/// A certificate for 90 days; `known` is the window that its moment was drawn from.
#[track_caller]
fn check(
    known: Option<Window>,
    said: Option<Window>,
    (now, draw): (u32, u64),
    expected: Option<(Timestamp, Option<Window>)>,
) {
    let mut certificate = certificate("shop.example");
    certificate.window = known;
    let advice = said.map_or(Advice::None, Advice::Window);
    let found = schedule(&certificate, advice, Fraction::TWO_THIRDS, day(now), draw);
    assert_eq!(found, expected);
}

#[test]
fn a_moment_is_drawn_once_for_each_window() {
    let (first, other) = (Some(window(58, 60)), Some(window(50, 52)));
    check(None, first, (1, 0), Some((day(58), first)));
    check(None, first, (1, MOST / 2 + 1), Some((day(59), first)));
    check(first, first, (1, MOST), None);
    check(first, other, (1, 0), Some((day(50), other)));
}

#[test]
fn what_is_left_of_a_window_is_drawn_from_and_one_that_is_past_means_now() {
    let half_over = Some(window(58, 60));
    check(None, half_over, (59, 0), Some((day(59), half_over)));
    let over = Some(window(10, 12));
    check(half_over, over, (30, MOST), Some((day(30), over)));
}

#[test]
fn a_ca_is_not_followed_beyond_what_the_lifetime_allows() {
    let late = Some(window(85, 88));
    check(None, late, (1, 0), Some((day(60), late)));
    check(None, late, (70, 0), Some((day(70), late)));
    // A part of the window before the bound is drawn from.
    let wide = window(58, 88);
    let drawn = day(58)..=day(62);
    let mut given = certificate("shop.example");
    given.window = None;
    for draw in [0, MOST / 3, MOST] {
        let found = schedule(
            &given,
            Advice::Window(wide),
            Fraction::TWO_THIRDS,
            day(1),
            draw,
        );
        assert!(drawn.contains(&found.unwrap().0));
    }
}

#[test]
fn without_advice_the_lifetime_rules_and_nothing_is_committed_twice() {
    check(None, None, (1, 0), None);
    check(Some(window(10, 12)), None, (1, 0), Some((day(60), None)));
}

#[test]
fn short_lives_are_renewed_at_half() {
    let mut short = certificate("shop.example");
    short.not_after = day(6);
    let advice = Advice::Window(window(5, 6));
    let found = schedule(&short, advice, Fraction::TWO_THIRDS, day(1), 0);
    assert_eq!(found, Some((day(3), Some(window(5, 6)))));
}

#[test]
fn first_looks_are_spread_over_six_hours_and_stay_where_they_are_at_a_takeover() {
    let mut given = certificate("shop.example");
    let mut quarters = [0; 4];
    for number in 0..=255 {
        given.id.0[0] = number;
        let at = first_look(&given, START);
        let again = first_look(&given, START.plus(USUAL * 7));
        assert_eq!(again, at.plus(USUAL * 7));
        let later = first_look(&given, at.plus(Duration::from_millis(1)));
        assert_eq!(later, at.plus(USUAL));
        let quarter = at.since(START).as_millis() * 4 / USUAL.as_millis();
        quarters[usize::try_from(quarter).unwrap()] += 1;
    }
    assert_eq!(quarters, [64; 4]);
}

#[test]
fn polls_follow_what_is_served_and_forget_what_is_not() {
    let alone = Alone::founded(Arc::new(ManualClock::default()), |_| {});
    alone.authorize("a.example");
    let polls = Polls::default();
    polls.follow(&alone.state(), START);
    assert_eq!(polls.len(), 0);
    let key = state::testing::account_key("sealed").sealed;
    let leaf = bytes::Bytes::from_static(b"leaf");
    alone.install(Term(1), "a.example", key, leaf, Vec::new());
    let state = alone.state();
    polls.follow(&state, START);
    polls.follow(&state, START);
    assert_eq!(polls.len(), 1);
    let later = START.plus(USUAL);
    let due = polls.take(&state, later, 9);
    assert_eq!((due.len(), polls.len()), (1, 0));
    polls.again(due[0], later);
    let id = due[0];
    alone.apply(
        state::Actor::operator("ann"),
        None,
        Change::RevokeCertificate { id, reason: 0 },
    );
    assert_eq!(polls.take(&alone.state(), later, 9), []);
    assert_eq!(polls.len(), 0);
}
