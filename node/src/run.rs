//! One node's life: who it is, its rooms, its end.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use cluster::{Entropy, SystemEntropy};
use state::ports::{Clock, Leadership, Members as _};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::{
    config::{Config, KeyProvider},
    data_dir::DataDir,
    enter::{Entered, Newborn, read_token},
    environment::SystemClock,
    health::Readiness,
    inherited::Inherited,
    keys, services,
    socket::{self, InitCall},
    wiring::{self, Listeners, Rooms},
};

/// Threads for issuance, admin and links: they wait more than they work.
const CONTROL_THREADS: usize = 2;
/// Threads for Raft alone, so that nothing else delays its heartbeats.
const RAFT_THREADS: usize = 2;
/// How long tasks may take to end once their node has drained.
const LAST_WAIT: Duration = Duration::from_secs(2);

const REMOVED: &str = "this node was removed from its cluster";

/// Runs a node until it is asked to stop. `join` is a member's admin address and a
/// file with a token; `inherited` are sockets that it need not bind.
pub fn run(config: Config, join: Option<(String, PathBuf)>, inherited: Inherited) -> Result<()> {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), name = config.name, data_dir = %config.data_dir.display(), "starting");
    let control = runtime("control", CONTROL_THREADS)?;
    let raft = runtime("raft", RAFT_THREADS)?;
    let ended = control.block_on(live(&config, join, inherited, raft.handle()));
    // A flush that hangs must not keep the process.
    raft.shutdown_timeout(LAST_WAIT);
    control.shutdown_timeout(LAST_WAIT);
    ended
}

fn runtime(name: &str, threads: usize) -> Result<Runtime> {
    let built = Builder::new_multi_thread()
        .thread_name(name)
        .worker_threads(threads)
        .enable_all()
        .build();
    built.context("threads could not be started")
}

async fn live(
    config: &Config,
    join: Option<(String, PathBuf)>,
    inherited: Inherited,
    raft: &Handle,
) -> Result<()> {
    let mut stop = Stop::listen()?;
    let _data = DataDir::open(&config.data_dir)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let (readiness, ready) = watch::channel(Readiness::NotReady("starting".to_owned()));
    // Before `/livez` answers: whoever waits for that may call at once.
    let (mut calls, local) =
        socket::serve(&config.data_dir).context("the local socket cannot be opened")?;
    let health = services::Health::open(config, ready).await?;
    let listeners = Listeners::bind(config).await?;
    if let KeyProvider::Kms(_) = config.key {
        let waiting = "waiting for KMS to open this node's key".to_owned();
        readiness.send_replace(Readiness::NotReady(waiting));
    }
    let opening = keys::identity_store(config, entropy.clone());
    let store = tokio::select! {
        store = opening => Arc::new(store?),
        () = stop.asked() => return Ok(()),
    };
    let join = match join {
        None => None,
        Some((sponsor, file)) if store.load()?.is_none() => Some((sponsor, read_token(&file)?)),
        // A unit file may say `--join` for ever; a member does not need the token again.
        Some(_) => None,
    };
    let meeting = keys::meeting(config, &store).await?;
    let machine = keys::machine(config, &store).await?;
    let newborn = Newborn {
        store: &store,
        facts: wiring::facts(config),
        join,
        meeting: meeting.as_deref(),
        machine: machine.as_deref(),
        has_replica: wiring::replica_dir(&config.data_dir).exists(),
        clock: clock.clone(),
        entropy: entropy.clone(),
        readiness: &readiness,
    };
    let entered = tokio::select! {
        entered = newborn.enter(&mut calls) => entered?,
        () = stop.asked() => return Ok(()),
    };
    let Entered {
        identity,
        founding,
        caller,
    } = entered;
    let me = identity.public.node;
    tracing::info!(cluster = %identity.public.cluster, node = %me, "this node is a member");
    let (mut rooms, opening) = Rooms::open(config, identity, clock, entropy, raft).await?;
    let front = services::Front::open(config, &rooms, inherited)?;
    tokio::spawn(wiring::watch_readiness(
        front.edge.clone(),
        rooms.replica.clone(),
        rooms.clock.clone(),
        readiness.clone(),
    ));
    // What customers see is served meanwhile.
    tokio::select! {
        opened = rooms.opened(opening, &store) => opened?,
        () = stop.asked() => return Ok(()),
    }
    let doors = services::Doors {
        listeners,
        local,
        vouch: keys::vouch(config).await,
    };
    let open = services::Open::all(config, &rooms, front, doors, store.clone(), raft)?;
    health.tell(&rooms, &open);
    let founded = async {
        if let Some(change) = founding {
            wiring::found(&rooms.replica, &config.peer.advertise, change).await?;
            store.forget_founding()?;
        }
        answer_calls(&rooms, &config.admin.advertise, caller, calls).await
    };
    services::notify_ready();
    let removed = tokio::select! {
        failed = founded => return failed,
        () = stop.asked() => false,
        () = services::removed(&rooms) => true,
    };
    if removed {
        // Whoever removed it may not trust this machine any more: it must not go on
        // serving with keys that it should not have.
        readiness.send_replace(Readiness::NotReady(REMOVED.to_owned()));
        rooms.replica.shutdown().await;
        open.edge.drain(LAST_WAIT).await;
        anyhow::bail!(
            "{REMOVED}; empty {} before it joins again with a new token",
            config.data_dir.display()
        );
    }
    services::notify_stopping();
    // Before anything that takes time: until then clients are sent here.
    readiness.send_replace(Readiness::NotReady(wiring::DRAINING.to_owned()));
    tokio::select! {
        () = leave(config, &rooms, &open) => {}
        () = stop.asked() => tracing::warn!("asked to stop again: ending at once"),
    }
    rooms.replica.shutdown().await;
    tracing::info!("stopped");
    Ok(())
}

