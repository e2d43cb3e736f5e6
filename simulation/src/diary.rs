//! The leader's door to the log, at which it is written down what duties were done.

use std::sync::Arc;

use async_trait::async_trait;
use consensus::Replica;
use state::ports::{Applied, Propose, ProposeError};
use state::{Actor, Change, Index, Outcome, Term};

use crate::seat::{Report, Seat};

/// The production door, and a witness.
pub(crate) struct Diary {
    pub(crate) replica: Arc<Replica>,
    pub(crate) seat: Arc<Seat>,
}

#[async_trait]
impl Propose for Diary {
    async fn propose(&self, actor: Actor, change: Change) -> Result<Applied, ProposeError> {
        self.replica.propose(actor, change).await
    }

    async fn propose_as(&self, term: Term, change: Change) -> Result<Applied, ProposeError> {
        let orders = match &change {
            Change::AdmitOrder(admit) => Some(admit.hostname.clone()),
            Change::IntendOrder { order, .. } => {
                let state = self.replica.state().borrow().clone();
                state.order(*order).map(|order| order.hostname.clone())
            }
            _ => None,
        };
        let answer = self.replica.propose_as(term, change).await;
        if let Ok(Applied {
            index,
            outcome: Outcome::Done(_),
        }) = &answer
        {
            self.seat.report(Report::Did(term, *index, orders));
        }
        answer
    }

    async fn barrier(&self) -> Result<Index, ProposeError> {
        self.replica.barrier().await
    }
}
