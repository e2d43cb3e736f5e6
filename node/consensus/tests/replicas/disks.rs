//! Disks that fill up, or come back empty.

use std::sync::atomic::Ordering;

use consensus::{Config, Halt, IdentityError, StartError};
use state::ports::ProposeError;

use crate::world::{World, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_ends_the_replica_and_nothing_more_is_acknowledged() {
    let world = World::founded(1, Config::default()).await;
    world.write(1, 0).await.unwrap();
    let replica = world.replica(1);
    world.faults(1).full.store(true, Ordering::SeqCst);
    assert!(world.write(1, 1).await.is_err());
    until("it has ended", || replica.halted().borrow().is_some()).await;
    assert!(matches!(
        *replica.halted().borrow(),
        Some(Halt::Store { .. })
    ));
    world.faults(1).full.store(false, Ordering::SeqCst);
    let error = world.write(1, 2).await.unwrap_err();
    assert!(
        matches!(&error, ProposeError::Stopped(why) if why.contains("log")),
        "{error}"
    );
    assert_eq!(
        world.state(1).hostname_count(),
        1,
        "what is served stays served"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_others_go_on_when_one_disk_is_full() {
    let world = World::founded(3, Config::default()).await;
    let (id, _) = world.leader().await;
    world.faults(id).full.store(true, Ordering::SeqCst);
    let other = 1 + id % 3;
    let mut acknowledged = None;
    for _ in 0..20 {
        if let Ok(applied) = world.write(other, 5).await {
            acknowledged = Some(applied.index);
            break;
        }
    }
    let index = acknowledged.expect("the others elect and go on");
    let rest: Vec<u64> = (1..=3).filter(|node| *node != id).collect();
    world.converge(&rest, index).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_came_back_empty_is_not_started_on() {
    let mut world = World::founded(1, Config::default()).await;
    world.stop(1).await;
    std::fs::remove_dir_all(world.directory(1).join("raft")).unwrap();
    let error = world.start(1).await.unwrap_err();
    assert!(
        matches!(error, StartError::Identity(IdentityError::Amnesia { .. })),
        "{error}"
    );
    // Nor when the pointer to the state is gone; and the state is still there.
    let mut world = World::founded(1, Config::default()).await;
    world.stop(1).await;
    std::fs::rename(
        world.directory(1).join("state/current"),
        world.directory(1).join("moved"),
    )
    .unwrap();
    std::fs::rename(
        world.directory(1).join("state/0"),
        world.directory(1).join("state/3"),
    )
    .unwrap();
    let error = world.start(1).await.unwrap_err();
    assert!(
        matches!(error, StartError::Identity(IdentityError::Amnesia { .. })),
        "{error}"
    );
    assert!(world.directory(1).join("state/3/db").exists());
}

/// It would grant a vote twice in a term, and count as having entries that it lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_does_not_come_back_under_its_old_id_with_a_new_disk() {
    let mut world = World::founded(3, Config::default()).await;
    let index = world.write(1, 0).await.unwrap().index;
    world.stop(3).await;
    for entry in std::fs::read_dir(world.directory(3)).unwrap() {
        let path = entry.unwrap().path();
        let removed = if path.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        removed.unwrap();
    }
    for _ in 0..2 {
        let error = world.start(3).await.unwrap_err();
        assert!(
            matches!(error, StartError::Identity(IdentityError::Amnesia { .. })),
            "{error}"
        );
    }
    world.converge(&[1, 2], index).await;
}
