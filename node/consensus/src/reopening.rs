//! Opening the store again after a disk has failed, hung or been full.
//!
//! What may pass is waited for ([`Halt::may_pass`]); meanwhile the old databases stay
//! open, because an engine that cannot write may still read. They are given up only
//! once no write is under way in them and a probe shows that the disk takes writes.
//!
//! # Why that is safe
//!
//! The run that stopped has ended before: its fence stays down for ever, its Raft is
//! shut down, its links are silent, and every handle on its databases is closed. So
//! nothing that it had begun can still be written or said. What it had acknowledged was
//! durable before; what it had not may be gone, as after a power cut. The next run
//! reads what the device holds, not what a failed write left in the kernel's cache
//! ([`Store::forget_cached`]), and does not begin at all if a vote or an entry is
//! missing that was promised. Leadership is not inherited either: a majority must
//! acknowledge it anew.

use std::sync::Arc;
use std::time::Duration;

use rand_core::RngCore;
use tokio::time::{Instant, sleep};

use crate::blocking;
use crate::fence::{Halt, chain};
use crate::life::Life;
use crate::log::Promised;
use crate::replica::{Parts, StartError};
use crate::run::{Run, Shared};
use crate::runtime::Chance;
use crate::store::{Database, Store, StoreError};

/// The first wait. Above any election timeout that makes sense, so that a follower
/// which forgot that it heard a leader elects no other while that one's lease lasts.
const FIRST: Duration = Duration::from_secs(1);

/// The longest: an operator who has mended a disk sees the node back within it, and a
/// disk that fails at every second write costs an opening as often.
const LONGEST: Duration = Duration::from_secs(15);

/// A run of this length proves that the disk was well: the next wait is short again.
const STEADY: Duration = Duration::from_secs(60);

/// How long the handles of an ended run may take to be let go of, in one attempt.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);
const CLOSED_EVERY: Duration = Duration::from_millis(20);

/// Waits that grow, each drawn from within a quarter around its length, so that nodes
/// on one sick store do not come back in step.
#[derive(Debug)]
struct Backoff {
    first: Duration,
    next: Duration,
}

impl Backoff {
    fn new(election_max: Duration) -> Self {
        let first = FIRST.max(2 * election_max);
        Self { first, next: first }
    }

    fn reset(&mut self) {
        self.next = self.first;
    }

    fn draw(&mut self, chance: &mut impl RngCore) -> Duration {
        let length = self.next;
        self.next = (length * 2).min(LONGEST.max(self.first));
        let percent = 75 + chance.next_u32() % 51;
        length * percent / 100
    }
}

/// Follows the replica through its runs until it is shut down, or stopped by what does
/// not pass.
pub(crate) async fn keep(life: Arc<Life>, parts: Parts, mut run: Run) {
    let mut backoff = Backoff::new(parts.config.election_max);
    loop {
        let begun = Instant::now();
        let halt = run.shared.fence.tripped().await;
        let shared = run.ended().await;
        if !halt.may_pass() {
            return;
        }
        if begun.elapsed() >= STEADY {
            backoff.reset();
        }
        let stopped = Stopped::new(Arc::clone(&life), parts.clone(), shared);
        let reopened = tokio::select! {
            biased;
            _ = life.over.tripped() => return,
            reopened = stopped.reopen(&mut backoff) => reopened,
        };
        match reopened {
            Some(next) => run = next,
            None => return,
        }
    }
}

/// A run that has stopped, on its way to the next.
struct Stopped {
    life: Arc<Life>,
    parts: Parts,
    promised: Promised,
    /// Until it is closed.
    old: Option<Arc<Shared>>,
    /// What it had open and somebody may still hold.
    handles: Vec<Arc<dyn Database>>,
    said: String,
}

