//! What a leader remembers of an order beside what is committed. All of it may be lost.

use std::time::Duration;

use state::{ChallengeKind, Index, Order, Placed, Stage, Term, Timestamp, order::PlacedChallenge};

use super::{
    authority::{OrderView, Problem},
    decide::{Claim, Situation, Telling},
};
use crate::fence::Permit;

/// A challenge that is still pending this long after the CA was told is told again: the
/// CA may have lost it, and telling twice is allowed.
const TOLD_FOR: Duration = Duration::from_secs(60);

/// And so long after the CA was told and did not say that it heard: longer than what was
/// sent can be on its way.
const DOUBTED_FOR: Duration = Duration::from_secs(5);

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
    pub(crate) challenges: Challenges,
    /// The kinds of challenge that can succeed, if this leader looked before it ordered.
    pub(crate) methods: Option<Vec<ChallengeKind>>,
    /// The CA does not take the order as a replacement: it is asked for without.
    pub(crate) plainly: bool,
    /// Whether the CA may have counted a newOrder of which we do not know what came: an
    /// earlier leader's, or one whose answer was lost.
    pub(crate) unanswered: bool,
    /// What newOrder answered, until it is committed.
    pub(crate) unprepared: Option<OrderView>,
    /// The entry that edges must have published.
    pub(crate) prepared_at: Option<Index>,
    pub(crate) confirmed: bool,
    /// Since when it is held up by a member that is silent.
    pub(crate) held_since: Option<Duration>,
    /// Until then something sent to finalize may be under way.
    pub(crate) settled_at: Option<Duration>,
    pub(crate) refused: Option<Problem>,
    /// How long the CA asked to wait when its authorizations were read.
    pub(crate) asked: Option<Duration>,
    /// When another CA was last thought of.
    pub(crate) thought_at: Option<Duration>,
    /// Looks since anything changed.
    pub(crate) polls: u32,
    /// Faults in a row.
    pub(crate) tries: u32,
}

/// What is remembered of an order's challenges.
#[derive(Debug, Default)]
pub(crate) struct Challenges {
    /// By URL, and until when that is enough; an order has two at most.
    told: Vec<(String, Duration)>,
    /// Those that were pending when last looked at, by URL; `None`: nobody looked.
    pending: Option<Vec<String>>,
}

impl Challenges {
    /// They were looked at, and these are pending.
    pub(crate) fn saw(&mut self, pending: Vec<String>) {
        self.pending = Some(pending);
    }

    /// The CA was told of one; `heard` if it said so.
    pub(crate) fn tell(&mut self, url: &str, now: Duration, heard: bool) {
        let enough = if heard { TOLD_FOR } else { DOUBTED_FOR };
        self.told.retain(|(known, _)| known != url);
        self.told.push((url.to_owned(), now.saturating_add(enough)));
    }

    /// What may have changed since is to be looked at again.
    fn forget(&mut self) {
        self.pending = None;
    }

    /// The next one that the CA is to be told of.
    pub(crate) fn next<'a>(
        &self,
        placed: &'a Placed,
        now: Duration,
    ) -> Option<&'a PlacedChallenge> {
        let pending = |challenge: &PlacedChallenge| {
            let known = self.pending.as_ref();
            known.is_none_or(|known| known.contains(&challenge.url))
        };
        let mut open = placed.challenges().filter(|it| pending(it));
        open.find(|challenge| !self.is_told(&challenge.url, now))
    }

    fn telling(&self, placed: Option<&Placed>, now: Duration) -> Telling {
        match placed.and_then(|placed| self.next(placed, now)) {
            None => Telling::Quiet,
            Some(_) if self.pending.is_none() => Telling::Unseen,
            Some(_) => Telling::Pending,
        }
    }

    fn is_told(&self, url: &str, now: Duration) -> bool {
        let told = self.told.iter().find(|(known, _)| known == url);
        told.is_some_and(|(_, until)| now < *until)
    }
}

