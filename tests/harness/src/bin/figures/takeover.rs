//! The leader's kill -9 amid many orders: how long each stood still.

use std::time::Duration;

use harness::{admin, cluster::SOON, since_epoch, wait};
use proto::admin::v1::TimelineEvent;
use tokio::time::{Instant, sleep};

use crate::{
    burst::{Watching, authorize, begun, channels, duplicates, names},
    tell,
};

/// The leader dies when so many of a hundred are live.
const LIVE_PERCENT: usize = 30;

/// Onboards `count` and kills the leader amid them.
pub(crate) async fn burst(count: usize) {
    let mut cluster = begun().await;
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
    let taken = since_epoch();
    println!(
        "another took over {:.2} s later",
        (taken - killed).as_secs_f64()
    );
    asking.await.unwrap();
    let times = watching.all(&names).await.expect("all are served");
    tell("from the first request to served by both survivors", times);
    let mut gaps = Gaps::default();
    for name in &names {
        let events = admin::timeline(&channels[0], name).await.unwrap();
        gaps.add(&events, killed, taken);
    }
    gaps.tell();
    duplicates(&cluster, count + 1);
}

/// From the takeover to the next step of each order, by where it was.
#[derive(Default)]
struct Gaps {
    at_finalize: Vec<Duration>,
    before_finalize: Vec<Duration>,
    not_begun: Vec<Duration>,
    done: usize,
}

impl Gaps {
    fn add(&mut self, events: &[TimelineEvent], killed: Duration, taken: Duration) {
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
        let gap = told(next).saturating_sub(taken);
        match before.map(|event| event.kind.as_str()) {
            Some("finalizing") => self.at_finalize.push(gap),
            None | Some("authorized") => self.not_begun.push(gap),
            Some(_) => self.before_finalize.push(gap),
        }
    }

    fn tell(self) {
        println!("{} were live before", self.done);
        for (what, gaps) in [
            ("takeover to the next step, at finalize", self.at_finalize),
            (
                "takeover to the next step, before finalize",
                self.before_finalize,
            ),
            ("takeover to the first step, not begun", self.not_begun),
        ] {
            if gaps.is_empty() {
                println!("{what}: none");
            } else {
                tell(what, gaps);
            }
        }
    }
}
