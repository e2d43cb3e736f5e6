//! What is written to standard error.
//!
//! Whoever has something to say never waits for whoever reads it: lines go through a queue
//! to a thread of its own. A pipe that nobody empties, or a disk that hangs under a log,
//! costs lines, which are counted, and no request, no vote and no renewal.

use std::{
    io::{self, IsTerminal as _, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread,
    time::Duration,
};

use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::config::{Log, LogFormat};

/// Bytes of lines that may wait: some seconds of the most talkative filter.
const WAITING: usize = 4 << 20;
/// How long a process that ends waits for its last lines to be taken.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Lines that were lost, in this process.
static LOST: AtomicU64 = AtomicU64::new(0);

/// The log while it is written. Dropped last, so that the last lines are seen.
#[derive(Debug)]
#[must_use = "what was said last is written when it is dropped"]
pub struct Telemetry(Lines);

/// Begins to write. Called once, by `main`; the filter was checked with the
/// configuration.
pub fn start(log: &Log) -> Telemetry {
    let lines = Lines::to(io::stderr());
    let filter = EnvFilter::try_new(&log.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let layer = match log.format {
        LogFormat::Pretty => fmt::layer()
            .with_writer(lines.clone())
            .with_ansi(io::stderr().is_terminal())
            .with_target(true)
            .boxed(),
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(lines.clone())
            .boxed(),
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .init();
    Telemetry(lines)
}

/// How many lines were lost, because standard error did not take them.
pub fn lost() -> u64 {
    LOST.load(Relaxed)
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        let (done, heard) = sync_channel(1);
        if self.0.queue.send(Said::Last(done)).is_ok() {
            let _ = heard.recv_timeout(LAST_WORDS);
        }
    }
}

/// An error and all its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

/// What is on its way to the thread that writes.
#[derive(Debug)]
enum Said {
    Line(Vec<u8>),
    /// To be told when all before it is written.
    Last(SyncSender<()>),
}

/// The way to the thread that writes; bounded by bytes.
#[derive(Clone, Debug)]
struct Lines {
    queue: Sender<Said>,
    waiting: Arc<AtomicUsize>,
}

impl Lines {
    fn to(output: impl Write + Send + 'static) -> Self {
        let (queue, said) = channel();
        let waiting = Arc::<AtomicUsize>::default();
        let written = Arc::clone(&waiting);
        // Before the thread begins, which on a busy machine is after the first were lost.
        let told = LOST.load(Relaxed);
        // Without a thread nobody hears anything: the lines are counted as lost.
        let _ = thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write(output, &said, &written, told));
        Self { queue, waiting }
    }

    fn say(&self, line: Vec<u8>) {
        let length = line.len();
        let room = self.waiting.fetch_add(length, Relaxed) + length <= WAITING;
        if !room || self.queue.send(Said::Line(line)).is_err() {
            self.waiting.fetch_sub(length, Relaxed);
            LOST.fetch_add(1, Relaxed);
        }
    }
}

/// Writes until all who could say something are gone. What cannot be written is lost;
/// those beyond the first `told` are spoken of.
fn write(mut output: impl Write, said: &Receiver<Said>, waiting: &AtomicUsize, mut told: u64) {
    for said in said {
        match said {
            Said::Line(line) => {
                let taken = output.write_all(&line);
                waiting.fetch_sub(line.len(), Relaxed);
                if taken.is_err() {
                    LOST.fetch_add(1, Relaxed);
                }
            }
            Said::Last(done) => {
                let _ = output.flush();
                let _ = done.try_send(());
            }
        }
        let lost = LOST.load(Relaxed);
        if lost > told && waiting.load(Relaxed) < WAITING / 2 {
            let notice = format!(
                "{} lines of the log are lost: they were not taken\n",
                lost - told
            );
            // Said in this place, and counted in the metrics whatever happens.
            let _ = output.write_all(notice.as_bytes());
            told = lost;
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line {
            lines: self.clone(),
            bytes: Vec::new(),
        }
    }
}

/// One line while it is put together; said when it is dropped.
struct Line {
    lines: Lines,
    bytes: Vec<u8>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.lines.say(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An output that takes a line when the test takes it.
    struct Pipe(SyncSender<Vec<u8>>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = self.0.send(bytes.to_vec());
            taken.map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_waits_for_an_output_that_takes_nothing() {
        let (pipe, taken) = sync_channel(0);
        let lines = Lines::to(Pipe(pipe));
        let line = vec![b'x'; 1 << 20];
        let before = lost();
        for _ in 0..10 {
            let mut one = lines.make_writer();
            one.write_all(&line).unwrap();
        }
        assert_eq!(lost() - before, 6);
        // All that had room is written once it is taken, and how much was lost.
        let mut bytes = 0;
        let notice = loop {
            let piece = taken.recv_timeout(Duration::from_secs(10)).unwrap();
            if piece.len() < line.len() {
                break String::from_utf8(piece).unwrap();
            }
            bytes += piece.len();
        };
        assert!(notice.starts_with("6 lines"), "{notice}");
        assert!(bytes <= WAITING);
        drop(lines);
    }

    #[test]
    fn a_process_that_ends_waits_for_its_last_lines_and_not_for_ever() {
        let (pipe, taken) = sync_channel(8);
        let lines = Lines::to(Pipe(pipe));
        lines.make_writer().write_all(b"last words\n").unwrap();
        drop(Telemetry(lines));
        assert_eq!(taken.try_recv().unwrap(), b"last words\n");
        let (pipe, stuck) = sync_channel(0);
        let lines = Lines::to(Pipe(pipe));
        lines.make_writer().write_all(b"never taken\n").unwrap();
        drop(Telemetry(lines)); // comes back, and that is what is tested
        drop(stuck);
    }
}
