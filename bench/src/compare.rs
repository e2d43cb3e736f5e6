//! Ours and its peers in one run, taking turns.

mod contender;
mod peers;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tokio::{runtime, time::timeout};

use self::contender::{Contender, Site};
use crate::{
    affinity::{self, Cores},
    certificates::{Ca, HOST},
    cpu,
    load::{Load, Workload},
    origin,
    report::{Report, Row},
};

/// What `bench compare` was asked for.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// A few requests to each that is installed, to see that all is answered well; the
    /// figures mean nothing.
    #[arg(long)]
    quick: bool,
    /// Turns of each contender for each workload.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Ours; by default what was built beside this program.
    #[arg(long)]
    hostquorumd: Option<PathBuf>,
    /// Where peers are looked for besides the PATH.
    #[arg(long, default_value = "target/bench-tools/bin")]
    tools: PathBuf,
    /// Only these contenders, by their names; ours and nginx are the least.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only these workloads, by their names.
    #[arg(long, value_delimiter = ',')]
    workload: Vec<String>,
    /// The document whose tables are to be replaced.
    #[arg(long)]
    write: Option<PathBuf>,
}

/// Fewest turns that a figure is told from.
const ROUNDS_MIN: usize = 7;
/// A turn that takes longer has hung.
const TURN: Duration = Duration::from_secs(120);

/// What is measured.
pub(crate) struct Course {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) workload: Workload,
    /// Requests of one turn.
    count: usize,
    /// What a ratio of CPU time to nginx, and to HAProxy, is to be at most.
    pub(crate) to_nginx: Option<f64>,
    pub(crate) to_haproxy: Option<f64>,
    /// Told for a gigabyte of bodies instead of for a request.
    pub(crate) per_gigabyte: bool,
}

const SMALL: usize = 128;
const LARGE: usize = 64 << 10;

pub(crate) const COURSES: [Course; 5] = [
    Course {
        name: "handshake",
        what: "full TLS 1.3 handshake, GET, close",
        workload: Workload::Handshake,
        count: 400,
        to_nginx: Some(0.42),
        to_haproxy: None,
        per_gigabyte: false,
    },
    Course {
        name: "h1",
        what: "kept HTTP/1.1, 128 B",
        workload: Workload::Http1 { bytes: SMALL },
        count: 8000,
        to_nginx: Some(0.85),
        to_haproxy: Some(1.0),
        per_gigabyte: false,
    },
    Course {
        name: "h2",
        what: "kept HTTP/2, 128 B",
        workload: Workload::Http2 { bytes: SMALL },
        count: 8000,
        to_nginx: Some(1.0),
        to_haproxy: None,
        per_gigabyte: false,
    },
    Course {
        name: "h1-64k",
        what: "kept HTTP/1.1, 64 KiB",
        workload: Workload::Http1 { bytes: LARGE },
        count: 1500,
        to_nginx: Some(0.80),
        to_haproxy: None,
        per_gigabyte: true,
    },
    Course {
        name: "h2-64k",
        what: "kept HTTP/2, 64 KiB",
        workload: Workload::Http2 { bytes: LARGE },
        count: 1500,
        to_nginx: Some(0.80),
        to_haproxy: None,
        per_gigabyte: true,
    },
];

/// Starts all, takes turns, reports.
pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(
        options.quick || options.rounds >= ROUNDS_MIN,
        "a figure needs {ROUNDS_MIN} rounds at least"
    );
    let cores = Cores::choose()?;
    let folder = tempfile::tempdir()?;
    let ca = Ca::new()?;
    ca.write(&folder.path().join("certs"), HOST)?;
    affinity::pin(cores.others)?;
    let site = Site {
        folder: folder.path().to_owned(),
        tools: std::path::absolute(&options.tools)?,
        hostquorumd: match &options.hostquorumd {
            Some(path) => std::path::absolute(path)?,
            None => beside()?,
        },
        origin: origin::start()?,
        core: cores.proxy,
    };
    let mut contenders = contender::start(&site, &options.only, options.quick)?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(measure(&mut contenders, &ca, options))?;
    report.tell(cores)?;
    if let Some(path) = &options.write {
        report.write(path, cores)?;
    }
    Ok(())
}

fn beside() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().context("this program is in no folder")?;
    Ok(folder.join("hostquorumd"))
}

async fn measure(contenders: &mut [Contender], ca: &Ca, options: &Options) -> Result<Report> {
    for contender in contenders.iter_mut() {
        contender.ready(ca).await?;
    }
    let mut report = Report::new(contenders.iter().map(Contender::told).collect());
    let wanted = |course: &&Course| {
        options.workload.is_empty() || options.workload.iter().any(|name| name == course.name)
    };
    let rounds = if options.quick { 1 } else { options.rounds };
    for course in COURSES.iter().filter(wanted) {
        let count = if options.quick { 64 } else { course.count };
        let mut row = Row::new(course, contenders.len());
        for round in 0..rounds {
            for turn in 0..contenders.len() {
                let place = (round + turn) % contenders.len();
                let cost = take_turn(&contenders[place], course.workload, count, ca)
                    .await
                    .with_context(|| format!("{}, {}", contenders[place].name, course.what))?;
                row.add(place, cost);
            }
        }
        report.add(row);
    }
    Ok(report)
}

/// The CPU time of one request.
async fn take_turn(
    contender: &Contender,
    workload: Workload,
    count: usize,
    ca: &Ca,
) -> Result<Duration> {
    let turn = async {
        let mut load = Load::open(workload, contender.address, ca).await?;
        let before = cpu::used(contender.pid())?;
        let sent = load.run(count).await?;
        let used = cpu::used(contender.pid())?.saturating_sub(before);
        Ok(used / u32::try_from(sent)?)
    };
    timeout(TURN, turn).await.context("it hangs")?
}
