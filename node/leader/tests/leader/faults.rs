//! A CA that ails, refuses, or gives nonsense.

use std::time::Duration;

use leader::issuance::authority::Problem;
use state::{FailureClass, State};

use crate::{
    ca::{Effect, Script, problem},
    world::{Fate, World, failed, served},
};

const NAME: &str = "shop.example";

fn world() -> World {
    let world = World::new();
    world.alone.authorize(NAME);
    world
}

fn failure(state: &State) -> (FailureClass, String, u32, Duration) {
    let failure = state.hostname(NAME).unwrap().failure.clone().unwrap();
    let wait = failure.next_try.since(failure.at);
    (
        failure.class,
        failure.reason.to_string(),
        failure.count,
        wait,
    )
}

#[tokio::test(start_paused = true)]
async fn a_whole_life_in_good_weather() {
    let world = world();
    // Two months at two looks a second would take this test minutes.
    let mut leader = world.lead_with(Fate::Lives, |config| config.tick = Duration::from_secs(600));
    leader.until(served(NAME)).await;
    leader.linger(Duration::from_secs(1)).await;
    world.check_one_certificate(NAME, "in good weather");
    let metrics = leader.running.metrics();
    assert_eq!(
        (metrics.admitted, metrics.installed, metrics.takeovers),
        (1, 1, 1)
    );
    assert_eq!(
        (metrics.resumed, metrics.outages, metrics.fenced),
        (0, 0, 0)
    );
    assert_eq!(metrics.stages.map(|(left, _)| left), [1, 1, 1, 1]);
    let status = leader.running.status();
    assert!(
        status.orders.is_empty() && status.pause.is_none(),
        "{status:?}"
    );

    // Two thirds of its life later the next one is ordered.
    leader.linger(Duration::from_secs(61 * 86_400)).await;
    assert_eq!(world.ca.certificates(), 2);
    assert_eq!(leader.running.metrics().installed, 2);
}

#[tokio::test(start_paused = true)]
async fn authorizations_that_are_valid_already_need_no_challenge() {
    let world = world();
    world.ca.books().manners.reuse = true;
    let mut leader = world.lead(Fate::Lives);
    leader.until(served(NAME)).await;
    world.check_one_certificate(NAME, "born ready");
}

