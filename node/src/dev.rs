//! `hostquorumd dev`: a whole cluster on loopback, to try and to show.
//!
//! Three nodes as processes of their own, a development CA and a demonstration
//! origin in this one. The cluster is formed by the same calls that the command
//! line makes: `Init` over the Unix socket, then tokens and `--join`.

mod check;
pub mod origin;
pub mod process;
pub mod request;
mod show;
mod world;

use std::{io::Write as _, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::Instant,
};

use self::{show::Table, world::World};

/// What `hostquorumd dev` was asked for.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Where the nodes, the CA and the command line's context are kept.
    #[arg(long, default_value = "dev-data", env = "HOSTQUORUM_DEV_DATA")]
    pub data: PathBuf,
    /// The first of the ports that are used; the next fifty are ours too.
    #[arg(long, default_value_t = 21_000, value_parser = clap::value_parser!(u16).range(1024..=65_400), env = "HOSTQUORUM_DEV_PORT")]
    pub port: u16,
    /// Make the tour, verify it, kill the leader, and end: 0 if all was as promised.
    #[arg(long)]
    pub check: bool,
}

/// The hostnames of the tour.
const HOSTNAMES: [&str; 3] = [
    "shop.customer-one.example",
    "www.customer-two.example",
    "app.customer-three.example",
];
/// From authorization to the last node, on a busy machine.
const LIVE_WITHIN: Duration = Duration::from_secs(60);

/// Makes the tour. True if nothing failed.
pub async fn run(options: &Options) -> Result<bool> {
    let began = Instant::now();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let tour = async {
        let mut world = World::start(options).await?;
        let onboarded = tour(&mut world, began).await?;
        Ok::<_, anyhow::Error>((world, onboarded))
    };
    let (mut world, times) = tokio::select! {
        done = tour => done?,
        _ = interrupt.recv() => return Ok(true),
        _ = terminate.recv() => return Ok(true),
    };
    let good = if options.check {
        check::run(&mut world, times).await?
    } else {
        say(&show::farewell(&world, &HOSTNAMES))?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        true
    };
    say("draining ...\n")?;
    world.stop().await?;
    Ok(good)
}

/// How long the parts of the tour took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    formed: Duration,
    first: Duration,
    all: Duration,
}

async fn tour(world: &mut World, began: Instant) -> Result<Times> {
    let formed = began.elapsed();
    say(&format!(
        "three nodes, one cluster: {}\n\n",
        world.cluster_id()
    ))?;
    for name in HOSTNAMES {
        world.authorize(name).await?;
    }
    let mut table = Table::default();
    let mut first = None;
    let deadline = Instant::now() + LIVE_WITHIN;
    loop {
        let hostnames = world.hostnames().await?;
        table.show(&hostnames)?;
        let live = hostnames
            .iter()
            .filter(|hostname| show::is_live(hostname))
            .count();
        if live > 0 {
            first.get_or_insert_with(|| began.elapsed());
        }
        if HOSTNAMES.iter().all(|name| {
            hostnames
                .iter()
                .any(|h| show::is_served(h, name, world.node_count()))
        }) {
            break;
        }
        anyhow::ensure!(
            Instant::now() < deadline,
            "not all hostnames were live within {LIVE_WITHIN:?}; see the logs in {}",
            world.data().display()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(Times {
        formed,
        first: first.unwrap_or_else(|| began.elapsed()),
        all: began.elapsed(),
    })
}

/// Writes to standard output, where a person looks on.
pub(crate) fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("standard output is closed")
}
