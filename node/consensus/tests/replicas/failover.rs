//! Leaders that go, followers that come back.

use std::sync::atomic::Ordering;
use std::time::Duration;

use consensus::{Config, Halt};
use state::NodeId;
use state::ports::{Leadership, Members};
use tokio::time::Instant;

use crate::world::{PATIENCE, World, until};

/// Writes through `via` until one is acknowledged; how long that took.
async fn next_write(world: &World, via: u64, number: u64) -> Duration {
    let begun = Instant::now();
    while world.write(via, number).await.is_err() {
        assert!(
            begun.elapsed() < PATIENCE,
            "nothing is acknowledged any more"
        );
    }
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_leader_is_replaced_within_two_seconds() {
    let mut world = World::founded(3, Config::default()).await;
    world.write(1, 0).await.unwrap();
    for round in 0..3 {
        let (id, _) = world.leader().await;
        world.stop(id).await;
        let took = next_write(&world, 1 + id % 3, 100 + round).await;
        println!("leader stopped, next acknowledged write after {took:?}");
        assert!(took < Duration::from_secs(3), "{took:?}");
        world.start(id).await.unwrap();
        let index = world.write(id, 200 + round).await.unwrap().index;
        world.converge(&[1, 2, 3], index).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_was_cut_off_comes_back_without_stalling_writes() {
    let world = World::founded(3, Config::default()).await;
    let (id, _) = world.leader().await;
    let term = world.term(id);
    let follower = 1 + id % 3;
    world.gates.isolate(follower);
    let mut slowest = Duration::ZERO;
    let begun = Instant::now();
    let mut number = 0;
    let mut healed = false;
    while begun.elapsed() < Duration::from_secs(6) {
        if !healed && begun.elapsed() > Duration::from_secs(4) {
            world.gates.heal();
            healed = true;
        }
        let write = Instant::now();
        world.write(id, number).await.unwrap();
        number += 1;
        if healed {
            slowest = slowest.max(write.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("slowest write while a follower came back: {slowest:?}");
    assert_eq!(world.term(id), term, "the leader was not deposed");
    // Without the guard it was 1.9 to 3.7 s; with it 12 to 35 ms on an idle machine.
    assert!(slowest < Duration::from_millis(1500), "{slowest:?}");
    let index = world.write(id, number).await.unwrap().index;
    world.converge(&[1, 2, 3], index).await;
}

/// Lets the leader be one for longer than the longest election timeout: one that was
/// elected a moment ago refuses to elect anew, as everybody does.
async fn settle(world: &World) {
    let (id, _) = world.leader().await;
    let begun = Instant::now();
    while begun.elapsed() < Config::default().election_max {
        world.write(id, 9999).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_is_handed_over_in_half_a_second() {
    let world = World::founded(3, Config::default()).await;
    world.write(1, 0).await.unwrap();
    let mut slowest = Duration::ZERO;
    for round in 0..6 {
        let (id, _) = world.leader().await;
        let target = 1 + id % 3;
        settle(&world).await;
        // Asked of the leader, of the target and of the third in turn.
        let asked = [id, target, 1 + target % 3][round % 3];
        let begun = Instant::now();
        let leader = world
            .replica(asked)
            .transfer(Some(NodeId(target)))
            .await
            .unwrap();
        assert_eq!(leader, NodeId(target));
        next_write(&world, asked, 10 + round as u64).await;
        println!(
            "handed over, and a write acknowledged, after {:?}",
            begun.elapsed()
        );
        slowest = slowest.max(begun.elapsed());
    }
    assert!(slowest < Duration::from_millis(1000), "{slowest:?}");
    let (id, leader) = world.leader().await;
    assert_ne!(leader.transfer(None).await.unwrap(), NodeId(id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_five_voters_leadership_is_handed_over_too() {
    let world = World::founded(5, Config::default()).await;
    for round in 0..3 {
        let (id, leader) = world.leader().await;
        let target = 1 + id % 5;
        settle(&world).await;
        let begun = Instant::now();
        assert_eq!(
            leader.transfer(Some(NodeId(target))).await.unwrap(),
            NodeId(target)
        );
        next_write(&world, id, round).await;
        println!(
            "five voters: handed over, and a write acknowledged, after {:?}",
            begun.elapsed()
        );
        assert!(
            begun.elapsed() < Duration::from_secs(3),
            "{:?}",
            begun.elapsed()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_disk_hangs_is_replaced_within_five_seconds() {
    let world = World::founded(3, Config::default()).await;
    world.write(1, 0).await.unwrap();
    let (id, leader) = world.leader().await;
    let known = world.state(id).hostname_count();
    world.faults(id).hangs.store(true, Ordering::SeqCst);
    let took = next_write(&world, 1 + id % 3, 1).await;
    println!("leader's disk hangs, next acknowledged write after {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    until("the replica notices", || leader.halted().borrow().is_some()).await;
    assert!(matches!(
        *leader.halted().borrow(),
        Some(Halt::SlowDisk { .. })
    ));
    assert_eq!(*leader.leadership().borrow(), Leadership::Stopped);
    assert!(
        world.state(id).hostname_count() >= known,
        "what is served stays served"
    );
    world.faults(id).hangs.store(false, Ordering::SeqCst);
}