/// What a situation is made of beside the order and the memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    pub(crate) term: Term,
    /// This leader's clock is not in doubt: by another nothing is over.
    pub(crate) trusted: bool,
    pub(crate) claim: Claim,
    /// A valid certificate of that kind is served meanwhile.
    pub(crate) covered: bool,
    pub(crate) now: Timestamp,
    pub(crate) boottime: Duration,
}

impl Memory {
    /// Of an order that this leader takes up, knowing nothing. If its finalization was
    /// intended, by whomever, that may be under way until `settled_at`.
    pub(crate) fn new(order: &Order, settled_at: Duration) -> Self {
        let finalizing = matches!(order.stage, Stage::FinalizeIntent(_));
        Self {
            settled_at: finalizing.then_some(settled_at),
            unanswered: true,
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
            claim,
            covered,
            now,
            boottime,
        } = *circumstances;
        let placed = order.stage.placed();
        let expires = placed.and_then(|placed| placed.expires);
        let expired = trusted && expires.is_some_and(|expires| expires < now);
        let old = trusted && now.since(order.stage_at) > STUCK_AFTER;
        Situation {
            order,
            claim,
            seen: self.seen.as_ref(),
            telling: self.challenges.telling(placed, boottime),
            // An intent of another term is no permission of ours.
            permitted: self.permit.is_some() && order.epoch == term,
            unprepared: self.unprepared.is_some(),
            confirmed: self.confirmed,
            settled: self.settled_at.is_none_or(|at| self.seen_from >= at),
            refused: self.refused.as_ref(),
            expired,
            stuck: old && (expired || !covered),
        }
    }

    /// The CA must be asked again before anything else.
    pub(crate) fn forget_view(&mut self) {
        self.seen = None;
        self.challenges.forget();
    }
}

#[cfg(test)]
mod tests {
    use state::order::PlacedAuthorization;

    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);

    fn placed() -> Placed {
        let authorization = |name: &str| PlacedAuthorization {
            url: format!("https://ca.example/{name}"),
            challenge: Some(PlacedChallenge {
                kind: ChallengeKind::Dns01,
                url: name.to_owned(),
                token: "token".to_owned(),
            }),
        };
        Placed {
            url: String::new(),
            finalize_url: String::new(),
            authorizations: vec![authorization("base"), authorization("wildcard")],
            expires: None,
        }
    }

    #[track_caller]
    fn check(challenges: &Challenges, now: Duration, telling: Telling, next: Option<&str>) {
        let placed = placed();
        assert_eq!(challenges.telling(Some(&placed), now), telling);
        let found = challenges.next(&placed, now).map(|it| it.url.as_str());
        assert_eq!(found, next);
    }

    #[test]
    fn each_challenge_is_told_once_and_again_only_if_it_is_pending_after_a_while() {
        let mut challenges = Challenges::default();
        check(&challenges, NOW, Telling::Unseen, Some("base"));
        challenges.saw(vec!["base".to_owned(), "wildcard".to_owned()]);
        check(&challenges, NOW, Telling::Pending, Some("base"));
        challenges.tell("base", NOW, true);
        check(&challenges, NOW, Telling::Pending, Some("wildcard"));
        challenges.tell("wildcard", NOW, true);
        check(&challenges, NOW, Telling::Quiet, None);
        challenges.forget();
        check(&challenges, NOW, Telling::Quiet, None);
        let later = NOW + TOLD_FOR;
        check(&challenges, later, Telling::Unseen, Some("base"));
        challenges.saw(vec!["wildcard".to_owned()]);
        check(&challenges, later, Telling::Pending, Some("wildcard"));
        challenges.saw(Vec::new());
        check(&challenges, later, Telling::Quiet, None);
    }

    #[test]
    fn what_the_ca_may_not_have_heard_is_looked_at_sooner() {
        let mut challenges = Challenges::default();
        challenges.tell("base", NOW, false);
        challenges.tell("wildcard", NOW, true);
        check(&challenges, NOW, Telling::Quiet, None);
        let soon = NOW + DOUBTED_FOR;
        check(&challenges, soon, Telling::Unseen, Some("base"));
    }
}
