//! A cluster of one, with short logs, so that snapshots and purges happen all the time.

use std::sync::Arc;

use consensus::store::Store;
use consensus::{Config, Dial, Identity, Parts, PeerStream, Replica};
use state::testing::ManualClock;
use state::{Change, ClusterId, NodeId};

/// There is nobody to dial.
struct Nobody;

#[async_trait::async_trait]
impl Dial for Nobody {
    async fn dial(&self, _: NodeId, _: &str) -> std::io::Result<Box<dyn PeerStream>> {
        Err(std::io::ErrorKind::ConnectionRefused.into())
    }
}

pub(crate) async fn start(store: Arc<dyn Store>) -> Replica {
    Replica::start(Parts {
        identity: Identity {
            cluster: ClusterId([7; 16]),
            node: NodeId(1),
        },
        took_part: false,
        store,
        dial: Arc::new(Nobody),
        clock: Arc::new(ManualClock::default()),
        config: Config {
            snapshot_entries: 20,
            keep_entries: 5,
            ..Config::default()
        },
    })
    .await
    .unwrap()
}

pub(crate) fn shop(number: u64) -> String {
    format!("shop{number}.customer.example")
}

pub(crate) fn authorize(number: u64) -> Change {
    state::testing::authorize(&shop(number))
}