/// Why the store was not reopened this time.
#[derive(Debug, thiserror::Error)]
enum NotYet {
    #[error("a write is still under way; the disk hangs")]
    Writing,
    #[error("the disk does not take writes")]
    Probe(#[source] StoreError),
    #[error("the databases that were open are still in use")]
    Held,
    #[error("what the disk holds cannot be read again")]
    Cached(#[source] StoreError),
    #[error("the store cannot be opened")]
    Start(#[source] StartError),
}

impl Stopped {
    fn new(life: Arc<Life>, parts: Parts, shared: Arc<Shared>) -> Self {
        Self {
            life,
            parts,
            promised: shared.log.promised(),
            old: Some(shared),
            handles: Vec::new(),
            said: String::new(),
        }
    }

    /// Tries until it runs again; `None` if it never may.
    async fn reopen(mut self, backoff: &mut Backoff) -> Option<Run> {
        let since = Instant::now();
        loop {
            sleep(backoff.draw(&mut Chance)).await;
            match self.attempt().await {
                Ok(run) => {
                    self.life.begin_again(Arc::clone(&run.shared));
                    let stopped = since.elapsed();
                    tracing::info!(?stopped, "the store was opened again; the replica runs");
                    return Some(run);
                }
                Err(NotYet::Start(error)) if error.is_loss() => {
                    let reason = Halt::Amnesia(chain(&error));
                    tracing::error!(%reason, "the replica stays down");
                    self.life.outward.stay_down(reason);
                    return None;
                }
                Err(error) => self.say(chain(&error)),
            }
        }
    }

    /// Says why it does not run yet, once.
    fn say(&mut self, why: String) {
        if self.said != why {
            tracing::warn!(error = why, "the replica cannot be reopened yet");
            self.said = why;
        }
    }

    async fn attempt(&mut self) -> Result<Run, NotYet> {
        if self.old.as_ref().is_some_and(|old| !old.is_idle()) {
            return Err(NotYet::Writing);
        }
        self.on_disk(|store| store.probe())
            .await
            .map_err(NotYet::Probe)?;
        self.close().await?;
        self.on_disk(|store| store.forget_cached())
            .await
            .map_err(NotYet::Cached)?;
        let outward = Arc::clone(&self.life.outward);
        let parts = Parts {
            took_part: true,
            ..self.parts.clone()
        };
        Run::open(parts, outward, self.promised)
            .await
            .map_err(NotYet::Start)
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Store) -> T + Send + 'static,
    ) -> T {
        let store = Arc::clone(&self.parts.store);
        blocking::run(store.blocks(), move || work(&*store)).await
    }

    /// Lets go of the old databases, and waits until everybody has.
    async fn close(&mut self) -> Result<(), NotYet> {
        if let Some(old) = self.old.take() {
            self.handles = old.handles.open();
            self.life.close();
        }
        let deadline = Instant::now() + CLOSED_WITHIN;
        while self
            .handles
            .iter()
            .any(|handle| Arc::strong_count(handle) > 1)
        {
            if Instant::now() >= deadline {
                return Err(NotYet::Held);
            }
            sleep(CLOSED_EVERY).await;
        }
        let handles = std::mem::take(&mut self.handles);
        // An engine writes as it closes.
        self.on_disk(move |_| drop(handles)).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use state::testing::ManualClock;
    use state::{ClusterId, NodeId};

    use super::*;
    use crate::store::MemoryStore;
    use crate::types::Proposal;
    use crate::{Config, Dial, Identity, PeerStream, Replica};

    /// There is nobody to dial.
    struct Nobody;

    #[async_trait]
    impl Dial for Nobody {
        async fn dial(&self, _: NodeId, _: &str) -> std::io::Result<Box<dyn PeerStream>> {
            Err(std::io::ErrorKind::ConnectionRefused.into())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_entry_of_a_newer_version_is_not_tried_again() {
        let directory = tempfile::tempdir().unwrap();
        let replica = Replica::start(Parts {
            identity: Identity {
                cluster: ClusterId([7; 16]),
                node: NodeId(1),
            },
            took_part: false,
            store: Arc::new(MemoryStore::new(directory.path())),
            dial: Arc::new(Nobody),
            clock: Arc::new(ManualClock::default()),
            config: Config::default(),
        });
        let replica = replica.await.unwrap();
        replica.form("nobody:1").await.unwrap();
        let mut leadership = replica.leadership();
        let leads = |now: &_| matches!(now, state::ports::Leadership::Leading(_));
        leadership.wait_for(leads).await.unwrap();
        let raft = replica.life.run().unwrap().raft.clone();
        let newer = Proposal::new(bytes::Bytes::from_static(&[99, 1, 2])).0;
        assert!(raft.client_write(newer).await.is_err());
        let stands = |halt: &Option<Halt>| matches!(halt, Some(Halt::Undecodable { .. }));
        let mut halted = replica.halted();
        halted.wait_for(stands).await.unwrap();
        sleep(Duration::from_secs(3600)).await;
        assert!(stands(&halted.borrow()));
        assert_eq!(replica.figures().reopened, 0);
    }

    #[test]
    fn waits_grow_to_a_bound_and_are_short_again_after_a_steady_run() {
        crate::runtime::seed_thread(1);
        let mut backoff = Backoff::new(Duration::from_millis(450));
        for expected in [1, 2, 4, 8, 15, 15] {
            let drawn = backoff.draw(&mut Chance).as_secs_f64();
            let expected = f64::from(expected);
            assert!(
                (0.75 * expected..=1.25 * expected).contains(&drawn),
                "{drawn}"
            );
        }
        backoff.reset();
        assert!(backoff.draw(&mut Chance) < Duration::from_secs(2));
        let mut slow = Backoff::new(Duration::from_secs(20));
        assert!(
            slow.draw(&mut Chance) >= Duration::from_secs(30),
            "above a lease"
        );
    }

    #[test]
    fn what_needs_another_version_or_an_operator_is_not_tried_again() {
        let reason = String::new;
        for (halt, may_pass) in [
            (
                Halt::Store {
                    database: "log",
                    reason: reason(),
                },
                true,
            ),
            (
                Halt::SlowDisk {
                    database: "log",
                    limit: STEADY,
                },
                true,
            ),
            (
                Halt::Undecodable {
                    index: 1,
                    reason: reason(),
                },
                false,
            ),
            (Halt::Amnesia(reason()), false),
            (Halt::Raft(reason()), false),
            (Halt::Shutdown, false),
        ] {
            assert_eq!(halt.may_pass(), may_pass, "{halt}");
        }
    }
}
