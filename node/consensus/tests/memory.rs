//! A replica on a store in memory runs on one thread and survives a loss of power,
//! which is what a simulation relies on.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, not only tests, fail by panicking"
)]

#[path = "alone/replica.rs"]
mod replica;

use std::sync::Arc;
use std::time::Duration;

use consensus::store::MemoryStore;
use consensus::{Halt, seed_thread};
use state::ports::Propose;
use state::testing::found;
use state::{Actor, Change};
use tokio::time::Instant;

use crate::replica::{authorize, start};

/// Time stands still but for what is waited for, so this takes no time.
#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn what_was_acknowledged_survives_a_loss_of_power_again_and_again() {
    seed_thread(1);
    let directory = tempfile::tempdir().unwrap();
    let store = MemoryStore::new(directory.path());
    let actor = Actor::operator("test");
    let mut replica = start(Arc::new(store.clone())).await;
    replica.form("nobody:1").await.unwrap();
    replica
        .propose(actor.clone(), Change::Found(Box::new(found())))
        .await
        .unwrap();
    for round in 0..10 {
        for number in 0..25 {
            let change = authorize(round * 25 + number);
            replica.propose(actor.clone(), change).await.unwrap();
        }
        // A snapshot is due after a quarter as many entries as there are hostnames. Time
        // passes at once here.
        let (deadline, applied) = (
            Instant::now() + Duration::from_secs(60),
            replica.figures().applied,
        );
        while replica.figures().purged + 100 < applied {
            assert!(
                Instant::now() < deadline,
                "the log is not purged: {:?}",
                replica.figures()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        store.crash();
        // The old one finds that its disk is gone, and says so.
        assert!(
            replica
                .propose(actor.clone(), authorize(9999))
                .await
                .is_err()
        );
        assert!(matches!(
            *replica.halted().borrow(),
            Some(Halt::Store { .. })
        ));
        if round % 2 == 0 {
            replica.shutdown().await;
            replica = start(Arc::new(store.clone())).await;
        } else {
            // By itself.
            let mut halted = replica.halted();
            halted.wait_for(Option::is_none).await.unwrap();
        }
        replica.barrier().await.unwrap();
        let state = replica.state().borrow().clone();
        assert_eq!(state.hostname_count() as u64, (round + 1) * 25);
    }
    assert_eq!(replica.figures().reopened, 1, "since the last start");
    assert!(
        replica.figures().purged > 0,
        "snapshots and purges were among it"
    );
}
