//! What is noted down of requests: sums for each hostname, and lines of the access log.
//!
//! A request carries its [`Observed`], which is ended with it. All that is always done is
//! done without a lock, an allocation or a look at a clock that was not there anyway:
//! numbers of this core are added up ([`tally`]). What a line needs is kept only while
//! there is an access log.

pub(crate) mod access_log;
pub(crate) mod latency;
mod line;
pub(crate) mod tally;
pub(crate) mod trace;

use std::sync::Arc;

use http::StatusCode;
use tokio::time::Instant;

pub(crate) use self::line::{Listener, Noted, Session};
use self::{
    tally::{Served, Tally},
    trace::Marks,
};
use crate::http::{answer::Reason, body::Exchange};

/// What is noted down of one request. It counts for nothing until it is ended.
#[derive(Debug)]
pub(crate) struct Observed {
    begun: Instant,
    /// Absent until there is an answer: a client may go before.
    status: Option<StatusCode>,
    /// Bytes of the answer's body that were handed to the client's connection.
    sent: u64,
    /// Bytes that a tunnel's client has sent.
    received: u64,
    exchange: Option<Arc<Exchange>>,
    /// Of the hostname that it was for, once that is known.
    tally: Option<Arc<Tally>>,
    noted: Option<Box<Noted>>,
}

impl Observed {
    /// Of a request whose head has arrived.
    pub(crate) const fn new(begun: Instant) -> Self {
        Self {
            begun,
            status: None,
            sent: 0,
            received: 0,
            exchange: None,
            tally: None,
            noted: None,
        }
    }

    /// There shall be a line of the access log about it.
    pub(crate) fn note(&mut self, noted: Noted) {
        self.noted = Some(Box::new(noted));
    }

    /// It is for a hostname whose requests are added up in `tally`.
    pub(crate) fn of(&mut self, tally: Arc<Tally>, hostname: &str) {
        self.tally = Some(tally);
        if let Some(noted) = &mut self.noted {
            noted.hostname(hostname);
        }
    }

    /// It is known by these ids.
    pub(crate) fn marked(&mut self, marks: &Marks) {
        if let Some(noted) = &mut self.noted {
            noted.marks(marks);
        }
    }

    /// It is sent on.
    pub(crate) fn forwarded(&mut self, exchange: &Arc<Exchange>) {
        self.exchange = Some(Arc::clone(exchange));
    }

    /// An origin was asked; `status` is absent if it gave no answer. Its name is only
    /// asked for if there is a line to write.
    pub(crate) fn asked(&mut self, origin: impl FnOnce() -> Option<String>, status: Option<u16>) {
        if let Some(noted) = &mut self.noted {
            noted.upstream(origin(), status);
        }
    }

    /// We answer it ourselves.
    pub(crate) fn refused(&mut self, reason: Reason) {
        if let Some(noted) = &mut self.noted {
            noted.reason(reason);
        }
    }

    /// There is an answer.
    pub(crate) const fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// So many bytes of the answer go to the client.
    pub(crate) const fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// What a tunnel carried, in all.
    pub(crate) const fn carried(&mut self, from_client: u64, to_client: u64) {
        self.received += from_client;
        self.sent += to_client;
    }

    /// Counts it, and writes its line.
    pub(crate) fn end(self, now: Instant) {
        let exchange = self.exchange.as_deref();
        let served = Served {
            status: self.status,
            bytes_in: self.received + exchange.map_or(0, Exchange::received),
            bytes_out: self.sent,
            took: now.duration_since(self.begun),
        };
        if let Some(tally) = &self.tally {
            tally.add(&served);
        }
        if let Some(noted) = self.noted {
            noted.write(&served, exchange.and_then(Exchange::answered_after));
        }
    }
}
