//! Many at once.

use std::sync::Arc;
use std::time::Duration;

use consensus::Config;
use state::ports::Propose;
use state::{Actor, Outcome};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::world::{World, authorize};

/// 200 proposals at once at the leader; how long until the last was acknowledged.
async fn burst(world: &World, id: u64, from: u64) -> Duration {
    let replica = world.replica(id);
    let mut writes = JoinSet::new();
    let begun = Instant::now();
    for number in from..from + 200 {
        let replica = Arc::clone(&replica);
        writes.spawn(async move {
            replica
                .propose(Actor::operator("test"), authorize(number))
                .await
        });
    }
    while let Some(written) = writes.join_next().await {
        assert_eq!(written.unwrap().unwrap().outcome, Outcome::DONE);
    }
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_concurrent_writes_share_their_flushes() {
    let world = World::founded(3, Config::default()).await;
    world.slow_flushes(2);
    let (id, _) = world.leader().await;
    let mut took: Vec<Duration> = Vec::new();
    for round in 0..5 {
        took.push(burst(&world, id, round * 200).await);
    }
    took.sort();
    println!(
        "200 concurrent writes with flushes of 2 ms: median {:?}, all {took:?}",
        took[2]
    );
    // Alone each would wait for its own flush: 400 ms and more.
    assert!(took[2] < Duration::from_millis(200), "{took:?}");
    let index = world.write(id, 5000).await.unwrap().index;
    world.converge(&[1, 2, 3], index).await;
}
