//! What to do next with an order: a function of what is committed, what the CA said last,
//! and what this leader remembers. Nothing here waits or asks.

use state::{Evidence, FailureClass, Order, Stage};

use super::authority::{OrderStatus, OrderView, Problem};

/// All that a decision depends on.
#[derive(Clone, Debug)]
pub(crate) struct Situation<'a> {
    pub(crate) order: &'a Order,
    /// Whether the order's hostname is still what it was ordered for.
    pub(crate) claim: Claim,
    /// The CA's last word on the order; `None`: look first.
    pub(crate) seen: Option<&'a OrderView>,
    /// What is known of its challenges.
    pub(crate) telling: Telling,
    /// The stage's intent was just committed and not used.
    pub(crate) permitted: bool,
    /// The CA took `newOrder`; what it made is not committed yet.
    pub(crate) unprepared: bool,
    /// The edges were waited for.
    pub(crate) confirmed: bool,
    /// Nothing that anybody sent to finalize can be under way any more.
    pub(crate) settled: bool,
    /// The CA refused to finalize, for good.
    pub(crate) refused: Option<&'a Problem>,
    /// Its life at the CA is over.
    pub(crate) expired: bool,
    /// It has been `processing` for longer than any CA takes.
    pub(crate) stuck: bool,
}

/// How a hostname stands to an order of its.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Authorized and proven as when the order began.
    Holds,
    /// The same claim, and its proof has lapsed.
    Lapsed,
    /// Withdrawn, or another's by now.
    Changed,
}

/// What is known of the challenges of an order that the CA is to be told are ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Telling {
    /// The CA was told of each not long ago, or needs not be told.
    Quiet,
    /// How some stand is to be read first.
    Unseen,
    /// At least one is pending, and the CA was not told of it lately.
    Pending,
}

/// The next move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// Commit the intent to send `newOrder`.
    IntendOrder,
    /// POST newOrder.
    Place,
    /// Read the authorizations and commit what the CA has.
    Prepare,
    /// Read the order.
    Look,
    /// Read the authorizations.
    LookAtChallenges,
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
    /// It begins with a request to the CA that has no effect there, so that it can wait
    /// while the CA ails. What follows on a permission cannot.
    pub(crate) fn can_wait(&self) -> bool {
        match self {
            Self::IntendOrder
            | Self::Prepare
            | Self::Look
            | Self::LookAtChallenges
            | Self::IntendReady
            | Self::IntendFinalize
            | Self::Download
            | Self::Bury => true,
            Self::Place
            | Self::Confirm
            | Self::Tell
            | Self::Finalize
            | Self::Poll
            | Self::Settle
            | Self::Fail(..) => false,
        }
    }

    /// It asks the CA to do something, or intends to.
    pub(crate) fn acts(&self) -> bool {
        match self {
            Self::IntendOrder
            | Self::Place
            | Self::IntendReady
            | Self::Tell
            | Self::IntendFinalize
            | Self::Finalize => true,
            Self::Prepare
            | Self::Look
            | Self::LookAtChallenges
            | Self::Confirm
            | Self::Poll
            | Self::Settle
            | Self::Download
            | Self::Bury
            | Self::Fail(..) => false,
        }
    }

    /// In a few words, for the status.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::IntendOrder => "committing the intent to order",
            Self::Place => "ordering",
            Self::Prepare => "reading the authorizations",
            Self::Look => "reading the order",
            Self::LookAtChallenges => "reading the challenges",
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
        Stage::FinalizeIntent(_) => finalize_intent(situation),
        // No certificate can come of it yet, and none should.
        _ if situation.claim != Claim::Holds => unwanted(situation.claim),
        Stage::Admitted => admitted(situation),
        Stage::Prepared(placed) => prepared(situation, placed.challenges().next().is_some()),
        Stage::ReadyIntent(_) => ready_intent(situation),
    }
}

fn unwanted(claim: Claim) -> Move {
    let (class, reason) = match claim {
        Claim::Holds | Claim::Changed => (
            FailureClass::Rejected,
            "the hostname's authorization has changed",
        ),
        Claim::Lapsed => (
            FailureClass::Preflight,
            "the hostname is not proven to be its tenant's any more",
        ),
    };
    Move::Fail(Evidence::NeverPlaced, class, reason)
}

fn admitted(situation: &Situation<'_>) -> Move {
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
        Some(OrderStatus::Pending) => match situation.telling {
            Telling::Quiet => Move::Poll,
            Telling::Unseen => Move::LookAtChallenges,
            Telling::Pending => Move::IntendReady,
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
    } else if situation.claim == Claim::Changed {
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
