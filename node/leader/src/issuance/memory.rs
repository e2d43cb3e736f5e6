//! What a leader remembers of an order beside what is committed. All of it may be lost.

use std::time::Duration;

use state::{Index, Order, Stage, Term, Timestamp};

use super::{
    authority::{ChallengeStatus, OrderView, Problem},
    decide::Situation,
};
use crate::fence::Permit;

/// A challenge that is still pending this long after the CA was told is told again: the
/// CA may have lost it, and telling twice is allowed.
const TOLD_FOR: Duration = Duration::from_secs(60);

/// An order that has been `processing` for this long is stuck at the CA (Boulder issue
/// 9013 tells of objects stuck for ever).
const STUCK_AFTER: Duration = Duration::from_secs(3600);

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// From the last intent, until it is used.
    pub(crate) permit: Option<Permit>,
    pub(crate) seen: Option<OrderView>,
    /// When that was asked for: what the CA said may be older than its answer's arrival,
    /// but not than this.
    pub(crate) seen_from: Duration,
    pub(crate) challenge: Option<ChallengeStatus>,
    /// What newOrder answered, until it is committed.
    pub(crate) unprepared: Option<OrderView>,
    /// The entry that edges must have published.
    pub(crate) prepared_at: Option<Index>,
    pub(crate) confirmed: bool,
    pub(crate) told_at: Option<Duration>,
    /// Until then something sent to finalize may be under way.
    pub(crate) settled_at: Option<Duration>,
    pub(crate) refused: Option<Problem>,
    /// Looks since anything changed.
    pub(crate) polls: u32,
    /// Faults in a row.
    pub(crate) tries: u32,
}

/// What a situation is made of beside the order and the memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    pub(crate) term: Term,
    /// This leader's clock is not in doubt: by another nothing is over.
    pub(crate) trusted: bool,
    pub(crate) claimed: bool,
    /// A valid certificate is served meanwhile.
    pub(crate) covered: bool,
    pub(crate) now: Timestamp,
    pub(crate) boottime: Duration,
}

impl Memory {
    /// Of an order that this leader takes up: with the permission of having admitted it
    /// just now, or knowing nothing. If its finalization was intended, by whomever, that
    /// may be under way until `settled_at`.
    pub(crate) fn new(permit: Option<Permit>, order: &Order, settled_at: Duration) -> Self {
        let finalizing = matches!(order.stage, Stage::FinalizeIntent(_));
        Self {
            permit,
            settled_at: finalizing.then_some(settled_at),
            ..Self::default()
        }
    }

    pub(crate) fn situation<'a>(
        &'a self,
        order: &'a Order,
        circumstances: &Circumstances,
    ) -> Situation<'a> {
        let Circumstances {
            term,
            trusted,
            claimed,
            covered,
            now,
            boottime,
        } = *circumstances;
        let expires = order.stage.placed().and_then(|placed| placed.expires);
        let expired = trusted && expires.is_some_and(|expires| expires < now);
        let old = trusted && now.since(order.stage_at) > STUCK_AFTER;
        Situation {
            order,
            claimed,
            seen: self.seen.as_ref(),
            challenge: self.challenge,
            // An intent of another term is no permission of ours.
            permitted: self.permit.is_some() && order.epoch == term,
            unprepared: self.unprepared.is_some(),
            confirmed: self.confirmed,
            told: self
                .told_at
                .is_some_and(|at| boottime < at.saturating_add(TOLD_FOR)),
            settled: self.settled_at.is_none_or(|at| self.seen_from >= at),
            refused: self.refused.as_ref(),
            expired,
            stuck: old && (expired || !covered),
        }
    }

    /// The CA must be asked again before anything else.
    pub(crate) fn forget_view(&mut self) {
        self.seen = None;
        self.challenge = None;
    }
}
