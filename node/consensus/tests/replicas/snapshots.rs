//! Snapshots, purges and those who need them.

use std::time::Duration;

use consensus::store::Engine;
use futures_util::future::{join, join_all};
use state::NodeId;
use state::ports::{Bodies, Leadership, Members};

use crate::world::{World, name, short_logs, until};

/// Writes until the leader has purged what a newcomer would need.
async fn write_and_purge(world: &World, from: u64, count: u64) {
    let (id, leader) = world.leader().await;
    for number in from..from + count {
        world.write(id, number).await.unwrap();
    }
    until("the log is purged", || {
        leader.figures().purged > leader.figures().applied.saturating_sub(40)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_gets_a_snapshot_when_the_log_was_purged() {
    newcomer_on(Engine::Sled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_redb_a_newcomer_gets_a_snapshot_when_the_log_was_purged() {
    newcomer_on(Engine::Redb).await;
}

async fn newcomer_on(engine: Engine) {
    let mut world = World::founded_on(engine, 3, short_logs()).await;
    write_and_purge(&world, 0, 100).await;
    world.join(4).await;
    let (id, leader) = world.leader().await;
    assert!(
        world.replica(4).figures().snapshot > 0,
        "it came by snapshot"
    );
    let index = world.write(4, 1000).await.unwrap().index;
    world.converge(&[1, 2, 3, 4], index).await;
    let state = world.state(4);
    let host = state::testing::host(&name(7));
    let events = world
        .replica(4)
        .events(&host, state.hostname(&name(7)).unwrap())
        .unwrap();
    assert!(!events.is_empty(), "bodies came along");
    assert_eq!(leader.configuration().voters.len(), 4);
    assert_eq!(leader.lag(NodeId(4)), Some(0));
    // What was installed is on its disk.
    world.stop(4).await;
    world.start(4).await.unwrap();
    assert_eq!(world.state(4).hostname_count(), 101);
    world.write(id, 1001).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_starts_again_after_its_log_was_purged() {
    let mut world = World::founded(1, short_logs()).await;
    write_and_purge(&world, 0, 100).await;
    for round in 0..3 {
        world.stop(1).await;
        world.start(1).await.unwrap();
        world.leader().await;
        world.write(1, 1000 + round).await.unwrap();
        assert_eq!(world.state(1).hostname_count() as u64, 101 + round);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_was_interrupted_comes_again() {
    let mut world = World::founded(1, short_logs()).await;
    write_and_purge(&world, 0, 100).await;
    world.add_node(2).await;
    world.add_learner(2).await;
    // Cut at some moment of the transfer, then let time pass, then go on.
    for pause in [1, 5, 20, 60] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        world.gates.isolate(2);
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.gates.heal();
    }
    world.promote(2).await;
    let index = world.write(2, 1000).await.unwrap().index;
    world.converge(&[1, 2], index).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_interrupted_install_left_is_removed_at_the_next_start() {
    let mut world = World::founded(1, short_logs()).await;
    write_and_purge(&world, 0, 60).await;
    world.stop(1).await;
    let directory = world.directory(1).to_owned();
    let leftovers = [
        directory.join("state/9/db"),
        directory.join("snapshots/received-0.tmp"),
    ];
    std::fs::create_dir(directory.join("state/9")).unwrap();
    for leftover in &leftovers {
        std::fs::write(leftover, b"half of it").unwrap();
    }
    world.start(1).await.unwrap();
    world.leader().await;
    world.write(1, 1000).await.unwrap();
    for leftover in leftovers {
        assert!(!leftover.exists(), "{}", leftover.display());
    }
}

/// openraft never answers for an entry that a snapshot of the next leader passes over. As
/// many as may be in flight are lost so, and all the same the node leads as before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_entries_a_snapshot_passed_over_leads_again() {
    let world = World::founded(3, short_logs()).await;
    let (old, _) = world.leader().await;
    world.write(old, 0).await.unwrap();
    world.gates.isolate(old);
    let lost = join_all((1..=4).map(|number| world.write(old, number)));
    let next = async {
        let others = || (1..=3).filter(|id| *id != old);
        let leads = |id: &u64| {
            let leadership = world.replica(*id).leadership();
            matches!(*leadership.borrow(), Leadership::Leading(_))
        };
        until("another leads", || others().any(|id| leads(&id))).await;
        let next = others().find(leads).unwrap();
        for number in 100..200 {
            world.write(next, number).await.unwrap();
        }
        let leader = world.replica(next);
        until("the log is purged", || {
            leader.figures().purged > leader.figures().applied.saturating_sub(40)
        })
        .await;
        next
    };
    let (lost, next) = join(lost, next).await;
    assert!(lost.iter().all(Result::is_err), "{lost:?}");
    world.gates.heal();
    let index = world.write(next, 300).await.unwrap().index;
    world.converge(&[1, 2, 3], index).await;
    let back = world.replica(next).transfer(Some(NodeId(old))).await;
    assert_eq!(back.unwrap(), NodeId(old));
    for number in 400..410 {
        world.write(old, number).await.unwrap();
    }
}
