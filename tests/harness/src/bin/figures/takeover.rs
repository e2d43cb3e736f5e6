//! The leader's kill -9 amid many orders: how long each stood still.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, UNIX_EPOCH},
};

use harness::{Cluster, admin, cluster::SOON, since_epoch, wait};
use proto::admin::v1::TimelineEvent;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::{
    burst::{Watching, authorize, begun, channels, duplicates, names},
    tell,
};

/// The leader dies when so many of a hundred are live.
const LIVE_PERCENT: usize = 30;
/// So that each node says when it takes an order up.
const LOG: &str = "[log]\nformat = \"json\"\nfilter = \"info,leader=debug\"\n";

/// Onboards `count` and kills the leader amid them.
pub(crate) async fn burst(count: usize) {
    let mut cluster = begun(LOG).await;
    let leader = cluster.leader().await;
    let survivors: Vec<usize> = (0..3).filter(|place| *place != leader).collect();
    let channels = channels(&cluster, &survivors).await;
    let names = names(count);
    let began = Instant::now();
    let watching = Watching::begin(&cluster, survivors.clone(), channels[0].clone(), began);
    let asking = tokio::spawn({
        let (channels, names) = (channels.clone(), names.clone());
        async move { authorize(&channels, &names).await }
    });
    while admin::live(&channels[0]).await.unwrap().len() < count * LIVE_PERCENT / 100 {
        sleep(Duration::from_millis(20)).await;
    }
    cluster.nodes[leader].kill().await.unwrap();
    let killed = since_epoch();
    println!(
        "the leader died after {:.2} s",
        began.elapsed().as_secs_f64()
    );
    wait::until("another leads", SOON, || async {
        for place in &survivors {
            let took_over = cluster.figure(*place, "hostquorum_takeovers_total").await;
            if took_over.unwrap_or_default() > 0.0 {
                return Some(());
            }
        }
        None
    })
    .await;
    let taken = since_epoch() - killed;
    println!("another took over {:.2} s later", taken.as_secs_f64());
    asking.await.unwrap();
    let times = watching.all(&names).await.expect("all are served");
    tell("from the first request to served by both survivors", times);
    let log = Log::read(&cluster, &survivors, killed);
    let mut gaps = Gaps::default();
    for name in &names {
        let events = admin::timeline(&channels[0], name).await.unwrap();
        gaps.add(&events, killed, log.leads, log.taken_up.get(name));
    }
    gaps.tell();
    duplicates(&cluster, count + 1);
}

/// What survivors wrote after the death, in time since the epoch.
struct Log {
    /// Another led.
    leads: Duration,
    /// It took the order of a hostname up.
    taken_up: BTreeMap<String, Duration>,
}

impl Log {
    fn read(cluster: &Cluster, survivors: &[usize], killed: Duration) -> Self {
        let (mut leads, mut taken_up) = (Vec::new(), BTreeMap::new());
        for place in survivors {
            let text = fs::read_to_string(cluster.nodes[*place].files.log()).unwrap();
            for line in text.lines() {
                // What a library wrote to standard error by itself is no JSON.
                let Ok(line) = serde_json::from_str::<Value>(line) else {
                    continue;
                };
                let at = humantime::parse_rfc3339(line["timestamp"].as_str().unwrap()).unwrap();
                let at = at.duration_since(UNIX_EPOCH).unwrap();
                match line["message"].as_str() {
                    Some("this node leads") if at > killed => leads.push(at),
                    Some("next") if at > killed => {
                        let hostname = line["hostname"].as_str().unwrap().to_owned();
                        let first = taken_up.entry(hostname).or_insert(at);
                        *first = at.min(*first);
                    }
                    _ => {}
                }
            }
        }
        let leads = leads.into_iter().min().expect("another leads, and says so");
        Self { leads, taken_up }
    }
}

/// From the takeover until an order is taken up, and until the next step of it is
/// committed, by where it was.
#[derive(Default)]
struct Gaps {
    at_finalize: Gap,
    before_finalize: Gap,
    not_begun: Gap,
    asked_later: usize,
    done: usize,
}

#[derive(Default)]
struct Gap {
    taken_up: Vec<Duration>,
    committed: Vec<Duration>,
}

impl Gaps {
    fn add(
        &mut self,
        events: &[TimelineEvent],
        killed: Duration,
        leads: Duration,
        taken_up: Option<&Duration>,
    ) {
        let told = |event: &TimelineEvent| {
            let at = event.at.expect("each event has its time");
            let seconds = u64::try_from(at.seconds).unwrap();
            Duration::new(seconds, at.nanos.unsigned_abs())
        };
        let before = events.iter().rfind(|event| told(event) <= killed);
        let Some(next) = events.iter().find(|event| told(event) > killed) else {
            self.done += 1;
            return;
        };
        let gap = match before.map(|event| event.kind.as_str()) {
            Some("finalizing") => &mut self.at_finalize,
            Some("authorized") => &mut self.not_begun,
            Some(_) => &mut self.before_finalize,
            None => {
                // Its `next` is that it was authorized: nobody could go on with it before.
                self.asked_later += 1;
                return;
            }
        };
        gap.committed.push(told(next).saturating_sub(leads));
        gap.taken_up
            .extend(taken_up.map(|at| at.saturating_sub(leads)));
    }

    fn tell(self) {
        println!(
            "{} were live before, {} were authorized later",
            self.done, self.asked_later
        );
        for (what, gap) in [
            ("at finalize", self.at_finalize),
            ("before finalize", self.before_finalize),
            ("not begun", self.not_begun),
        ] {
            if gap.committed.is_empty() || gap.taken_up.is_empty() {
                println!("{what}: none");
            } else {
                tell(&format!("{what}: takeover to taken up"), gap.taken_up);
                let committed = format!("{what}: takeover to the next step committed");
                tell(&committed, gap.committed);
            }
        }
    }
}
