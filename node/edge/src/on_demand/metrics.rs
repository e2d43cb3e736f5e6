//! What asking counts.

use super::book::Refused;
use crate::metrics::{Counter, Figure, Kind, counted};

counted! {
    /// Questions about hostnames that are not authorized.
    Counter questions,
    /// Questions answered with yes.
    Counter answered_yes,
    /// Questions answered with no.
    Counter answered_no,
    /// Questions that had no answer.
    Counter failed,
    /// Handshakes that waited for a question that was under way.
    Counter joined,
    /// Hostnames authorized because of an answer.
    Counter authorized,
    /// Hostnames that were to be authorized so and were not.
    Counter not_authorized,
    /// Handshakes refused unasked: no name for a CA, or one that was removed.
    Counter not_asked_unfit,
    /// Handshakes refused unasked: the answer was no a while ago.
    Counter not_asked_answered,
    /// Handshakes refused unasked: there was no answer a moment ago.
    Counter not_asked_failed,
    /// Handshakes refused unasked: too many questions were under way.
    Counter not_asked_busy,
    /// Handshakes refused unasked: there were too many questions.
    Counter not_asked_pace,
    /// Handshakes refused unasked: their client had too many questions.
    Counter not_asked_client,
    /// Handshakes refused because enough hostnames were authorized within an hour.
    Counter over_hour,
    /// Handshakes refused because enough were authorized below their registered domain.
    Counter over_domain,
}

impl Counters {
    pub(crate) fn refused(&self, why: Refused) {
        let counter = match why {
            Refused::Answered => &self.not_asked_answered,
            Refused::Failed => &self.not_asked_failed,
            Refused::Pace => &self.not_asked_pace,
            Refused::Client => &self.not_asked_client,
            Refused::Hour => &self.over_hour,
            Refused::Domain => &self.over_domain,
        };
        counter.add();
    }
}
