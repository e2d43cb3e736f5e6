//! Raft's log and hard state on a [`Database`].
//!
//! Vote, append, truncate and purge pass through one [`Writer`] and are answered
//! after fdatasync, so they happen in the order in which openraft asked for them.
//! `append` itself returns only then: openraft 0.9 awaits the flush in its core
//! anyway, and this way an entry that can be read is an entry that is durable.
//!
//! **What a snapshot takes the place of.** openraft 0.9 purges the log for a snapshot that
//! it was sent as soon as it has told the state machine to install it. Were that durable
//! first, and the installing failed, entries would be missing between the state and the
//! log. So the purge mark becomes durable only once the state machine holds as much, and
//! no entry is appended behind a mark that is not durable yet.

mod recent;
mod stored;

use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{AnyError, EntryPayload, LogState, OptionalSend, RaftLogReader};
use tokio::sync::watch;

use self::recent::Recent;
use self::stored::{decode, first_keys};
use crate::store::{Batch, Database, StoreError, Tree};
use crate::types::{Entry, LogId, StorageError, StorageIoError, TypeConfig, Vote};
use crate::wire;
use crate::writer::{Steps, Writer};

const VOTE_KEY: &[u8] = b"vote";
const PURGED_KEY: &[u8] = b"purged";

/// Most bytes of entries sent to a follower at once: with the core's limit of one
/// heartbeat interval for an append, more would time out on a slow link.
const MAX_READ_BYTES: usize = 1024 * 1024;

/// How many entries one job removes from the disk, so that a purge of many
/// thousands does not hold up an append between two jobs.
const PURGE_STEP: u64 = 256;

/// Positions, kept in memory.
#[derive(Debug, Clone, Copy, Default)]
struct Ends {
    purged: Option<LogId>,
    last: Option<LogId>,
}

/// What the log has made durable and told others of.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Promised {
    vote: Option<Vote>,
    /// The last entry's index.
    last: Option<u64>,
}

impl Promised {
    /// What is missing in `now`, which was read from the same disk later.
    pub(crate) fn missing_in(&self, now: &Self) -> Option<String> {
        if now.vote < self.vote {
            let text = format!("the vote {:?}, where {:?} was cast", now.vote, self.vote);
            return Some(text);
        }
        let text = || {
            format!(
                "entries up to {:?}, where {:?} was kept",
                now.last, self.last
            )
        };
        (now.last < self.last).then(text)
    }
}

struct Shared {
    database: Arc<dyn Database>,
    writer: Writer,
    blocks: bool,
    ends: Mutex<Ends>,
    promised: Mutex<Promised>,
    recent: Mutex<Recent>,
    /// The index that the state machine holds on its disk.
    held: watch::Receiver<u64>,
    /// The purge mark that is durable; [`Ends::purged`] may be ahead.
    marked: watch::Sender<Option<LogId>>,
    /// One mark is written at a time.
    marking: tokio::sync::Mutex<()>,
    /// Bytes ever appended by this process, for the snapshot trigger.
    appended: AtomicU64,
}

/// The log; clones are the same log.
#[derive(Clone)]
pub(crate) struct Log {
    shared: Arc<Shared>,
}

impl Log {
    /// The log in `database`, which only `writer` writes, of a state machine that holds on
    /// its disk what `held` says. Blocks.
    pub(crate) fn open(
        database: Arc<dyn Database>,
        writer: Writer,
        blocks: bool,
        held: watch::Receiver<u64>,
    ) -> Result<Self, StoreError> {
        let purged = database.get(Tree::Hard, PURGED_KEY)?;
        let purged: Option<LogId> = purged
            .map(|bytes| decode("the purge mark", &bytes))
            .transpose()?;
        let last = match database.last(Tree::Log)? {
            Some((_, bytes)) => Some(decode::<Entry>("the last log entry", &bytes)?.log_id),
            None => None,
        };
        // Entries up to the mark may be left from a purge that a crash interrupted: they are
        // never read again, see `finish_purge`.
        let ends = Ends {
            purged,
            last: last.max(purged),
        };
        let vote = database.get(Tree::Hard, VOTE_KEY)?;
        let vote = vote.map(|bytes| decode("the vote", &bytes)).transpose()?;
        let promised = Promised {
            vote,
            last: ends.last.map(|last| last.index),
        };
        Ok(Self {
            shared: Arc::new(Shared {
                database,
                writer,
                blocks,
                ends: Mutex::new(ends),
                promised: Mutex::new(promised),
                recent: Mutex::default(),
                held,
                marked: watch::Sender::new(purged),
                marking: tokio::sync::Mutex::default(),
                appended: AtomicU64::new(0),
            }),
        })
    }

