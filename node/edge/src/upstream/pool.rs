//! One core's connections to one origin.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

use state::{Origin, OriginProtocol, OriginScheme};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use super::{
    Dialer, Failure,
    connection::{Connection, Http1, Http2, Lent},
    destination::Destination,
    dial::{Dialed, Slot},
    outlier::Record,
};
use crate::{
    http::answer::Reason,
    limits::{Limits, ORIGIN_H2_CONNECTIONS, ORIGIN_H2_REST, ORIGIN_STREAMS},
    metrics::Counters,
};

/// The connections to one origin.
pub(super) struct Pool {
    destination: Arc<Destination>,
    record: Record,
    dialer: Arc<Dialer>,
    limits: Arc<Limits>,
    counters: Arc<Counters>,
    permits: Arc<Semaphore>,
    /// Of all origins.
    all: Arc<Semaphore>,
    kept: Mutex<Kept>,
    /// Held while the origin's protocol is found out or an HTTP/2 connection is
    /// opened: who waits will share it.
    dialing: tokio::sync::Mutex<()>,
    /// A connection has come back to rest.
    returned: Notify,
    /// An https origin chose HTTP/1.1 by ALPN.
    chose_http1: AtomicBool,
}

#[derive(Default)]
struct Kept {
    /// The last one back is the first one out, so that surplus ones age.
    resting: Vec<Resting>,
    shared: Vec<Shared>,
    /// How many times opening a connection to share has failed, and how it did
    /// last.
    failures: u64,
    failed: Option<Reason>,
}

struct Resting {
    sender: Http1,
    since: Instant,
}

#[derive(Clone)]
struct Shared {
    sender: Http2,
    streams: Arc<AtomicUsize>,
    used: Instant,
}

