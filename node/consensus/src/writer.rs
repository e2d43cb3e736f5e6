//! The one thread that writes a database.
//!
//! All writes of a database pass through its writer, in the order in which they
//! were submitted, and are answered after flush and fdatasync: concurrent flushers
//! were never tested against a power cut, one writer was. The first failure is the
//! last write: nothing is written or acknowledged after it, and the replica ends.
//! So it does when a job takes longer than a limit; a disk that hangs for two
//! seconds is a disk to be without.
//!
//! The queue is not bounded here, because its users wait for each answer before
//! they submit again: Raft's core (one append, vote or purge at a time) and apply.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak, mpsc};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::fence::{Fence, Halt, chain};
use crate::store::{Batch, Database, StoreError, Tree};

/// How often the watchdog looks: a hung disk is noticed within the limit and this.
const WATCH_EVERY: Duration = Duration::from_millis(100);

/// Batches that become durable together, in this order.
pub(crate) type Steps = Vec<(Tree, Batch)>;

struct Job {
    steps: Steps,
    done: oneshot::Sender<Result<(), WriteFailed>>,
}

/// A write did not become durable; the replica is ending.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the write did not become durable: {0}")]
pub(crate) struct WriteFailed(pub(crate) String);

impl From<WriteFailed> for std::io::Error {
    fn from(error: WriteFailed) -> Self {
        Self::other(error)
    }
}

/// Counts jobs, so that the watchdog sees one that does not end.
#[derive(Debug, Default)]
struct Progress {
    begun: AtomicU64,
    ended: AtomicU64,
}

enum Mode {
    Thread {
        jobs: mpsc::Sender<Job>,
        progress: Arc<Progress>,
    },
    /// For a store that does not block: on the caller's thread.
    Inline(Arc<dyn Database>),
}

/// Writes one database. Dropping it ends the thread after what was submitted.
pub(crate) struct Writer {
    mode: Mode,
    name: &'static str,
    fence: Fence,
}

impl Writer {
    /// Begins to write `database`, which is called `name` in messages. Must be
    /// called within a tokio runtime.
    pub(crate) fn new(
        database: Arc<dyn Database>,
        name: &'static str,
        blocks: bool,
        limit: Duration,
        fence: Fence,
    ) -> std::io::Result<Self> {
        if !blocks {
            return Ok(Self {
                mode: Mode::Inline(database),
                name,
                fence,
            });
        }
        let (jobs, queue) = mpsc::channel();
        let progress = Arc::new(Progress::default());
        tokio::spawn(watchdog(
            Arc::downgrade(&progress),
            name,
            limit,
            fence.clone(),
        ));
        let thread = (Arc::clone(&progress), fence.clone());
        std::thread::Builder::new()
            .name(format!("write-{name}"))
            .spawn(move || run(&queue, database.as_ref(), name, &thread.0, &thread.1))?;
        Ok(Self {
            mode: Mode::Thread { jobs, progress },
            name,
            fence,
        })
    }

    /// Writes `steps`; returns when they are durable. Being dropped while it waits
    /// does not stop the write.
    pub(crate) async fn write(&self, steps: Steps) -> Result<(), WriteFailed> {
        if let Some(halt) = self.fence.halted() {
            return Err(WriteFailed(halt.to_string()));
        }
        match &self.mode {
            Mode::Inline(database) => inline(database.as_ref(), &steps)
                .await
                .map_err(|error| failed(&self.fence, self.name, &error)),
            Mode::Thread { jobs, .. } => {
                let (done, answer) = oneshot::channel();
                let ended = || WriteFailed("the writer has ended".into());
                jobs.send(Job { steps, done }).map_err(|_| ended())?;
                tokio::select! {
                    answer = answer => answer.map_err(|_| ended())?,
                    halt = self.fence.tripped() => Err(WriteFailed(halt.to_string())),
                }
            }
        }
    }
}

impl Writer {
    /// Returns once nothing is written any more, with the reason.
    pub(crate) async fn halted(&self) -> WriteFailed {
        WriteFailed(self.fence.tripped().await.to_string())
    }

    /// Whether no write is under way. Stays so once the fence has fallen and a moment
    /// has passed.
    pub(crate) fn is_idle(&self) -> bool {
        match &self.mode {
            // Whoever waits for it carries it out.
            Mode::Inline(_) => true,
            Mode::Thread { progress, .. } => {
                // In this order: a write that begins in between shows as one.
                let ended = progress.ended.load(Ordering::Acquire);
                progress.begun.load(Ordering::Acquire) == ended
            }
        }
    }
}

fn run(
    queue: &mpsc::Receiver<Job>,
    database: &dyn Database,
    name: &'static str,
    progress: &Progress,
    fence: &Fence,
) {
    while let Ok(job) = queue.recv() {
        if let Some(halt) = fence.halted() {
            // Nobody waits for the answer any more if the receiver is gone.
            let _ = job.done.send(Err(WriteFailed(halt.to_string())));
            continue;
        }
        progress.begun.fetch_add(1, Ordering::AcqRel);
        let written = execute(database, &job.steps).map_err(|error| failed(fence, name, &error));
        progress.ended.fetch_add(1, Ordering::AcqRel);
        let _ = job.done.send(written);
    }
}

fn execute(database: &dyn Database, steps: &Steps) -> Result<(), StoreError> {
    put(database, steps)?;
    database.flush_durable()
}

/// As [`execute`], with the time that the flush takes as the runtime counts it.
async fn inline(database: &dyn Database, steps: &Steps) -> Result<(), StoreError> {
    put(database, steps)?;
    let takes = database.flush_takes();
    if !takes.is_zero() {
        tokio::time::sleep(takes).await;
    }
    database.flush_durable()
}

fn put(database: &dyn Database, steps: &Steps) -> Result<(), StoreError> {
    for (tree, batch) in steps {
        if !batch.is_empty() {
            database.write_atomic(*tree, batch)?;
        }
    }
    Ok(())
}

fn failed(fence: &Fence, name: &'static str, error: &StoreError) -> WriteFailed {
    let reason = chain(error);
    fence.trip(Halt::Store {
        database: name,
        reason: reason.clone(),
    });
    WriteFailed(reason)
}

/// Trips the fence when one job is seen to run for longer than `limit`.
async fn watchdog(progress: Weak<Progress>, name: &'static str, limit: Duration, fence: Fence) {
    let mut seen: Option<(u64, Instant)> = None;
    loop {
        tokio::time::sleep(WATCH_EVERY).await;
        let Some(progress) = progress.upgrade() else {
            return;
        };
        let ended = progress.ended.load(Ordering::Acquire);
        let begun = progress.begun.load(Ordering::Acquire);
        seen = match seen {
            _ if begun == ended => None,
            Some((job, since)) if job == begun => {
                if since.elapsed() >= limit {
                    fence.trip(Halt::SlowDisk {
                        database: name,
                        limit,
                    });
                    return;
                }
                Some((job, since))
            }
            _ => Some((begun, Instant::now())),
        };
    }
}
