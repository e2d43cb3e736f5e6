//! One core's world: everything that a connection of that core needs. Only the
//! present view, the secrets of tickets and the guards of challenges are shared with other
//! cores.

use std::{sync::Arc, time::Duration};

use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioExecutor;
use ipnet::IpNet;
use state::{
    Index,
    ports::{Reach, Reading},
};
use tokio::{
    runtime::{self, Handle},
    sync::{Semaphore, oneshot, watch},
    time::{Instant, interval, sleep, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    admission::Admission,
    connection::{self, Idle, Roll, http1_settings, http2_settings},
    http::challenge::Challenges,
    limits::{ACCESS_LOG_PAUSE, LISTEN_ON, Limits, SWEEP, TOLD_AT_ONCE, TOLD_PER_SECOND},
    listener::{self, Port, Sockets},
    metrics::Counters,
    observe::{access_log::CoreLog, tally::Hostnames, trace::Tracer},
    on_demand::Asking,
    policy::{Policies, allowance::Allowances},
    tls::{
        alpn::Proofs,
        keys::{Keys, Opener},
        tickets::Tickets,
        turns::Turns,
    },
    upstream::{Checks, Dialer, Upstream},
    view::{self, Present},
};

/// What a core works with.
pub(crate) struct Worker {
    pub(crate) view: Present,
    reading: Arc<dyn Reading>,
    /// Whose blocking threads may wait for the disk.
    threads: Handle,
    /// Moves with each view.
    pub(crate) published: watch::Receiver<Index>,
    /// Places for handshakes that wait for an authorization or a certificate.
    pub(crate) waiting: Semaphore,
    /// Absent: nobody is asked about hostnames that are not authorized.
    pub(crate) asking: Option<Arc<Asking>>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) proofs: Proofs,
    pub(crate) tickets: Tickets,
    pub(crate) upstream: Upstream,
    pub(crate) policies: Policies,
    pub(crate) allowances: Arc<Allowances<Box<str>>>,
    pub(crate) challenges: Arc<Challenges>,
    pub(crate) reach: Arc<dyn Reach>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) fronts: Arc<Fronts>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) roll: Arc<Roll>,
    pub(crate) turns: Turns,
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
    /// Cancelled when all connections shall end.
    pub(crate) draining: CancellationToken,
    /// Cancelled when no more shall be accepted.
    pub(crate) closing: CancellationToken,
    /// Connections and tunnels.
    pub(crate) tasks: TaskTracker,
}

/// What all cores share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) view: Present,
    pub(crate) reading: Arc<dyn Reading>,
    pub(crate) published: watch::Receiver<Index>,
    pub(crate) opener: Arc<Opener>,
    pub(crate) tickets: Tickets,
    pub(crate) dialer: Arc<Dialer>,
    pub(crate) checks: Arc<Checks>,
    pub(crate) allowances: Arc<Allowances<Box<str>>>,
    pub(crate) challenges: Arc<Challenges>,
    pub(crate) asking: Option<Arc<Asking>>,
    pub(crate) reach: Arc<dyn Reach>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) fronts: Arc<Fronts>,
    pub(crate) admission: Arc<Admission>,
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
            reading,
            published,
            opener,
            tickets,
            dialer,
            checks,
            allowances,
            challenges,
            asking,
            reach,
            limits,
            fronts,
            admission,
            hostnames,
            https_port,
        } = shared;
        Arc::new(Self {
            view,
            reading,
            threads: opener.threads.clone(),
            published,
            waiting: Semaphore::new(limits.waiting),
            asking,
            proofs: Proofs::new(Arc::clone(&opener.provider)),
            policies: Policies::new(Arc::clone(&opener.provider)),
            allowances,
            tickets,
            keys: Keys::new(opener, limits.keys, Arc::clone(&counters)),
            upstream: Upstream::new(
                dialer,
                checks,
                Arc::clone(&admission.origins),
                Arc::clone(&limits),
                Arc::clone(&counters),
            ),
            challenges,
            reach,
            limits,
            fronts,
            admission,
            roll: Arc::default(),
            turns: Turns::new(),
            counters,
            hostnames,
            access_log,
            tracer,
            core,
            https_port,
            http1: http1_settings(),
            http2: http2_settings(),
            draining: CancellationToken::new(),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })
    }

    /// Makes sure that the view shows what `name` is served with, though the state is still
    /// being read.
    pub(crate) async fn look_up(&self, name: &str) {
        view::look_up(&self.view, &self.reading, &self.threads, name).await;
    }

    /// Asks those who rest, or say nothing, to make room, if it is needed.
    pub(crate) fn make_room(&self) {
        let admission = &self.admission;
        if admission.is_crowded(&admission.https) || admission.is_crowded(&admission.http) {
            self.shed_resting();
        }
        if self.counters.handshakes_open.get() > self.limits.handshakes {
            self.shed_silent();
        }
    }

    pub(crate) fn shed_silent(&self) {
        let open = self.counters.handshakes_open.get();
        let too_many = open.saturating_sub(self.limits.handshakes);
        let too_many = usize::try_from(too_many).unwrap_or(usize::MAX);
        for _ in 0..self.roll.shed(Idle::Silent, too_many) {
            self.counters.handshakes_shed.add();
        }
    }

    pub(crate) fn shed_resting(&self) {
        for _ in 0..self.roll.shed(Idle::Resting, 0) {
            self.counters.connections_shed.add();
        }
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
    let https = listener::accept(
        Arc::clone(&worker),
        sockets.https,
        Port::Https,
        connection::secure,
    );
    let http = listener::accept(
        Arc::clone(&worker),
        sockets.http,
        Port::Http,
        connection::plain,
    );
    let accepting = [tokio::spawn(https), tokio::spawn(http)];
    let sweeping = tokio::spawn(sweep(Arc::clone(&worker)));
    let flushing = worker
        .access_log
        .clone()
        .map(|log| tokio::spawn(flush(log)));
    let deadline = draining(&mut phase).await;
    part(&worker, deadline).await;
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

/// Tells all connections to end, one after the other, and then the listeners.
async fn part(worker: &Worker, deadline: Instant) {
    let half = (deadline - Instant::now()) / 2;
    let listen_on = LISTEN_ON.min(half);
    let told_by = deadline - half - listen_on;
    let present = worker.roll.present();
    for some in present.chunks(TOLD_AT_ONCE as usize) {
        for activity in some {
            activity.leave();
        }
        if Instant::now() >= told_by {
            break;
        }
        sleep(Duration::from_secs(1) * TOLD_AT_ONCE / TOLD_PER_SECOND).await;
    }
    worker.draining.cancel();
    sleep(listen_on).await;
    worker.closing.cancel();
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
        worker.make_room();
        worker.policies.sweep();
        worker.upstream.sweep();
    }
}