#[tokio::test(start_paused = true)]
async fn many_hostnames_go_forward_at_once_up_to_the_bound() {
    let world = World::new();
    let names: Vec<String> = (0..40).map(|number| format!("n{number}.example")).collect();
    for name in &names {
        world.alone.authorize(name);
    }
    let mut leader = world.lead_with(Fate::Lives, |config| config.orders_in_flight = 8);
    let mut most = 0;
    let begun = world.clock.boottime();
    while world.state().certificates().count() < names.len() {
        most = most.max(world.state().order_count());
        leader.linger(Duration::from_millis(20)).await;
    }
    // The last place is kept for renewals.
    assert_eq!(most, 7);
    leader.until(|state| state.order_count() == 0).await;
    assert_eq!(world.ca.certificates(), names.len());
    let each = world
        .ca
        .books()
        .orders
        .iter()
        .map(|it| it.hostname().to_owned())
        .collect();
    let each: std::collections::BTreeSet<String> = each;
    assert_eq!(each.len(), names.len());
    // Five rounds of some three seconds, and not forty.
    let took = world.clock.boottime() - begun;
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_is_down_fails_no_order_and_costs_no_commits() {
    let world = world();
    world.ca.books().down = true;
    let mut leader = world.lead(Fate::Lives);
    leader.linger(Duration::from_secs(600)).await;
    let pause = leader.running.status().pause.expect("all wait");
    assert!(
        pause.reason.contains("connection refused"),
        "{}",
        pause.reason
    );
    assert!(
        world.alone.log().len() < 10,
        "{} commits",
        world.alone.log().len()
    );

    world.ca.books().down = false;
    leader.until(served(NAME)).await;
    world.check_one_certificate(NAME, "after an outage");
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_goes_down_at_any_request_is_waited_for() {
    for requests in 0..30 {
        let world = world();
        let mut leader = world.lead(Fate::Lives);
        while world.ca.books().requests < requests && !served(NAME)(&world.state()) {
            leader.linger(Duration::from_millis(1)).await;
        }
        world.ca.books().down = true;
        leader.linger(Duration::from_secs(300)).await;
        world.ca.books().down = false;
        leader.until(served(NAME)).await;
        world.check_one_certificate(NAME, &format!("down after {requests} requests"));
    }
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_lost_cost_no_second_certificate() {
    for effect in [
        Effect::NewAccount,
        Effect::NewOrder,
        Effect::Ready,
        Effect::Finalize,
    ] {
        for times in 1..4 {
            let world = world();
            for _ in 0..times {
                world.ca.script(effect, Script::AnswerLost);
            }
            let mut leader = world.lead(Fate::Lives);
            leader.until(served(NAME)).await;
            leader.linger(Duration::from_secs(60)).await;
            world.check_one_certificate(NAME, &format!("{effect:?} lost {times} times"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn requests_that_never_leave_are_sent_again() {
    for effect in [Effect::NewOrder, Effect::Ready, Effect::Finalize] {
        let world = world();
        world.ca.script(effect, Script::Unsent);
        let mut leader = world.lead(Fate::Lives);
        leader.until(served(NAME)).await;
        world.check_one_certificate(NAME, &format!("{effect:?} unsent"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_bad_nonces_passes() {
    let world = world();
    for effect in [Effect::NewOrder, Effect::Ready, Effect::Finalize] {
        for _ in 0..12 {
            world
                .ca
                .script(effect, Script::Refuse(problem("badNonce", "stale")));
        }
    }
    let mut leader = world.lead(Fate::Lives);
    leader.until(served(NAME)).await;
    world.check_one_certificate(NAME, "after bad nonces");
}

#[tokio::test(start_paused = true)]
async fn a_challenge_that_fails_is_told_in_the_words_of_the_ca_and_tried_again_in_steps() {
    let world = world();
    world.ca.books().manners.unconvinced = Some("10.0.0.1: 404");
    let mut leader = world.lead_with(Fate::Lives, |config| config.tick = Duration::from_secs(60));
    for (count, minutes) in [(1, 1), (2, 10), (3, 100), (4, 1_440), (5, 1_440)] {
        let counted = |state: &State| failed(NAME)(state) && failure(state).2 == count;
        leader.until(counted).await;
        let (class, reason, _, wait) = failure(&world.state());
        assert_eq!(class, FailureClass::Challenge);
        assert_eq!(reason, "unauthorized: 10.0.0.1: 404");
        let (minutes, wait) = (f64::from(minutes), wait.as_secs_f64() / 60.0);
        assert!((wait / minutes - 1.0).abs() < 0.11, "{count}: {wait}");
    }
    world.ca.books().manners.unconvinced = None;
    leader.until(served(NAME)).await;
    world.check_one_certificate(NAME, "in the end");
    assert_eq!(leader.running.metrics().failed[0], 5);
}

#[tokio::test(start_paused = true)]
async fn an_order_refused_for_a_limit_waits_as_long_as_the_ca_asks() {
    let world = world();
    let limited = Problem {
        status: 429,
        retry_after: Some(Duration::from_secs(7_200)),
        ..problem("rateLimited", "too many")
    };
    world.ca.script(Effect::NewOrder, Script::Refuse(limited));
    let mut leader = world.lead(Fate::Lives);
    leader.until(failed(NAME)).await;
    let (class, reason, count, wait) = failure(&world.state());
    assert_eq!((class, count), (FailureClass::RateLimited, 1));
    assert_eq!(reason, "rateLimited: too many");
    assert_eq!(wait, Duration::from_secs(7_200));
    leader.until(served(NAME)).await;
    assert!(world.clock.now().since(state::testing::START) >= wait);
    world.check_one_certificate(NAME, "after the limit");
}

#[tokio::test(start_paused = true)]
async fn a_busy_ca_is_no_failure_of_the_hostname() {
    let world = world();
    let busy = Problem {
        status: 503,
        retry_after: Some(Duration::from_secs(30)),
        ..problem("rateLimited", "Service busy; retry later.")
    };
    for effect in [Effect::NewOrder, Effect::Ready, Effect::Finalize] {
        world.ca.script(effect, Script::Refuse(busy.clone()));
    }
    let mut leader = world.lead(Fate::Lives);
    leader.until(served(NAME)).await;
    world.check_one_certificate(NAME, "after a busy hour");
    assert!(leader.running.metrics().outages >= 3);
    assert_eq!(leader.running.metrics().failed, [0; 5]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_the_ca_will_not_finalize_is_given_up_with_its_reason() {
    let world = world();
    let refusal = problem("badCSR", "the key is weak");
    world.ca.script(Effect::Finalize, Script::Refuse(refusal));
    let mut leader = world.lead(Fate::Lives);
    leader.until(failed(NAME)).await;
    let (class, reason, ..) = failure(&world.state());
    assert_eq!(
        (class, reason.as_str()),
        (FailureClass::Rejected, "badCSR: the key is weak")
    );
    leader.until(served(NAME)).await;
    world.check_one_certificate(NAME, "with another key");
}

#[tokio::test(start_paused = true)]
async fn a_certificate_for_another_name_is_never_installed() {
    let world = world();
    world.ca.books().manners.misnamed = Some("evil.example");
    let mut leader = world.lead(Fate::Lives);
    leader.until(failed(NAME)).await;
    let (class, reason, ..) = failure(&world.state());
    assert_eq!(class, FailureClass::Unusable);
    assert!(reason.contains("evil.example"), "{reason}");
    assert_eq!(world.state().certificates().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_stuck_at_the_ca_is_given_up_after_an_hour_and_counted() {
    let world = world();
    world.ca.books().manners.issuing = None;
    let mut leader = world.lead(Fate::Lives);
    leader.until(failed(NAME)).await;
    let now = world.clock.now().since(state::testing::START);
    assert!(
        now >= Duration::from_secs(3_600) && now < Duration::from_secs(3_700),
        "{now:?}"
    );
    leader.linger(Duration::from_secs(1)).await;
    assert_eq!(leader.running.metrics().possible_duplicates, 1);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_the_ca_has_forgotten_is_begun_anew() {
    let world = world();
    world.ca.books().manners.validation = Duration::from_secs(3_600);
    let mut leader = world.lead(Fate::Lives);
    leader
        .until(|state| state.orders().any(|order| order.stage.placed().is_some()))
        .await;
    leader.linger(Duration::from_secs(10)).await;
    world.ca.books().orders.clear();
    leader.until(failed(NAME)).await;
    let (class, reason, ..) = failure(&world.state());
    assert_eq!(
        (class, reason.as_str()),
        (FailureClass::Unavailable, "malformed: no such order")
    );
    assert_eq!(
        leader.running.metrics().possible_duplicates,
        0,
        "it was never finalized"
    );
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_gone_after_finalize_is_tried_again_at_once_or_at_its_end() {
    let world = world();
    world.ca.books().manners.expiry = Some(Duration::from_secs(7 * 86_400));
    let mut leader = world.lead_with(Fate::Lives, |config| config.tick = Duration::from_secs(600));
    // Once without a certificate to serve meanwhile, once with one.
    for (round, at_least) in [(0, 50), (1, 6 * 86_400)] {
        world.ca.books().manners.issuing = None;
        let wanted = round + 1;
        while world.ca.books().finalizations.len() < wanted {
            leader.linger(Duration::from_millis(200)).await;
        }
        leader.linger(Duration::from_secs(10)).await;
        let lost = std::mem::take(&mut world.ca.books().orders);
        leader.until(failed(NAME)).await;
        let (.., wait) = failure(&world.state());
        assert!(wait >= Duration::from_secs(at_least), "{wait:?}");
        leader.linger(Duration::from_secs(1)).await;
        let duplicates = leader.running.metrics().possible_duplicates;
        assert_eq!(duplicates, u64::try_from(wanted).unwrap());
        if round == 0 {
            // The next attempt succeeds, and its renewal is the second round.
            world.ca.books().manners.issuing = Some(Duration::from_millis(500));
            leader.until(served(NAME)).await;
            leader.linger(Duration::from_secs(59 * 86_400)).await;
            world.ca.books().finalizations.truncate(1);
            drop(lost);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_clock_is_doubted_gives_nothing_up_and_renews_nothing() {
    let world = world();
    world.ca.books().manners.validity = Duration::from_secs(3 * 86_400);
    world.ca.books().manners.expiry = Some(Duration::from_secs(86_400));
    let slow_tick = |config: &mut leader::Config| config.tick = Duration::from_secs(60);
    let mut leader = world.lead_with(Fate::Lives, slow_tick);
    leader.until(served(NAME)).await;
    world.doubt(true);
    leader.linger(Duration::from_secs(5 * 86_400)).await;
    assert_eq!(world.ca.certificates(), 1, "no renewal");
    assert!(leader.running.status().clock.is_some());
    world.doubt(false);
    leader.linger(Duration::from_secs(120)).await;
    assert_eq!(world.ca.certificates(), 2);
    assert_eq!(leader.running.status().clock, None);

    world.ca.books().manners.issuing = None;
    leader.linger(Duration::from_secs(2 * 86_400 + 60)).await;
    assert_eq!(world.state().order_count(), 1, "the next is in processing");
    world.doubt(true);
    leader.linger(Duration::from_secs(2 * 86_400)).await;
    assert_eq!(world.state().order_count(), 1);
    assert_eq!(leader.running.metrics().failed, [0; 5]);
}
