//! A CA that says that a limit is met: what that means for the hostname, and for others.

use std::time::Duration;

use leader::issuance::authority::Problem;
use state::{BucketKey, FailureClass, LimitKind, State, testing::ca_name};

use crate::{
    ca::{Effect, Script, problem},
    world::{Fate, World, failed, served},
};

const NAME: &str = "shop.client.example";
const OTHER: &str = "other.example";

const HOUR: Duration = Duration::from_secs(3_600);

fn limited(detail: &str, retry_after: Option<Duration>) -> Problem {
    Problem {
        status: 429,
        retry_after,
        ..problem("rateLimited", detail)
    }
}

/// One order refused with these words, and what the ledger has of them.
async fn refused(detail: &str, retry_after: Option<Duration>) -> (World, Vec<(LimitKind, String)>) {
    let world = World::new();
    world.alone.authorize(NAME);
    let refusal = Script::Refuse(limited(detail, retry_after));
    world.ca.script(Effect::NewOrder, refusal);
    let mut leader = world.lead(Fate::Lives);
    leader.until(failed(NAME)).await;
    let state = world.state();
    let failure = state.hostname(NAME).unwrap().failure.clone().unwrap();
    assert_eq!(failure.class, FailureClass::RateLimited, "{detail}");
    assert!(failure.reason.contains(detail), "{}", failure.reason);
    let wait = failure.next_try.since(failure.at);
    match retry_after {
        Some(asked) => assert!(asked.abs_diff(wait) < Duration::from_secs(1), "{wait:?}"),
        None => assert!(wait > Duration::from_secs(50), "{wait:?}"),
    }
    let blocked = state
        .buckets()
        .filter(|(_, bucket)| bucket.blocked_until == Some(failure.next_try))
        .map(|(key, _)| (key.kind, key.key.to_string()))
        .collect();
    drop(leader);
    (world, blocked)
}

#[tokio::test(start_paused = true)]
async fn the_words_of_a_limit_find_their_bucket() {
    for (detail, kind, key) in [
        (
            "too many new orders (300) from this account in the last 3h0m0s",
            LimitKind::Orders,
            "",
        ),
        (
            "too many certificates (50) already issued for \"client.example\" in the last 168h",
            LimitKind::Certificates,
            "client.example",
        ),
        (
            "too many certificates (5) already issued for this exact set of identifiers",
            LimitKind::Sets,
            NAME,
        ),
        (
            "too many failed authorizations (5) for \"shop.client.example\" in the last 1h0m0s",
            LimitKind::Failures,
            NAME,
        ),
        ("quota exceeded", LimitKind::Orders, ""),
    ] {
        let (_, blocked) = refused(detail, Some(2 * HOUR)).await;
        assert_eq!(blocked, [(kind, key.to_owned())], "{detail}");
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_words_about_one_name_block_nothing_else() {
    let (_, blocked) = refused("shop.client.example was asked for too often", Some(HOUR)).await;
    assert_eq!(blocked, []);
}

#[tokio::test(start_paused = true)]
async fn a_limit_without_a_moment_waits_as_any_failure_does() {
    let (_, blocked) = refused("too many new orders from this account", None).await;
    assert_eq!(blocked, [(LimitKind::Orders, String::new())]);
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_one_name_holds_no_other_up() {
    let detail = "too many failed authorizations (5) for \"shop.client.example\" in the last 1h";
    let (world, _) = refused(detail, Some(2 * HOUR)).await;
    world.alone.authorize(OTHER);
    let begun = world.clock.boottime();
    let mut leader = world.lead(Fate::Lives);
    leader.until(served(OTHER)).await;
    let took = world.clock.boottime() - begun;
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(leader.running.status().pause, None);
    leader.until(served(NAME)).await;
    let took = world.clock.boottime() - begun;
    assert!(took > HOUR, "{took:?}");
    assert_eq!(world.ca.certificates(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_the_account_is_seen_by_the_next_order() {
    let detail = "too many new orders (300) from this account in the last 3h0m0s";
    let (world, _) = refused(detail, Some(2 * HOUR)).await;
    let key = BucketKey {
        ca: ca_name(),
        kind: LimitKind::Orders,
        key: "".into(),
    };
    let state = world.state();
    let free = state.free_at(&key, state::Share::Urgent, world.clock.now());
    assert!(free.since(world.clock.now()) > HOUR);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_the_ca_has_paused_says_where_to_go() {
    let world = World::new();
    world.alone.authorize(NAME);
    let page = format!("https://portal.ca.example/unpause?jwt={}", "x".repeat(120));
    let paused = Problem {
        instance: Some(page.as_str().into()),
        ..limited(
            "Your account is temporarily prevented from requesting certificates for \
             shop.client.example and possibly others. Please visit: the page",
            None,
        )
    };
    world.ca.script(Effect::NewOrder, Script::Refuse(paused));
    let mut leader = world.lead(Fate::Lives);
    leader.until(failed(NAME)).await;
    let state = world.state();
    let failure = state.hostname(NAME).unwrap().failure.clone().unwrap();
    assert_eq!(failure.class, FailureClass::Paused);
    assert!(failure.reason.contains(&page), "{}", failure.reason);
    assert_eq!(
        state
            .buckets()
            .filter(|(_, it)| it.blocked_until.is_some())
            .count(),
        0
    );
    // No state waits for a person only.
    leader.until(served(NAME)).await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_all_is_no_limit() {
    let world = World::new();
    world.alone.authorize(NAME);
    let busy = Problem {
        status: 503,
        retry_after: Some(HOUR),
        ..problem("rateLimited", "Service busy; retry later.")
    };
    world.ca.script(Effect::NewOrder, Script::Refuse(busy));
    let leader = world.lead(Fate::Lives);
    leader.linger(Duration::from_secs(60)).await;
    let pause = leader.running.status().pause.expect("all wait");
    assert!(pause.left > Duration::from_secs(3_000), "{pause:?}");
    let state: std::sync::Arc<State> = world.state();
    assert_eq!(state.order_count(), 1, "nobody failed");
    assert_eq!(
        state
            .buckets()
            .filter(|(_, it)| it.blocked_until.is_some())
            .count(),
        0
    );
}
