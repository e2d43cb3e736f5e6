//! Telling the others: one task for each member, so that a silent one delays none.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use proto::peer::v1::serving_client::ServingClient;
use state::NodeId;
use tokio::{
    task::AbortHandle,
    time::{sleep, timeout},
};
use tonic::{Status, transport::Channel};

use super::{Serving, table::Offset};
use crate::peer::Channels;

/// How often a member is told even if nothing changed.
const REPORT_EVERY: Duration = Duration::from_millis(250);

/// Changes within this go into one report: a batch of proposals is applied as some
/// entries in a row.
const DEBOUNCE: Duration = Duration::from_millis(5);

/// Longest exchange. Its connection is given up with it: whether it was dead or only
/// slow, a new one is the way to find out.
const EXCHANGE_MAX: Duration = Duration::from_secs(1);

/// Longest pause after failures; below `HEARD_WITHIN`, so that a member that is back
/// is heard of soon.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The tasks that tell one member each; they end with this.
#[derive(Default)]
struct Reporters(BTreeMap<NodeId, AbortHandle>);

impl Serving {
    /// Tells all members, as they come and go, until the state's source is gone. The
    /// roster must follow it already.
    ///
    /// A newcomer tells those that it was told of: whoever was removed before it had any
    /// state hears so only when it calls.
    pub async fn tell_members(self: Arc<Self>, links: Arc<dyn Channels>) {
        let Some(mut states) = self.roster.changes() else {
            return;
        };
        let mut reporters = Reporters::default();
        loop {
            let state = states.borrow_and_update().clone();
            let others = self.roster.others(&state);
            let is_other = |node: NodeId| others.contains(&node);
            self.table().retain(is_other);
            reporters.retain(is_other);
            for node in &others {
                reporters.begin(*node, || {
                    let task = tell(self.clone(), links.clone(), *node);
                    tokio::spawn(task).abort_handle()
                });
            }
            if states.changed().await.is_err() {
                return;
            }
        }
    }

    async fn exchange(
        &self,
        client: &mut ServingClient<Channel>,
        node: NodeId,
    ) -> Result<(), Status> {
        let sent = self.clock.now().as_millis();
        let answer = timeout(EXCHANGE_MAX, client.report(self.report_to(node))).await;
        let answer = answer.map_err(|_| Status::deadline_exceeded("no answer to a report"))?;
        let report = answer?.into_inner();
        if !self.is_ours(report.envelope.as_ref(), node) {
            return Err(Status::internal("the answer is not for this node"));
        }
        let received = self.clock.now().as_millis();
        let middle = sent.midpoint(received);
        let offset = Offset::Measured(difference(report.clock_ms, middle));
        self.heard(node, report, offset);
        Ok(())
    }
}

/// Tells one member: at once when this node publishes, and every now and then.
async fn tell(serving: Arc<Serving>, links: Arc<dyn Channels>, node: NodeId) {
    let mut published = serving.own.published.clone();
    let mut health = serving.own.health.clone();
    let mut pause = REPORT_EVERY;
    loop {
        let mut client = ServingClient::new(links.clone().channel(node));
        let failure = loop {
            published.mark_unchanged();
            health.mark_unchanged();
            if let Err(status) = serving.exchange(&mut client, node).await {
                break status;
            }
            pause = REPORT_EVERY;
            tokio::select! {
                Ok(()) = published.changed() => sleep(DEBOUNCE).await,
                Ok(()) = health.changed() => sleep(DEBOUNCE).await,
                () = sleep(REPORT_EVERY) => {}
            }
        };
        tracing::debug!(%node, error = failure.message(), "a report did not get through");
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// `a` less `b`, in milliseconds.
pub(super) fn difference(a: u64, b: u64) -> i64 {
    i64::try_from(i128::from(a) - i128::from(b)).unwrap_or(if a > b { i64::MAX } else { i64::MIN })
}

impl Reporters {
    fn begin(&mut self, node: NodeId, spawn: impl FnOnce() -> AbortHandle) {
        self.0.entry(node).or_insert_with(spawn);
    }

    fn retain(&mut self, is_other: impl Fn(NodeId) -> bool) {
        self.0.retain(|node, task| {
            let stays = is_other(*node);
            if !stays {
                task.abort();
            }
            stays
        });
    }
}

impl Drop for Reporters {
    fn drop(&mut self) {
        self.retain(|_| false);
    }
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn clocks_differ_in_both_directions_and_by_any_amount() {
        for (a, b, expected) in [
            (10, 7, 3),
            (7, 10, -3),
            (u64::MAX, 0, i64::MAX),
            (0, u64::MAX, i64::MIN),
        ] {
            assert_eq!(difference(a, b), expected);
        }
    }
}
