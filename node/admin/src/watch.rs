//! A hostname now and after each change, as a stream.

use std::sync::Arc;

use proto::admin::v1;
use state::{
    Hostname, OperatorId, State,
    outcome::Kind,
    ports::{Clock, ServingSet},
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout, timeout_at},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use crate::{budget::Place, convert, limits, problem::Problem};

/// What a watch looks at.
pub(crate) struct Watch {
    pub(crate) hostname: Hostname,
    /// Who watches: the watch ends with the operator.
    pub(crate) operator: OperatorId,
    pub(crate) states: watch::Receiver<Arc<State>>,
    pub(crate) serving: Arc<dyn ServingSet>,
    pub(crate) clock: Arc<dyn Clock>,
}

type Item = Result<v1::Hostname, Status>;

/// Begins a watch. It ends when the caller leaves, and gives its place back.
pub(crate) fn begin(watch: Watch, place: Place) -> ReceiverStream<Item> {
    // One ahead: a slow caller gets the latest state and not a backlog.
    let (send, receive) = mpsc::channel(1);
    tokio::spawn(async move {
        watch.run(send).await;
        drop(place);
    });
    ReceiverStream::new(receive)
}

impl Watch {
    async fn run(mut self, send: mpsc::Sender<Item>) {
        let end = Instant::now() + limits::WATCH_LIFE;
        let mut tick = interval(limits::WATCH_TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = None;
        loop {
            let now = match self.look() {
                Ok(now) => now,
                Err(problem) => return last_words(&send, problem).await,
            };
            if !last.as_ref().is_some_and(|last| same(last, &now)) {
                last = Some(now.clone());
                // A caller who reads nothing must not hold its place for ever.
                if !matches!(timeout_at(end, send.send(Ok(now))).await, Ok(Ok(()))) {
                    return;
                }
            }
            tokio::select! {
                () = send.closed() => return,
                () = sleep_until(end) => return last_words(&send, ended()).await,
                changed = self.states.changed() => if changed.is_err() {
                    return last_words(&send, stopping()).await;
                },
                _ = tick.tick() => {}
            }
        }
    }

    fn look(&mut self) -> Result<v1::Hostname, Problem> {
        let state = self.states.borrow_and_update().clone();
        if state.operator(self.operator).is_none() {
            let message = "the operator that began this watch does not exist any more";
            return Err(Problem::new(
                Code::Unauthenticated,
                "OPERATOR_UNKNOWN",
                message,
            ));
        }
        let record = state
            .hostname(self.hostname.as_str())
            .ok_or_else(|| Problem::not_found(Kind::Hostname, self.hostname.as_str()))?;
        let reports = self.serving.reports();
        Ok(convert::hostname(
            &state,
            &reports,
            &self.hostname,
            record,
            self.clock.now(),
        ))
    }
}

async fn last_words(send: &mpsc::Sender<Item>, problem: Problem) {
    // Whoever left, or does not read, does not hear them.
    let _unheard = timeout(limits::LAST_WORDS_WITHIN, send.send(Err(problem.into()))).await;
}

fn ended() -> Problem {
    let message = "this watch has lasted long enough; begin another";
    Problem::new(Code::Unavailable, "WATCH_ENDED", message)
}

fn stopping() -> Problem {
    let message = "this node is stopping; watch at another";
    Problem::new(Code::Unavailable, "STOPPING", message)
}

/// True if nothing has changed but how long nodes have been silent.
fn same(one: &v1::Hostname, other: &v1::Hostname) -> bool {
    let still = |hostname: &v1::Hostname| {
        let mut hostname = hostname.clone();
        for node in &mut hostname.serving {
            node.silent_seconds = None;
        }
        hostname
    };
    still(one) == still(other)
}