/// Answers whoever formed the cluster, again if asked again with the same key, and
/// tells everybody else that it is formed. Does not end.
async fn answer_calls(
    rooms: &Rooms,
    admin_address: &str,
    first: Option<InitCall>,
    mut calls: tokio::sync::mpsc::Receiver<InitCall>,
) -> Result<()> {
    let mut next = first;
    loop {
        if let Some(call) = next.take() {
            let state = rooms.replica.state().borrow().clone();
            let answer = cluster::founding::answer(&state, &call.request.csr, admin_address);
            let answer = answer.ok_or_else(|| {
                tonic::Status::failed_precondition(
                    "this node belongs to a cluster already: ask its administrator for a token, and use `hostquorum login`",
                )
            });
            // Whoever asked has left if this fails.
            let _ = call.reply.send(answer);
        }
        next = calls.recv().await;
        if next.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// Serves on while those in front learn that this node is about to end, and then lets
/// clients end what they have begun.
async fn leave(config: &Config, rooms: &Rooms, open: &services::Open) {
    let wait = config.edge.lame_duck;
    tracing::info!(lame_duck = ?wait, grace = ?config.edge.grace, "asked to stop: draining");
    open.edge.lame_duck();
    open.draining();
    tokio::join!(hand_over(rooms), tokio::time::sleep(wait));
    open.edge.drain(config.edge.grace).await;
}

/// A leader that stops hands over first, so that writes wait for no election.
async fn hand_over(rooms: &Rooms) {
    if !matches!(*rooms.replica.leadership().borrow(), Leadership::Leading(_)) {
        return;
    }
    if rooms.replica.configuration().voters.len() < 2 {
        return;
    }
    match rooms.replica.transfer(None).await {
        Ok(to) => tracing::info!(%to, "leadership handed over"),
        Err(error) => {
            tracing::warn!(%error, "leadership was not handed over; the others will elect");
        }
    }
}

/// SIGTERM and SIGINT.
pub(crate) struct Stop {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Stop {
    pub(crate) fn listen() -> Result<Self> {
        // Ends a program that does not ask for it, but is how those who rotate logs speak to
        // one. Who has a log to open anew listens for it, too.
        drop(signal(SignalKind::hangup())?);
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
