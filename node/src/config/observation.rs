//! What is noted down of requests.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::file::File;

/// The access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// Where it is written.
    pub output: AccessOutput,
    /// One in how many requests has a line: of those whose client left before there was an
    /// answer, then of those answered with 1xx to 5xx. 0: none.
    pub one_in: [u32; edge::CLASSES],
    /// Write the query of targets too.
    pub query: bool,
}

/// Where the access log is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessOutput {
    /// Standard error, beside the node's own log.
    Stderr,
    /// A file, which is opened anew when it was moved.
    File(PathBuf),
    /// A unix socket, as a stream of lines.
    Stream(PathBuf),
    /// A unix socket, a line a datagram.
    Datagram(PathBuf),
}

impl fmt::Display for AccessOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stderr => f.write_str("standard error"),
            Self::File(path) | Self::Stream(path) | Self::Datagram(path) => path.display().fmt(f),
        }
    }
}

/// The sums of hostnames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// How many hostnames have sums of their own.
    pub hostnames: u64,
    /// How many of those with the most requests are told in the metrics.
    pub top: u64,
}

/// Ids of requests and traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Each request gets an id.
    pub request_id: bool,
    /// What becomes of clients' trace context.
    pub traceparent: edge::TraceContext,
    /// One in how many new traces is to be recorded; 0: none.
    pub one_in: u32,
}

const TRACE: &str = "trace";
const ACCESS_LOG: &str = "access_log";
const STATS: &str = "stats";
/// The classes' keys, and whether they are faults, which all have lines unless it is said.
const SAMPLES: [(&str, bool); edge::CLASSES] = [
    ("sample_unanswered", true),
    ("sample_1xx", false),
    ("sample_2xx", false),
    ("sample_3xx", false),
    ("sample_4xx", false),
    ("sample_5xx", true),
];
const SAMPLE_MAX: u64 = 1_000_000;

impl AccessLog {
    /// Absent: none is written.
    pub(super) fn read(file: &mut File<'_>, base: &Path) -> Option<Self> {
        let mut outputs = Vec::new();
        if file.read(ACCESS_LOG, "stderr") == Some(true) {
            outputs.push(AccessOutput::Stderr);
        }
        for (key, output) in [
            ("file", AccessOutput::File as fn(PathBuf) -> AccessOutput),
            ("stream_socket", AccessOutput::Stream),
            ("datagram_socket", AccessOutput::Datagram),
        ] {
            let path: Option<PathBuf> = file.read(ACCESS_LOG, key);
            outputs.extend(path.map(|path| output(base.join(path))));
        }
        if outputs.len() > 1 {
            let message =
                "at most one of stderr, file, stream_socket and datagram_socket is wanted";
            file.fault(ACCESS_LOG, "stderr", message);
        }
        let usual = file.bounded(ACCESS_LOG, "sample", 0..=SAMPLE_MAX, 1);
        let one_in = SAMPLES.map(|(key, fault)| {
            let default = if fault { 1 } else { usual };
            let one_in = file.bounded(ACCESS_LOG, key, 0..=SAMPLE_MAX, default);
            // Bounded.
            u32::try_from(one_in).unwrap_or(u32::MAX)
        });
        let query = file.read(ACCESS_LOG, "query").unwrap_or(false);
        Some(Self {
            output: outputs.pop()?,
            one_in,
            query,
        })
    }
}

impl Trace {
    pub(super) fn read(file: &mut File<'_>) -> Self {
        use edge::TraceContext::{Accept, Drop, New, Pass};
        let traceparent = match file.read::<String>(TRACE, "traceparent").as_deref() {
            None | Some("pass") => Pass,
            Some("drop") => Drop,
            Some("new") => New,
            Some("accept") => Accept,
            Some(other) => {
                let message =
                    format!("`{other}` is none of \"pass\", \"drop\", \"new\" and \"accept\"");
                file.fault(TRACE, "traceparent", &message);
                Pass
            }
        };
        let one_in = file.bounded(TRACE, "sample", 0..=SAMPLE_MAX, 1);
        Self {
            request_id: file.read(TRACE, "request_id").unwrap_or(false),
            traceparent,
            // Bounded.
            one_in: u32::try_from(one_in).unwrap_or(u32::MAX),
        }
    }
}

impl Stats {
    pub(super) fn read(file: &mut File<'_>) -> Self {
        Self {
            hostnames: file.bounded(STATS, "hostnames", 0..=1_000_000, 50_000),
            // Each is a label in the metrics.
            top: file.bounded(STATS, "top", 0..=100, 10),
        }
    }
}