    /// The purge mark and the last entry.
    pub(crate) fn ends(&self) -> (Option<LogId>, Option<LogId>) {
        let ends = *lock(&self.shared.ends);
        (ends.purged, ends.last)
    }

    /// What must be there when the log is opened again.
    pub(crate) fn promised(&self) -> Promised {
        *lock(&self.shared.promised)
    }

    /// See [`Writer::is_idle`].
    pub(crate) fn is_idle(&self) -> bool {
        self.shared.writer.is_idle()
    }

    /// Bytes appended since this process began.
    pub(crate) fn appended_bytes(&self) -> u64 {
        self.shared.appended.load(Ordering::Relaxed)
    }

    async fn write(&self, steps: Steps) -> Result<(), std::io::Error> {
        Ok(self.shared.writer.write(steps).await?)
    }

    /// Entries from `start` up to and without `end`, as far as they are there and
    /// fit into `limit` bytes; at least one if there is one.
    async fn read(&self, start: u64, end: u64, limit: usize) -> Result<Vec<Entry>, StorageError> {
        let purged = lock(&self.shared.ends).purged;
        let start = purged.map_or(start, |purged| start.max(purged.index + 1));
        if start >= end {
            return Ok(Vec::new());
        }
        if let Some(entries) = lock(&self.shared.recent).read(start, end, limit) {
            return Ok(entries);
        }
        let database = Arc::clone(&self.shared.database);
        let read = move || stored::read(database.as_ref(), start, end, limit);
        let read = if self.shared.blocks {
            tokio::task::spawn_blocking(read)
                .await
                .map_err(|error| read_error(&error))?
        } else {
            read()
        };
        read.map_err(|error| read_error(&error))
    }

    /// Removes, meanwhile, what is on disk up to the purge mark.
    pub(crate) fn finish_purge(&self) {
        let mark = *self.shared.marked.borrow();
        if let Some(mark) = mark {
            tokio::spawn(self.clone().remove_up_to(mark.index));
        }
    }

    /// Writes the purge mark, unless a later one was.
    async fn mark(&self, upto: LogId) -> Result<(), StorageError> {
        let _alone = self.shared.marking.lock().await;
        if *self.shared.marked.borrow() >= Some(upto) {
            return Ok(());
        }
        let mut batch = Batch::new();
        batch.put(
            PURGED_KEY,
            wire::to_stored(&upto).map_err(|error| write_error(&error))?,
        );
        self.write(vec![(Tree::Hard, batch)])
            .await
            .map_err(|error| write_error(&error))?;
        self.shared.marked.send_replace(Some(upto));
        Ok(())
    }

    /// The same once the state machine holds as much; never if the replica ends before.
    async fn mark_once_held(self, upto: LogId) {
        let mut held = self.shared.held.clone();
        let held = tokio::select! {
            held = held.wait_for(|held| *held >= upto.index) => held.is_ok(),
            _ = self.shared.writer.halted() => false,
        };
        // If the mark cannot be written, the replica is ending.
        if held && self.mark(upto).await.is_ok() {
            self.finish_purge();
        }
    }

    /// Returns once what was purged is marked as such.
    async fn is_marked(&self) -> Result<(), std::io::Error> {
        let purged = lock(&self.shared.ends).purged;
        let mut marked = self.shared.marked.subscribe();
        tokio::select! {
            marked = marked.wait_for(|marked| *marked >= purged) => {
                marked.map(|_| ()).map_err(std::io::Error::other)
            }
            failed = self.shared.writer.halted() => Err(failed.into()),
        }
    }

    /// Removes what is on disk up to `index`, some at a time, after the mark says
    /// that it is gone.
    async fn remove_up_to(self, index: u64) {
        let mut first = Bound::Unbounded;
        loop {
            let database = Arc::clone(&self.shared.database);
            let found = move || first_keys(database.as_ref(), first, index);
            let found = if self.shared.blocks {
                tokio::task::spawn_blocking(found)
                    .await
                    .unwrap_or_else(|_| Ok(Vec::new()))
            } else {
                found()
            };
            let keys = match found {
                Ok(keys) => keys,
                Err(error) => {
                    tracing::warn!(%error, "purged log entries stay on disk until the next purge");
                    return;
                }
            };
            let Some(last) = keys.last().copied() else {
                return;
            };
            let mut batch = Batch::new();
            keys.iter()
                .for_each(|index| batch.remove(index.to_be_bytes()));
            if self.write(vec![(Tree::Log, batch)]).await.is_err() {
                // The replica is ending; opening again finds the mark.
                return;
            }
            first = Bound::Excluded(last);
        }
    }
}

