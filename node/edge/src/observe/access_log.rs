//! The access log as the edge sees it: each core puts lines into a buffer of its own and
//! hands it on when it is full or a moment has passed. Who takes the buffers writes them;
//! what he does not take in time is dropped and counted, and nobody waits.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed},
    mpsc::{Receiver, Sender, channel},
};

use state::{NodeId, ports::Clock};

use super::{line::Line, tally::CLASSES};
use crate::{
    limits::{ACCESS_LOG_CHUNK, ACCESS_LOG_WAITING},
    metrics::Counters,
};

/// Which requests have a line, and what stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// One in how many has a line: of those whose client left before there was an answer,
    /// then of those answered with 1xx to 5xx. 0: none.
    pub one_in: [u32; CLASSES],
    /// Write the query of targets, which often holds what is nobody's business.
    pub query: bool,
    /// Written into each line.
    pub node: NodeId,
}

/// Asks an edge to keep an access log.
#[derive(Clone, Debug)]
pub struct AccessLog {
    rules: Arc<Rules>,
    chunks: Sender<Chunk>,
}

impl AccessLog {
    /// By these rules; what is to be written comes out of the second. It ends when the
    /// edge has.
    pub fn new(rules: Rules) -> (Self, Chunks) {
        let (chunks, taken) = channel();
        let rules = Arc::new(rules);
        (Self { rules, chunks }, Chunks(taken))
    }

    pub(crate) fn of_core(&self, clock: Arc<dyn Clock>, counters: Arc<Counters>) -> Arc<CoreLog> {
        Arc::new(CoreLog {
            rules: Arc::clone(&self.rules),
            clock,
            counters,
            seen: Default::default(),
            buffer: Mutex::default(),
            waiting: Arc::default(),
            chunks: self.chunks.clone(),
        })
    }
}

/// What an edge has to say, in the order in which each core has said it.
#[derive(Debug)]
pub struct Chunks(Receiver<Chunk>);

impl Iterator for Chunks {
    type Item = Chunk;

    /// Waits.
    fn next(&mut self) -> Option<Chunk> {
        self.0.recv().ok()
    }
}

/// Some whole lines. Its room is free again once it is dropped.
#[derive(Debug)]
pub struct Chunk {
    bytes: Vec<u8>,
    waiting: Arc<AtomicUsize>,
}

impl Chunk {
    /// The lines, each with its end.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.bytes.len(), Relaxed);
    }
}

/// One core's access log.
#[derive(Debug)]
pub(crate) struct CoreLog {
    rules: Arc<Rules>,
    pub(super) clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    /// Requests of each class since its last line.
    seen: [AtomicU32; CLASSES],
    /// Touched by its core alone; a lock because tasks must be `Send`.
    buffer: Mutex<Vec<u8>>,
    /// Bytes that were handed on and are not written yet.
    waiting: Arc<AtomicUsize>,
    chunks: Sender<Chunk>,
}

impl CoreLog {
    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// For how many requests the line of this one stands; none: it has no line.
    pub(super) fn sampled(&self, class: usize) -> Option<u32> {
        let one_in = self.rules.one_in[class];
        let seen = &self.seen[class];
        let now = seen.load(Relaxed) + 1;
        if one_in == 0 || now < one_in {
            seen.store(if one_in == 0 { 0 } else { now }, Relaxed);
            return None;
        }
        seen.store(0, Relaxed);
        Some(one_in)
    }

    /// Says a line, if there is room.
    pub(super) fn say(&self, line: &Line<'_>) {
        let mut buffer = self.buffer();
        let before = buffer.len();
        if before + self.waiting.load(Relaxed) >= ACCESS_LOG_WAITING {
            self.counters.access_log_dropped.add();
            return;
        }
        if buffer.capacity() == 0 {
            buffer.reserve(ACCESS_LOG_CHUNK);
        }
        if serde_json::to_writer(&mut *buffer, line).is_err() {
            // Writing to memory does not fail; half a line must not stand there anyway.
            buffer.truncate(before);
            self.counters.access_log_dropped.add();
            return;
        }
        buffer.push(b'\n');
        self.counters.access_log_lines.add();
        if buffer.len() >= ACCESS_LOG_CHUNK {
            self.hand_on(buffer);
        }
    }

    /// Hands on what there is.
    pub(crate) fn flush(&self) {
        let buffer = self.buffer();
        if !buffer.is_empty() {
            self.hand_on(buffer);
        }
    }

    fn hand_on(&self, mut buffer: MutexGuard<'_, Vec<u8>>) {
        let bytes = std::mem::take(&mut *buffer);
        drop(buffer);
        self.waiting.fetch_add(bytes.len(), Relaxed);
        let waiting = Arc::clone(&self.waiting);
        // Fails if nobody takes it any more; then the room is free again.
        let _ = self.chunks.send(Chunk { bytes, waiting });
    }

    fn buffer(&self) -> MutexGuard<'_, Vec<u8>> {
        // Whole lines stand in it, whoever panicked.
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for CoreLog {
    fn drop(&mut self) {
        self.flush();
    }
}
