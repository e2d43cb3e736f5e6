//! Disks that fail or hang for a while, and the replicas on them that run again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use consensus::store::Engine;
use consensus::{Config, Halt, Replica};
use state::ports::{Bodies, Leadership};
use state::{Index, State};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::world::{PATIENCE, World, name, short_logs, until};

/// Writes through node `via` until it is acknowledged.
async fn written(world: &World, via: u64, number: u64) -> Index {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match world.write(via, number).await {
            Ok(applied) => return applied.index,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    }
}

async fn stopped(replica: &Replica) -> Halt {
    until("it stands still", || replica.halted().borrow().is_some()).await;
    replica.halted().borrow().clone().unwrap()
}

async fn runs_again(replica: &Replica) {
    until("it runs again", || replica.halted().borrow().is_none()).await;
}

/// Follows a published state and fails if it ever goes back.
fn never_goes_back(mut states: watch::Receiver<Arc<State>>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut last = Index(0);
        while states.changed().await.is_ok() {
            let now = states.borrow_and_update().index();
            assert!(now >= last, "{now} after {last}");
            last = now;
        }
    })
}

async fn a_failing_disk_on(engine: Engine) {
    let world = World::founded_on(engine, 3, short_logs()).await;
    for number in 0..20 {
        world.write(1, number).await.unwrap();
    }
    let (id, leader) = world.leader().await;
    let others: Vec<u64> = (1..=3).filter(|node| *node != id).collect();
    let watched = never_goes_back(leader.state());
    world.faults(id).full.store(true, Ordering::SeqCst);
    for number in 20..40 {
        written(&world, others[0], number).await;
    }
    let halt = stopped(&leader).await;
    assert!(matches!(halt, Halt::Store { .. }), "{halt}");
    assert_eq!(*leader.leadership().borrow(), Leadership::Stopped);
    // While the disk fails its old databases stay open, and nothing is tried on them.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        assert!(leader.halted().borrow().is_some());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world.faults(id).full.store(false, Ordering::SeqCst);
    runs_again(&leader).await;
    assert_eq!(leader.figures().reopened, 1);
    // As a follower that proposes, too.
    let index = written(&world, id, 40).await;
    world.converge(&[1, 2, 3], index).await;
    assert_eq!(world.state(id).hostname_count(), 41);
    assert!(!watched.is_finished(), "its state never went back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_runs_again_once_its_disk_takes_writes() {
    a_failing_disk_on(Engine::Sled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_redb_a_replica_runs_again_once_its_disk_takes_writes() {
    a_failing_disk_on(Engine::Redb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_runs_again_once_its_disk_hangs_no_more() {
    let world = World::founded(3, Config::default()).await;
    written(&world, 1, 0).await;
    let (id, leader) = world.leader().await;
    world.faults(id).hangs.store(true, Ordering::SeqCst);
    written(&world, 1 + id % 3, 1).await;
    let halt = stopped(&leader).await;
    assert!(matches!(halt, Halt::SlowDisk { .. }), "{halt}");
    // A write hangs in the old database: it is not closed under it.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        assert!(leader.halted().borrow().is_some());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world.faults(id).hangs.store(false, Ordering::SeqCst);
    runs_again(&leader).await;
    let index = written(&world, id, 2).await;
    world.converge(&[1, 2, 3], index).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_are_read_from_another_member_when_the_own_disk_hangs() {
    let world = World::founded(3, Config::default()).await;
    let index = world.write(1, 7).await.unwrap().index;
    world.converge(&[1, 2, 3], index).await;
    let own = read(world.replica(3)).await.unwrap();
    let faults = world.faults(2);
    faults.hangs.store(true, Ordering::SeqCst);
    written(&world, 1, 8).await;
    stopped(&world.replica(2)).await;
    faults.reads_hang.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    let borrowed = read(world.replica(2)).await;
    let took = begun.elapsed();
    assert_eq!(borrowed.unwrap(), own);
    assert!(took < Duration::from_secs(2), "{took:?}");
    faults.reads_hang.store(false, Ordering::SeqCst);
    faults.hangs.store(false, Ordering::SeqCst);
    runs_again(&world.replica(2)).await;
}

/// The timeline of hostname 7, whose events are bodies.
async fn read(replica: Arc<Replica>) -> Result<Vec<state::Event>, state::ports::BodiesError> {
    let reading = move || {
        let state = replica.state().borrow().clone();
        let host = state::testing::host(&name(7));
        replica.events(&host, state.hostname(&name(7)).unwrap())
    };
    tokio::task::spawn_blocking(reading).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_are_read_from_another_member_when_the_own_store_refuses() {
    let mut world = World::founded(3, Config::default()).await;
    let index = world.write(1, 7).await.unwrap().index;
    world.converge(&[1, 2, 3], index).await;
    world.faults(2).refuses.store(true, Ordering::SeqCst);
    assert_eq!(read(world.replica(2)).await.unwrap().len(), 1);
    let own = read(world.replica(3)).await.unwrap();
    assert_eq!(read(world.replica(2)).await.unwrap(), own);
    // Also of a member that stands still, and while this one does.
    for id in [2, 3] {
        world.faults(id).full.store(true, Ordering::SeqCst);
        let _ = world.write(id, 8).await;
        stopped(&world.replica(id)).await;
    }
    world.stop(1).await;
    assert_eq!(read(world.replica(2)).await.unwrap(), own);
    // What nobody has is not there; whoever cannot ask says so.
    let replica = world.replica(2);
    let missing = tokio::task::spawn_blocking(move || replica.read(b"no such body"));
    let missing = missing.await.unwrap().unwrap_err().to_string();
    assert!(missing.contains("node 1"), "{missing}");
    world.stop(3).await;
    let error = read(world.replica(2)).await.unwrap_err().to_string();
    assert!(
        error.contains("closed") && error.contains("node 1") && error.contains("node 3"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_cannot_be_read_yet_is_no_loss() {
    let world = World::founded(1, Config::default()).await;
    world.write(1, 0).await.unwrap();
    let replica = world.replica(1);
    let faults = world.faults(1);
    faults.full.store(true, Ordering::SeqCst);
    assert!(world.write(1, 1).await.is_err());
    stopped(&replica).await;
    faults.refuses.store(true, Ordering::SeqCst);
    faults.full.store(false, Ordering::SeqCst);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        assert!(matches!(
            *replica.halted().borrow(),
            Some(Halt::Store { .. })
        ));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    faults.refuses.store(false, Ordering::SeqCst);
    runs_again(&replica).await;
    written(&world, 1, 2).await;
}

/// Copies the files of a folder that holds no others.
fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_came_back_with_less_than_was_promised_is_not_run_on() {
    let mut world = World::founded(1, Config::default()).await;
    world.write(1, 0).await.unwrap();
    world.stop(1).await;
    let earlier = world.directory(1).join("earlier");
    copy(&world.directory(1).join("raft"), &earlier);
    world.start(1).await.unwrap();
    world.leader().await;
    world.write(1, 1).await.unwrap();
    let replica = world.replica(1);
    *world.faults(1).earlier_log.lock().unwrap() = Some(earlier);
    world.faults(1).full.store(true, Ordering::SeqCst);
    assert!(world.write(1, 2).await.is_err());
    stopped(&replica).await;
    world.faults(1).full.store(false, Ordering::SeqCst);
    until("it says what is missing", || {
        matches!(&*replica.halted().borrow(), Some(Halt::Amnesia(why)) if why.contains("lost data"))
    })
    .await;
    let error = world.write(1, 3).await.unwrap_err().to_string();
    assert!(error.contains("join again"), "{error}");
    assert_eq!(world.state(1).hostname_count(), 2, "what is served stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_while_disks_fail_in_turn() {
    let world = Arc::new(World::founded(3, short_logs()).await);
    let over = Arc::new(AtomicBool::new(false));
    let writing = {
        let (world, over) = (Arc::clone(&world), Arc::clone(&over));
        tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            let mut number = 0;
            while !over.load(Ordering::SeqCst) {
                if world.write(1 + number % 3, number).await.is_ok() {
                    acknowledged.push(number);
                }
                number += 1;
            }
            acknowledged
        })
    };
    for round in 0..4 {
        let id = 1 + round % 3;
        let fault = if round % 2 == 0 {
            &world.faults(id).full
        } else {
            &world.faults(id).hangs
        };
        fault.store(true, Ordering::SeqCst);
        let replica = world.replica(id);
        stopped(&replica).await;
        fault.store(false, Ordering::SeqCst);
        runs_again(&replica).await;
    }
    over.store(true, Ordering::SeqCst);
    let acknowledged = writing.await.unwrap();
    let index = written(&world, 1, 1_000_000).await;
    world.converge(&[1, 2, 3], index).await;
    println!("{} writes acknowledged meanwhile", acknowledged.len());
    for id in 1..=3 {
        let state = world.state(id);
        let lost = acknowledged
            .iter()
            .find(|number| state.hostname(&name(**number)).is_none());
        assert_eq!(lost, None, "on node {id}");
    }
}
