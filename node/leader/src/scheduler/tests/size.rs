//! What a takeover costs, and what a change does.

use std::time::Duration;

use state::{CaSettings, Wants};
use tokio::time::Instant;

use super::desk::{Desk, authorization};

/// As many as `HOSTQUORUM_HOSTNAMES` says; else as many as a test may take.
fn how_many() -> usize {
    let said = std::env::vars().find(|(name, _)| name == "HOSTQUORUM_HOSTNAMES");
    said.map_or(100_000, |(_, value)| value.parse().unwrap())
}

#[test]
fn a_takeover_reads_a_hundred_thousand_names_within_a_second() {
    let count = how_many();
    let mut desk = Desk::new(CaSettings::default());
    for block in 0..count / 1_000 {
        let names = (0..1_000).map(|number| {
            let tenant = format!("tenant-{}", (block * 7 + number) % 997);
            authorization(
                &tenant,
                &format!("shop.client-{block}-{number}.com"),
                Wants::default(),
            )
        });
        desk.apply(names);
    }
    let begun = Instant::now();
    let mut longest = Duration::ZERO;
    loop {
        let part = Instant::now();
        let more = desk.queue.follow(&desk.state, desk.now);
        longest = longest.max(part.elapsed());
        if !more {
            break;
        }
    }
    let taken = begun.elapsed();
    assert_eq!(desk.queue.queue().lanes, [0, 0, 0, count, 0]);
    let begun = Instant::now();
    desk.free = 32;
    assert_eq!(desk.pick().len(), 32);
    let picked = begun.elapsed();
    desk.host("one.more.example");
    let begun = Instant::now();
    desk.queue.follow(&desk.state, desk.now);
    let followed = begun.elapsed();
    println!(
        "{count} names: queue built in {taken:?}, {longest:?} at once, 32 picked in {picked:?}, one change followed in {followed:?}"
    );
    // A second as it is shipped; without optimization some ten times as much.
    let each = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 1 });
    let bound = each * u32::try_from(count.div_ceil(100_000)).unwrap();
    assert!(taken < bound, "{taken:?}");
    assert!(followed < Duration::from_millis(20), "{followed:?}");
}