/// The vote, and all entries after `applied`, of a log that no replica runs on. Blocks.
pub(crate) fn read_all(
    database: &dyn Database,
    applied: Option<LogId>,
) -> Result<(Option<Vote>, Vec<Entry>), StoreError> {
    let vote = database.get(Tree::Hard, VOTE_KEY)?;
    let vote = vote.map(|bytes| decode("the vote", &bytes)).transpose()?;
    let first = applied.map_or(0, |applied| applied.index + 1);
    let entries = stored::read(database, first, u64::MAX, usize::MAX)?;
    Ok((vote, entries))
}

/// What writes a vote.
pub(crate) fn vote_batch(vote: &Vote) -> Result<Batch, StoreError> {
    let bytes = wire::to_stored(vote).map_err(|error| StoreError::Damaged {
        what: "the vote".into(),
        reason: error.to_string(),
    })?;
    let mut batch = Batch::new();
    batch.put(VOTE_KEY, bytes);
    Ok(batch)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No holder panics between two steps of one change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_error(error: &(impl std::error::Error + 'static)) -> StorageError {
    StorageIoError::read_logs(AnyError::new(error)).into()
}

fn write_error(error: &(impl std::error::Error + 'static)) -> StorageError {
    StorageIoError::write_logs(AnyError::new(error)).into()
}

impl RaftLogReader<TypeConfig> for Log {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(end) => end.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        self.read(start, end, usize::MAX).await
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, StorageError> {
        let mut entries = self.read(start, end, MAX_READ_BYTES).await?;
        // openraft sends them as what follows entry `start - 1`, whatever they are: of a range
        // whose beginning was purged meanwhile, what is left would leave a gap in the
        // follower's log. Nothing at all is sent as a heartbeat, and then a snapshot.
        if entries
            .first()
            .is_some_and(|first| first.log_id.index != start)
        {
            entries.clear();
        }
        Ok(entries)
    }
}

impl RaftLogStorage<TypeConfig> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError> {
        let (last_purged_log_id, last_log_id) = self.ends();
        Ok(LogState {
            last_purged_log_id,
            last_log_id,
        })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let failed = |error: &std::io::Error| StorageIoError::write_vote(AnyError::new(error));
        let batch = vote_batch(vote).map_err(|error| failed(&std::io::Error::other(error)))?;
        self.write(vec![(Tree::Hard, batch)])
            .await
            .map_err(|error| failed(&error))?;
        lock(&self.shared.promised).vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        Ok(lock(&self.shared.promised).vote)
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: LogFlushed<TypeConfig>,
    ) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut batch = Batch::new();
        let mut appended = Vec::new();
        for entry in entries {
            let bytes = wire::to_stored(&entry).map_err(|error| write_error(&error))?;
            if let EntryPayload::Normal(proposal) = &entry.payload {
                proposal.appended();
            }
            let length = bytes.len();
            batch.put(entry.log_id.index.to_be_bytes(), bytes);
            appended.push((entry, length));
        }
        let bytes = batch.bytes() as u64;
        let written = match self.is_marked().await {
            Ok(()) => self.write(vec![(Tree::Log, batch)]).await,
            Err(error) => Err(error),
        };
        if written.is_ok() {
            self.shared.appended.fetch_add(bytes, Ordering::Relaxed);
            if let Some((last, _)) = appended.last() {
                lock(&self.shared.ends).last = Some(last.log_id);
                lock(&self.shared.promised).last = Some(last.log_id.index);
            }
            lock(&self.shared.recent).append(appended);
        }
        callback.log_io_completed(written);
        Ok(())
    }

    async fn truncate(&mut self, since: LogId) -> Result<(), StorageError> {
        let last = lock(&self.shared.ends).last;
        {
            // Taken back before it is done: it may be done though it is not answered.
            let mut promised = lock(&self.shared.promised);
            promised.last = promised.last.min(since.index.checked_sub(1));
        }
        let mut batch = Batch::new();
        for index in since.index..=last.map_or(0, |last| last.index) {
            batch.remove(index.to_be_bytes());
        }
        self.write(vec![(Tree::Log, batch)])
            .await
            .map_err(|error| write_error(&error))?;
        lock(&self.shared.recent).truncate(since.index);
        let before = match since.index.checked_sub(1) {
            Some(before) => self
                .read(before, since.index, usize::MAX)
                .await?
                .first()
                .map(|entry| entry.log_id),
            None => None,
        };
        let mut ends = lock(&self.shared.ends);
        ends.last = before.max(ends.purged);
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), StorageError> {
        let held = *self.shared.held.borrow() >= upto.index;
        if held {
            self.mark(upto).await?;
        }
        {
            let mut ends = lock(&self.shared.ends);
            ends.purged = Some(upto);
            ends.last = ends.last.max(Some(upto));
        }
        lock(&self.shared.recent).purge(upto.index);
        if held {
            self.finish_purge();
        } else {
            tokio::spawn(self.clone().mark_once_held(upto));
        }
        Ok(())
    }
}
