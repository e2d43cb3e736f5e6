//! What to do next with an order: a function of what is committed, what the CA said last,
//! and what this leader remembers. Nothing here waits or asks.

use state::{Evidence, FailureClass, Order, Stage};

use super::authority::{ChallengeStatus, OrderStatus, OrderView, Problem};

/// All that a decision depends on.
#[derive(Clone, Debug)]
pub(crate) struct Situation<'a> {
    pub(crate) order: &'a Order,
    /// The hostname is authorized as it was when the order began.
    pub(crate) claimed: bool,
    /// The CA's last word on the order; `None`: look first.
    pub(crate) seen: Option<&'a OrderView>,
    /// The CA's last word on its challenge, if it was asked.
    pub(crate) challenge: Option<ChallengeStatus>,
    /// The stage's intent was just committed and not used.
    pub(crate) permitted: bool,
    /// The CA took `newOrder`; what it made is not committed yet.
    pub(crate) unprepared: bool,
    /// The edges were waited for.
    pub(crate) confirmed: bool,
    /// This leader told the CA that the challenge is ready, not long ago.
    pub(crate) told: bool,
    /// Nothing that anybody sent to finalize can be under way any more.
    pub(crate) settled: bool,
    /// The CA refused to finalize, for good.
    pub(crate) refused: Option<&'a Problem>,
    /// Its life at the CA is over.
    pub(crate) expired: bool,
    /// It has been `processing` for longer than any CA takes.
    pub(crate) stuck: bool,
}

/// The next move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// Commit the intent to send `newOrder`.
    IntendOrder,
    /// POST newOrder.
    Place,
    /// Read the authorization and commit what the CA has.
    Prepare,
    /// Read the order.
    Look,
    /// Read the authorization.
    LookAtChallenge,
    /// Wait for the edges.
    Confirm,
    /// Commit the intent to say that the challenge is ready.
    IntendReady,
    /// POST the challenge.
    Tell,
    /// Commit the intent to finalize.
    IntendFinalize,
    /// POST finalize.
    Finalize,
    /// Nothing to do but to wait, and then to look.
    Poll,
    /// Wait until nothing sent to finalize can be under way.
    Settle,
    /// Read the certificate, check and install it.
    Download,
    /// Find out why it is invalid, and give it up.
    Bury,
    /// Give it up.
    Fail(Evidence, FailureClass, &'static str),
}

impl Move {
    /// In a few words, for the status.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::IntendOrder => "committing the intent to order",
            Self::Place => "ordering",
            Self::Prepare => "reading the authorization",
            Self::Look => "reading the order",
            Self::LookAtChallenge => "reading the challenge",
            Self::Confirm => "waiting for all nodes to know the challenge",
            Self::IntendReady => "committing the intent to be validated",
            Self::Tell => "asking for validation",
            Self::IntendFinalize => "committing the intent to finalize",
            Self::Finalize => "finalizing",
            Self::Poll => "waiting for the CA",
            Self::Settle => "waiting until nothing of an earlier leader can be under way",
            Self::Download => "downloading the certificate",
            Self::Bury => "reading why the order is invalid",
            Self::Fail(..) => "giving the order up",
        }
    }
}

/// The next move of an order.
pub(crate) fn decide(situation: &Situation<'_>) -> Move {
    match &situation.order.stage {
        Stage::Admitted => admitted(situation),
        Stage::Prepared(placed) => prepared(situation, placed.challenges().next().is_some()),
        Stage::ReadyIntent(_) => ready_intent(situation),
        Stage::FinalizeIntent(_) => finalize_intent(situation),
    }
}

fn admitted(situation: &Situation<'_>) -> Move {
    if !situation.claimed {
        let reason = "the hostname's authorization has changed";
        return Move::Fail(Evidence::NeverPlaced, FailureClass::Rejected, reason);
    }
    if situation.unprepared {
        Move::Prepare
    } else if situation.permitted {
        Move::Place
    } else {
        Move::IntendOrder
    }
}

fn prepared(situation: &Situation<'_>, challenged: bool) -> Move {
    match status(situation) {
        None => Move::Look,
        Some(OrderStatus::Pending) if situation.expired => gone(),
        Some(OrderStatus::Pending) if !challenged => Move::Poll,
        Some(OrderStatus::Pending) if !situation.confirmed => Move::Confirm,
        Some(OrderStatus::Pending) => Move::IntendReady,
        // A certificate can be installed only after the intent to finalize.
        Some(OrderStatus::Ready | OrderStatus::Processing | OrderStatus::Valid) => {
            Move::IntendFinalize
        }
        Some(OrderStatus::Invalid) => Move::Bury,
    }
}

fn ready_intent(situation: &Situation<'_>) -> Move {
    if situation.permitted {
        return Move::Tell;
    }
    match status(situation) {
        None => Move::Look,
        Some(OrderStatus::Pending) if situation.expired => gone(),
        Some(OrderStatus::Pending) if situation.told => Move::Poll,
        Some(OrderStatus::Pending) => match situation.challenge {
            None => Move::LookAtChallenge,
            Some(ChallengeStatus::Pending) => Move::IntendReady,
            Some(
                ChallengeStatus::Processing | ChallengeStatus::Valid | ChallengeStatus::Invalid,
            ) => Move::Poll,
        },
        Some(OrderStatus::Ready | OrderStatus::Processing | OrderStatus::Valid) => {
            Move::IntendFinalize
        }
        Some(OrderStatus::Invalid) => Move::Bury,
    }
}

fn finalize_intent(situation: &Situation<'_>) -> Move {
    match status(situation) {
        None => Move::Look,
        Some(OrderStatus::Ready) if situation.permitted => Move::Finalize,
        Some(OrderStatus::Ready) => finalize_again(situation),
        Some(OrderStatus::Processing | OrderStatus::Pending)
            if situation.stuck || situation.expired && situation.settled =>
        {
            gone()
        }
        Some(OrderStatus::Processing | OrderStatus::Pending) => Move::Poll,
        Some(OrderStatus::Valid) => Move::Download,
        Some(OrderStatus::Invalid) => Move::Bury,
    }
}

/// The CA has not begun to issue. Before anything else is sent or given up, whatever was
/// sent before must have arrived or died.
fn finalize_again(situation: &Situation<'_>) -> Move {
    if !situation.settled {
        Move::Settle
    } else if !situation.claimed {
        let reason = "the hostname's authorization has changed";
        Move::Fail(Evidence::Withdrawn, FailureClass::Rejected, reason)
    } else if situation.refused.is_some() {
        Move::Bury
    } else if situation.expired {
        gone()
    } else {
        Move::IntendFinalize
    }
}

fn gone() -> Move {
    let reason = "the order's time at the CA is over";
    Move::Fail(Evidence::Gone, FailureClass::Unavailable, reason)
}

fn status(situation: &Situation<'_>) -> Option<OrderStatus> {
    situation.seen.map(|view| view.status)
}

#[cfg(test)]
mod tests;
