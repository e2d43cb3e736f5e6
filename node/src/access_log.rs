//! Writing the access log, on a thread of its own.
//!
//! The edge never waits for it: what is not taken in time is dropped and counted there.
//! What was taken and could not be written is counted here, and writing goes on as soon as
//! it can.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::{
        fs::{MetadataExt as _, OpenOptionsExt as _},
        net::{UnixDatagram, UnixStream},
    },
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, sync_channel},
    },
    thread,
    time::Duration,
};

use tokio::time::Instant;

use crate::config::AccessOutput;

/// How long a process that ends waits for the last lines to be taken.
const LAST_LINES: Duration = Duration::from_secs(1);
/// How long a socket may take none of what it is sent.
const STALL: Duration = Duration::from_secs(1);
/// After which an output that failed is opened anew.
const RETRY: Duration = Duration::from_secs(1);
/// Others than the owner and the group have no business with what customers' clients do.
const MODE: u32 = 0o640;

/// The access log while it is written.
#[derive(Debug)]
pub(crate) struct Writing {
    lost: Arc<AtomicU64>,
    reopen: Arc<AtomicBool>,
    ended: Receiver<()>,
}

impl Writing {
    /// Writes what the edge says until that has ended.
    pub(crate) fn start(output: AccessOutput, chunks: edge::Chunks) -> io::Result<Self> {
        let lost = Arc::<AtomicU64>::default();
        let reopen = Arc::<AtomicBool>::default();
        let (done, ended) = sync_channel(1);
        let mut output = Output::new(output, Arc::clone(&lost));
        let asked = Arc::clone(&reopen);
        thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || {
                for chunk in chunks {
                    if asked.swap(false, Relaxed) {
                        output.close();
                    }
                    output.write(chunk.bytes());
                }
                // Nobody may be waiting.
                let _ = done.try_send(());
            })?;
        Ok(Self {
            lost,
            reopen,
            ended,
        })
    }

    /// Lines that were taken and could not be written.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// To be set when the output shall be opened anew, before the next line.
    pub(crate) fn reopen(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.reopen)
    }

    /// Waits a moment for the last lines, once the edge has ended.
    pub(crate) fn finish(self) {
        let _ = self.ended.recv_timeout(LAST_LINES);
    }
}

/// Where lines go, opened when they come.
struct Output {
    to: AccessOutput,
    open: Option<Opened>,
    /// It failed; not before then it is tried again.
    retry_at: Option<Instant>,
    /// The file may end within a line.
    torn: bool,
    lost: Arc<AtomicU64>,
}

enum Opened {
    Stderr,
    File { file: File, is: (u64, u64) },
    Stream(UnixStream),
    Datagram(UnixDatagram),
}

impl Output {
    const fn new(to: AccessOutput, lost: Arc<AtomicU64>) -> Self {
        Self {
            to,
            open: None,
            retry_at: None,
            torn: false,
            lost,
        }
    }

    /// Lets go of it; the next line opens it.
    fn close(&mut self) {
        self.open = None;
        self.retry_at = None;
    }

    /// Writes whole lines, or counts them as lost.
    fn write(&mut self, lines: &[u8]) {
        let count = |lines: &[u8]| lines.iter().filter(|byte| **byte == b'\n').count() as u64;
        if self.retry_at.is_some_and(|at| Instant::now() < at) {
            self.lost.fetch_add(count(lines), Relaxed);
            return;
        }
        match self.try_write(lines) {
            Ok(refused) => {
                self.lost.fetch_add(refused, Relaxed);
                if self.retry_at.take().is_some() {
                    tracing::info!(to = %self.to, "the access log is written again");
                }
            }
            Err(error) => {
                self.lost.fetch_add(count(lines), Relaxed);
                if self.retry_at.is_none() {
                    tracing::warn!(to = %self.to, %error, "the access log cannot be written; its lines are lost until it can");
                }
                self.open = None;
                self.retry_at = Some(Instant::now() + RETRY);
            }
        }
    }

    /// How many single lines were refused.
    fn try_write(&mut self, lines: &[u8]) -> io::Result<u64> {
        if let (Some(Opened::File { is, .. }), AccessOutput::File(path)) = (&self.open, &self.to)
            && identity(path) != Some(*is)
        {
            self.open = None; // it was moved away
        }
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(Opened::open(&self.to)?),
        };
        match open {
            // In one call, so that no line of another thread stands in between.
            Opened::Stderr => io::stderr().write_all(lines).map(|()| 0),
            Opened::File { file, .. } => {
                if self.torn {
                    file.write_all(b"\n")?;
                }
                let written = file.write_all(lines);
                self.torn = written.is_err();
                written.map(|()| 0)
            }
            Opened::Stream(stream) => stream.write_all(lines).map(|()| 0),
            Opened::Datagram(socket) => {
                let mut refused = 0;
                for line in lines.split_inclusive(|byte| *byte == b'\n') {
                    match socket.send(line.trim_ascii_end()) {
                        Ok(_) => {}
                        // Whoever reads is slow, or takes no line of this length.
                        Err(error) if is_of_the_line(&error) => refused += 1,
                        Err(error) => return Err(error),
                    }
                }
                Ok(refused)
            }
        }
    }
}

