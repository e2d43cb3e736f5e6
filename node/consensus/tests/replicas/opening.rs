//! A replica while its store is being read.

use std::sync::atomic::Ordering;

use consensus::store::Engine;
use consensus::{Config, Replica, StartError};
use state::ports::{Leadership, Propose as _, ProposeError, Reading as _};
use state::{Actor, Index};

use crate::world::{World, authorize, name, until};

/// One that is down, with three hostnames.
async fn down(engine: Engine) -> World {
    let mut world = World::founded_on(engine, 1, Config::default()).await;
    for number in 1..=3 {
        world.write(1, number).await.unwrap();
    }
    world.stop(1).await;
    world
}

#[tokio::test]
async fn hostnames_can_be_looked_up_before_all_are_read() {
    for engine in [Engine::Sled, Engine::Redb] {
        let world = down(engine).await;
        let hang = |hangs| world.faults(1).scans_hang.store(hangs, Ordering::SeqCst);
        hang(true);
        let (replica, opening) = Replica::begin(world.parts(1).unwrap()).await.unwrap();

        let before = replica.so_far();
        assert_eq!(before.hostname_count(), 0);
        assert!(before.cluster_id().is_some(), "the few are there");
        replica.look_up(&name(2)).unwrap();
        replica.look_up("unknown.example").unwrap();
        let so_far = replica.so_far();
        assert!(so_far.hostname(&name(2)).is_some());
        assert_eq!(
            (so_far.hostname_count(), so_far.index()),
            (1, before.index())
        );

        assert_eq!(
            replica.state().borrow().index(),
            Index(0),
            "nobody else sees a part"
        );
        let following = Leadership::Following {
            term: state::Term(0),
            leader: None,
        };
        assert_eq!(*replica.leadership().borrow(), following);
        let refused = replica.propose(Actor::operator("test"), authorize(4)).await;
        assert!(
            matches!(refused, Err(ProposeError::Stopped(_))),
            "{refused:?}"
        );

        hang(false);
        opening.done().await.unwrap();
        assert_eq!(replica.state().borrow().hostname_count(), 3);
        assert_eq!(replica.so_far().hostname_count(), 3);
        replica.look_up(&name(1)).unwrap();
        until("it leads", || {
            matches!(*replica.leadership().borrow(), Leadership::Leading(_))
        })
        .await;
        replica.shutdown().await;
    }
}

#[tokio::test]
async fn a_store_of_another_cluster_is_told_by_the_opening() {
    let world = down(Engine::Sled).await;
    let mut parts = world.parts(1).unwrap();
    parts.identity.cluster = state::ClusterId([8; 16]);
    let (replica, opening) = Replica::begin(parts).await.unwrap();
    let told = opening.done().await;
    assert!(matches!(told, Err(StartError::Identity(_))), "{told:?}");
    assert_eq!(replica.so_far().index(), Index(0), "nothing of it is shown");
}

#[tokio::test]
async fn it_can_be_shut_down_while_it_reads() {
    let world = down(Engine::Sled).await;
    let hang = |hangs| world.faults(1).scans_hang.store(hangs, Ordering::SeqCst);
    hang(true);
    let (replica, opening) = Replica::begin(world.parts(1).unwrap()).await.unwrap();
    let release = async {
        // It is over at once; its thread may still wait for the disk.
        until("it stands still", || replica.halted().borrow().is_some()).await;
        hang(false);
    };
    let (opened, (), ()) = tokio::join!(opening.done(), replica.shutdown(), release);
    assert!(opened.is_ok() || matches!(opened, Err(StartError::Raft(_))));
    assert_eq!(replica.figures().reopened, 0);
}
