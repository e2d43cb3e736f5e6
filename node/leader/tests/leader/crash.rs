//! A leader dies at every point of an account's and an order's way, and its successor at
//! every point of its own: there is always one certificate.

use std::time::Duration;

use leader::Config;

use crate::world::{Ended, Fate, World, served};

const NAME: &str = "shop.example";

/// Leaders with these fates, one after the other, and then one that lives. Tells which
/// of them died.
async fn rule(fates: &[Fate], what: &str) -> usize {
    let (world, deaths) = reign_after_reign(fates, |_| {}).await;
    world.check_one_certificate(NAME, what);
    let orders = world.ca.books().orders.len();
    assert!(
        orders <= 1 + deaths,
        "{what}: {orders} orders after {deaths} deaths"
    );
    deaths
}

async fn reign_after_reign(fates: &[Fate], edit: fn(&mut Config)) -> (World, usize) {
    let world = World::new();
    world.alone.authorize(NAME);
    let mut deaths = 0;
    for fate in fates {
        let mut process = world.lead_with(*fate, edit);
        let mut ended = process.until(served(NAME)).await;
        if ended == Ended::Reached {
            // The last points come after the certificate is there.
            ended = process.linger(Duration::from_millis(10)).await;
        }
        if ended == Ended::Reached {
            break;
        }
        deaths += 1;
    }
    let mut heir = world.lead_with(Fate::Lives, edit);
    heir.until(served(NAME)).await;
    // Whatever is still to arrive, arrives.
    heir.linger(Duration::from_secs(60)).await;
    drop(heir);
    (world, deaths)
}

/// How many points a leader passes that begins with nothing.
const POINTS_AT_LEAST: usize = 28;

#[tokio::test(start_paused = true)]
async fn one_death_anywhere_leaves_one_certificate() {
    let mut point = 0;
    while rule(&[Fate::Dies(point)], &format!("died at {point}")).await == 1 {
        point += 1;
    }
    assert!(point >= POINTS_AT_LEAST, "only {point} points were passed");
}

#[tokio::test(start_paused = true)]
async fn two_deaths_anywhere_leave_one_certificate() {
    let mut first = 0;
    loop {
        let mut second = 0;
        let what = |second| format!("died at {first}, its heir at {second}");
        let fates = |second| [Fate::Dies(first), Fate::Dies(second)];
        while rule(&fates(second), &what(second)).await == 2 {
            second += 1;
        }
        if second == 0 && rule(&[Fate::Dies(first)], "alone").await == 0 {
            break;
        }
        first += 1;
    }
    assert!(first >= POINTS_AT_LEAST, "only {first} points were passed");
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_leader_had_sent_may_arrive_late() {
    // A permission's life and the kernel's patience, less a moment.
    for late in [0, 1_000, 3_000, 5_900].map(Duration::from_millis) {
        let mut point = 0;
        loop {
            let what = format!("died sending at {point}, arrived {late:?} later");
            if rule(&[Fate::DiesSending(point, late)], &what).await == 0 {
                break;
            }
            point += 1;
        }
        assert!(point >= POINTS_AT_LEAST, "only {point} points were passed");
    }
}

#[tokio::test(start_paused = true)]
async fn what_two_dead_leaders_had_sent_may_arrive_late() {
    let late = Duration::from_millis(5_900);
    let mut first = 0;
    loop {
        let mut second = 0;
        loop {
            let fates = [
                Fate::DiesSending(first, late),
                Fate::DiesSending(second, late),
            ];
            let what = format!("died sending at {first} and {second}");
            if rule(&fates, &what).await < 2 {
                break;
            }
            second += 1;
        }
        if second == 0 {
            break;
        }
        first += 1;
    }
    assert!(first >= POINTS_AT_LEAST, "only {first} points were passed");
}

#[tokio::test(start_paused = true)]
async fn without_the_wait_there_would_be_two() {
    // The matrix above has teeth: this CA does make a second certificate if it is asked.
    let late = Duration::from_millis(500);
    let mut most = 0;
    for point in 0.. {
        let fates = [Fate::DiesSending(point, late)];
        let hasty = |config: &mut Config| config.finalize_wait = Duration::ZERO;
        let (world, deaths) = reign_after_reign(&fates, hasty).await;
        if deaths == 0 {
            break;
        }
        most = most.max(world.ca.certificates());
    }
    assert!(most > 1, "{most}");
}
