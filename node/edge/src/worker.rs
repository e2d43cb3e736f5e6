//! One core's world: everything that a connection of that core needs. Only the
//! present view, the secrets of tickets and the guards of challenges are shared with other
//! cores.

use std::sync::Arc;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioExecutor;
use ipnet::IpNet;
use state::{Index, ports::Reach};
use tokio::{
    runtime,
    sync::{Semaphore, oneshot, watch},
    time::{Instant, interval, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    connection::{self, http1_settings, http2_settings},
    http::challenge::Challenges,
    limits::{ACCESS_LOG_PAUSE, Limits, SWEEP},
    listener::{self, Sockets},
    metrics::Counters,
    observe::{access_log::CoreLog, tally::Hostnames, trace::Tracer},
    policy::{Policies, allowance::Allowances},
    tls::{
        alpn::Proofs,
        keys::{Keys, Opener},
        tickets::Tickets,
    },
    upstream::{Checks, Dialer, Upstream},
    view::Present,
};

/// What a core works with.
pub(crate) struct Worker {
    pub(crate) view: Present,
    /// Moves with each view.
    pub(crate) published: watch::Receiver<Index>,
    /// Places for handshakes that wait for a certificate.
    pub(crate) waiting: Semaphore,
    pub(crate) keys: Arc<Keys>,
    pub(crate) proofs: Proofs,
    pub(crate) tickets: Tickets,
    pub(crate) upstream: Upstream,
    pub(crate) policies: Policies,
    pub(crate) allowances: Arc<Allowances>,
    pub(crate) challenges: Arc<Challenges>,
    pub(crate) reach: Arc<dyn Reach>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) fronts: Arc<Fronts>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) hostnames: Arc<Hostnames>,
    /// Absent: none is kept.
    pub(crate) access_log: Option<Arc<CoreLog>>,
    /// Absent: requests are not marked.
    pub(crate) tracer: Option<Tracer>,
    /// Which of all it is.
    pub(crate) core: usize,
    /// Where clients reach the https port.
    pub(crate) https_port: u16,
    pub(crate) http1: http1::Builder,
    pub(crate) http2: http2::Builder<TokioExecutor>,
    /// Cancelled when connections shall end.
    pub(crate) draining: CancellationToken,
    /// Connections and tunnels.
    pub(crate) tasks: TaskTracker,
}

/// What all cores share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) view: Present,
    pub(crate) published: watch::Receiver<Index>,
    pub(crate) opener: Arc<Opener>,
    pub(crate) tickets: Tickets,
    pub(crate) dialer: Arc<Dialer>,
    pub(crate) checks: Arc<Checks>,
    pub(crate) allowances: Arc<Allowances>,
    pub(crate) challenges: Arc<Challenges>,
    pub(crate) reach: Arc<dyn Reach>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) fronts: Arc<Fronts>,
    pub(crate) hostnames: Arc<Hostnames>,
    pub(crate) https_port: u16,
}

/// What each core has for itself from the beginning.
pub(crate) struct Own {
    pub(crate) core: usize,
    pub(crate) counters: Arc<Counters>,
    pub(crate) access_log: Option<Arc<CoreLog>>,
    pub(crate) tracer: Option<Tracer>,
}

/// Who stands in front of each port and says who clients are; nobody if empty.
#[derive(Debug)]
pub(crate) struct Fronts {
    pub(crate) https: Vec<IpNet>,
    pub(crate) http: Vec<IpNet>,
}

/// What the edge is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Serving, and ready.
    Serving,
    /// Serving, but asking those in front to prefer others.
    LameDuck,
    /// Ending; what is not done by then is cut off.
    Draining(Instant),
}

impl Worker {
    pub(crate) fn new(shared: Shared, own: Own) -> Arc<Self> {
        let Own {
            core,
            counters,
            access_log,
            tracer,
        } = own;
        let Shared {
            view,
            published,
            opener,
            tickets,
            dialer,
            checks,
            allowances,
            challenges,
            reach,
            limits,
            fronts,
            hostnames,
            https_port,
        } = shared;
        Arc::new(Self {
            view,
            published,
            waiting: Semaphore::new(limits.waiting),
            proofs: Proofs::new(Arc::clone(&opener.provider)),
            policies: Policies::new(Arc::clone(&opener.provider)),
            allowances,
            tickets,
            keys: Keys::new(opener, limits.keys, Arc::clone(&counters)),
            upstream: Upstream::new(dialer, checks, Arc::clone(&limits), Arc::clone(&counters)),
            challenges,
            reach,
            limits,
            fronts,
            counters,
            hostnames,
            access_log,
            tracer,
            core,
            https_port,
            http1: http1_settings(),
            http2: http2_settings(),
            draining: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })
    }
}

/// Runs a core until it has drained. Answers on `done` with how many connections
/// were cut off; a core that panics answers nothing.
pub(crate) fn run(
    runtime: runtime::Runtime,
    worker: Arc<Worker>,
    sockets: Sockets,
    phase: watch::Receiver<Phase>,
    done: oneshot::Sender<usize>,
) {
    let cut = runtime.block_on(serve(worker, sockets, phase));
    // Ends what is left, without waiting for a name that is still being looked up.
    runtime.shutdown_background();
    let _ = done.send(cut);
}

async fn serve(worker: Arc<Worker>, sockets: Sockets, mut phase: watch::Receiver<Phase>) -> usize {
    let limits = &worker.limits;
    let https = listener::accept(
        Arc::clone(&worker),
        sockets.https,
        limits.connections,
        connection::secure,
    );
    let http = listener::accept(
        Arc::clone(&worker),
        sockets.http,
        limits.plain_connections,
        connection::plain,
    );
    let accepting = [tokio::spawn(https), tokio::spawn(http)];
    let sweeping = tokio::spawn(sweep(Arc::clone(&worker)));
    let flushing = worker
        .access_log
        .clone()
        .map(|log| tokio::spawn(flush(log)));
    let deadline = draining(&mut phase).await;
    worker.draining.cancel();
    for task in accepting {
        let _ = task.await;
    }
    worker.tasks.close();
    tokio::select! {
        () = worker.tasks.wait() => {}
        () = sleep_until(deadline) => {}
    }
    sweeping.abort();
    if let Some(flushing) = flushing {
        flushing.abort();
    }
    worker.tasks.len()
}

/// Waits for the end to begin, and says until when it may last.
async fn draining(phase: &mut watch::Receiver<Phase>) -> Instant {
    loop {
        if let Phase::Draining(deadline) = *phase.borrow_and_update() {
            return deadline;
        }
        if phase.changed().await.is_err() {
            return Instant::now(); // nobody holds the edge any more
        }
    }
}

/// Hands lines of the access log on that wait for others.
async fn flush(log: Arc<CoreLog>) {
    let mut ticks = interval(ACCESS_LOG_PAUSE);
    loop {
        ticks.tick().await;
        log.flush();
    }
}

async fn sweep(worker: Arc<Worker>) {
    let mut ticks = interval(SWEEP);
    loop {
        ticks.tick().await;
        worker.policies.sweep();
        worker.upstream.sweep();
    }
}