impl Pool {
    pub(super) fn new(
        destination: Arc<Destination>,
        dialer: Arc<Dialer>,
        all: Arc<Semaphore>,
        limits: Arc<Limits>,
        counters: Arc<Counters>,
    ) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(limits.upstream_connections));
        Arc::new(Self {
            destination,
            record: Record::default(),
            dialer,
            limits,
            counters,
            permits,
            all,
            kept: Mutex::default(),
            dialing: tokio::sync::Mutex::default(),
            returned: Notify::new(),
            chose_http1: AtomicBool::new(false),
        })
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.destination.origin
    }

    /// How this core has fared with it.
    pub(super) const fn record(&self) -> &Record {
        &self.record
    }

    /// A connection for one request. `fresh`: the last one had ended, so none
    /// that rests is to be trusted.
    pub(super) async fn connection(
        &self,
        websocket: bool,
        fresh: bool,
    ) -> Result<Connection, Failure> {
        if websocket && self.origin().protocol == OriginProtocol::Http2 {
            return Err(Failure::NoUpgrade);
        }
        if let Some(connection) = self.reuse(websocket, fresh) {
            return Ok(connection);
        }
        if websocket || !self.may_be_http2() {
            return self.open(true).await;
        }
        self.take_turn(websocket).await
    }

    /// Opens a connection that others may share, unless somebody else has just
    /// done so, or failed to: who waits for a turn takes that outcome for its own,
    /// or a dead origin would be tried by one request after the other.
    async fn take_turn(&self, websocket: bool) -> Result<Connection, Failure> {
        let failures = self.kept().failures;
        let patience = self.limits.connect + self.limits.origin_handshake;
        let Ok(turn) = timeout(patience, self.dialing.lock()).await else {
            return Err(Failure::ConnectTimeout);
        };
        if let Some(connection) = self.reuse(websocket, true) {
            return Ok(connection);
        }
        if !self.may_be_http2() {
            drop(turn);
            return self.open(true).await;
        }
        let failed = {
            let kept = self.kept();
            kept.failed.filter(|_| kept.failures != failures)
        };
        if let Some(reason) = failed {
            return Err(Failure::Elsewhere(reason));
        }
        let opened = self.open(false).await;
        if let Err(failure) = &opened {
            let mut kept = self.kept();
            kept.failures += 1;
            kept.failed = Some(failure.reason());
        }
        drop(turn);
        opened
    }

    fn may_be_http2(&self) -> bool {
        match (self.origin().protocol, self.origin().scheme) {
            (OriginProtocol::Http2, _) => true,
            (OriginProtocol::Http1, _) | (OriginProtocol::Auto, OriginScheme::Http) => false,
            (OriginProtocol::Auto, OriginScheme::Https) => !self.chose_http1.load(Relaxed),
        }
    }

    fn reuse(&self, websocket: bool, fresh: bool) -> Option<Connection> {
        let now = Instant::now();
        let mut kept = self.kept();
        if !websocket && let Some(connection) = kept.share(now) {
            return Some(connection);
        }
        if fresh {
            return None;
        }
        while let Some(resting) = kept.resting.pop() {
            if resting.is_good(now, &self.limits) {
                return Some(Connection::Http1 {
                    sender: resting.sender,
                    reused: true,
                });
            }
        }
        None
    }

    async fn open(&self, http1_only: bool) -> Result<Connection, Failure> {
        let permit = match timeout(self.limits.connect, self.permit_or_return()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(connection)) => return Ok(connection),
            Err(_) => return Err(Failure::Busy),
        };
        // Not waited for: what rests in other pools is let go of within seconds.
        let all = Arc::clone(&self.all).try_acquire_owned();
        let slot = Slot::Pooled {
            _pool: permit,
            _node: all.map_err(|_| Failure::Busy)?,
        };
        let dialed = self
            .dialer
            .dial(&self.destination, http1_only, &self.limits, slot)
            .await?;
        self.counters.origin_connections.add();
        Ok(match dialed {
            Dialed::Http1(sender) => {
                if !http1_only {
                    self.chose_http1.store(true, Relaxed);
                }
                Connection::Http1 {
                    sender,
                    reused: false,
                }
            }
            Dialed::Http2(sender) => {
                let streams = Arc::new(AtomicUsize::new(1));
                let shared = Shared {
                    sender: sender.clone(),
                    streams: Arc::clone(&streams),
                    used: Instant::now(),
                };
                self.kept().shared.push(shared);
                Connection::Http2 {
                    sender,
                    stream: Lent(Some(streams)),
                    reused: false,
                }
            }
        })
    }

    /// The right to open another connection, or one that came back meanwhile.
    async fn permit_or_return(&self) -> Result<OwnedSemaphorePermit, Connection> {
        loop {
            tokio::select! {
                biased;
                permit = Arc::clone(&self.permits).acquire_owned() => match permit {
                    Ok(permit) => return Ok(permit),
                    Err(_) => std::future::pending().await, // it is never closed
                },
                () = self.returned.notified() => {
                    if let Some(connection) = self.reuse(true, false) {
                        return Err(connection);
                    }
                }
            }
        }
    }

    pub(super) fn give_back(&self, sender: Http1) {
        let mut kept = self.kept();
        if kept.resting.len() < self.limits.upstream_resting {
            kept.resting.push(Resting {
                sender,
                since: Instant::now(),
            });
            self.returned.notify_one();
        }
    }

    /// Lets go of what has ended or rested too long.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        let mut kept = self.kept();
        kept.resting
            .retain(|resting| resting.is_good(now, &self.limits));
        kept.shared.retain(|shared| {
            let rests = shared.streams.load(Relaxed) == 0
                && now.duration_since(shared.used) > ORIGIN_H2_REST;
            !shared.sender.is_closed() && !rests
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        let kept = self.kept();
        kept.resting.is_empty() && kept.shared.is_empty()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Every change is a single step.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({})", self.origin())
    }
}

impl Kept {
    /// The shared connection with the most room; one without room only if no
    /// other may be opened.
    fn share(&mut self, now: Instant) -> Option<Connection> {
        self.shared.retain(|shared| !shared.sender.is_closed());
        let may_open = self.shared.len() < ORIGIN_H2_CONNECTIONS;
        let best = self
            .shared
            .iter_mut()
            .min_by_key(|shared| shared.streams.load(Relaxed))?;
        if may_open && best.streams.load(Relaxed) >= ORIGIN_STREAMS {
            return None;
        }
        best.used = now;
        best.streams.fetch_add(1, Relaxed);
        let stream = Lent(Some(Arc::clone(&best.streams)));
        Some(Connection::Http2 {
            sender: best.sender.clone(),
            stream,
            reused: true,
        })
    }
}

impl Resting {
    fn is_good(&self, now: Instant, limits: &Limits) -> bool {
        self.sender.is_ready() && now.duration_since(self.since) < limits.upstream_idle
    }
}