impl Opened {
    fn open(to: &AccessOutput) -> io::Result<Self> {
        Ok(match to {
            AccessOutput::Stderr => Self::Stderr,
            AccessOutput::File(path) => {
                let mut options = OpenOptions::new();
                let file = options.append(true).create(true).mode(MODE).open(path)?;
                let held = file.metadata()?;
                Self::File {
                    file,
                    is: (held.dev(), held.ino()),
                }
            }
            AccessOutput::Stream(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_write_timeout(Some(STALL))?;
                Self::Stream(stream)
            }
            AccessOutput::Datagram(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                // A full queue costs lines at once: waiting for each would cost more.
                socket.set_nonblocking(true)?;
                Self::Datagram(socket)
            }
        })
    }
}

/// Which file stands at `path` now.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let held = fs::metadata(path).ok()?;
    Some((held.dev(), held.ino()))
}

fn is_of_the_line(error: &io::Error) -> bool {
    // EMSGSIZE has no kind of its own.
    error.kind() == io::ErrorKind::WouldBlock
        || error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error())
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, os::unix::net::UnixListener};

    use super::*;

    fn to(output: AccessOutput) -> (Output, Arc<AtomicU64>) {
        let lost = Arc::<AtomicU64>::default();
        (Output::new(output, Arc::clone(&lost)), lost)
    }

    /// As if its time to be tried again had come.
    fn rested(output: &mut Output) {
        output.retry_at = output.retry_at.map(|_| Instant::now());
    }

    #[test]
    fn a_file_that_was_moved_is_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let moved = folder.path().join("access.log.1");
        let (mut output, lost) = to(AccessOutput::File(path.clone()));
        output.write(b"one\n");
        fs::rename(&path, &moved).unwrap();
        output.write(b"two\nthree\n");
        fs::remove_file(&path).unwrap();
        output.write(b"four\n");
        assert_eq!(fs::read(moved).unwrap(), b"one\n");
        assert_eq!(fs::read(&path).unwrap(), b"four\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, MODE & 0o777);
        assert_eq!(lost.load(Relaxed), 0);
    }

    #[test]
    fn what_cannot_be_written_is_counted_until_it_can() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("later/access.log");
        let (mut output, lost) = to(AccessOutput::File(path.clone()));
        output.write(b"one\ntwo\n");
        fs::create_dir(folder.path().join("later")).unwrap();
        output.write(b"three\n");
        assert_eq!(lost.load(Relaxed), 3, "it is not tried for each chunk");
        rested(&mut output);
        output.write(b"four\n");
        assert_eq!(fs::read(path).unwrap(), b"four\n");
        assert_eq!(lost.load(Relaxed), 3);
    }

    #[test]
    fn a_stream_is_connected_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let (mut output, lost) = to(AccessOutput::Stream(path.clone()));
        output.write(b"nobody hears\n");
        let listener = UnixListener::bind(&path).unwrap();
        rested(&mut output);
        for line in ["one\n", "two\n"] {
            output.write(line.as_bytes());
            let (mut stream, _) = listener.accept().unwrap();
            let mut heard = vec![0; line.len()];
            stream.read_exact(&mut heard).unwrap();
            assert_eq!(heard, line.as_bytes());
            drop(stream);
            output.write(b"broken off\n");
            rested(&mut output);
        }
        assert_eq!(lost.load(Relaxed), 3);
    }

    #[test]
    fn a_datagram_is_a_line_and_a_full_queue_costs_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let socket = UnixDatagram::bind(&path).unwrap();
        let (mut output, lost) = to(AccessOutput::Datagram(path));
        output.write(b"one\ntwo\n");
        let mut heard = [0; 16];
        for line in ["one", "two"] {
            let length = socket.recv(&mut heard).unwrap();
            assert_eq!(&heard[..length], line.as_bytes());
        }
        let many = b"x\n".repeat(100_000);
        output.write(&many);
        socket.set_nonblocking(true).unwrap();
        let mut taken = 0;
        while socket.recv(&mut heard).is_ok() {
            taken += 1;
        }
        assert!(taken > 0);
        assert_eq!(taken + lost.load(Relaxed), 100_000);
    }

    #[test]
    fn a_file_that_was_torn_begins_a_new_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        fs::write(&path, "{\"ts\":").unwrap();
        let (mut output, _) = to(AccessOutput::File(path.clone()));
        output.torn = true;
        output.write(b"{}\n");
        output.write(b"{}\n");
        assert_eq!(fs::read(path).unwrap(), b"{\"ts\":\n{}\n{}\n");
    }
}
