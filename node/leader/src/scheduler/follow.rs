//! Taking in what changed: in the state, and by the clock.

use std::ops::Bound;

use imbl::{ordmap, ordset};
use state::{Due, State, Timestamp};

use super::{Place, READ_AT_ONCE, Scheduler};

impl Scheduler {
    pub(super) fn follow_dues(&mut self, state: &State, now: Timestamp) -> bool {
        let before = std::mem::replace(&mut self.dues, state.dues().clone());
        for change in before.diff(state.dues()) {
            match change {
                ordset::DiffItem::Remove((at, Due::Order(name, algorithm))) => {
                    self.undo(name, *at, *algorithm);
                }
                ordset::DiffItem::Add(entry @ (at, Due::Order(name, algorithm)))
                    if self.has_reached(entry) =>
                {
                    self.add(state, name, (*at, *algorithm), now);
                }
                ordset::DiffItem::Remove(_) | ordset::DiffItem::Add(_) => {}
            }
        }
        let newly = self.unreached(state, now);
        let more = newly.len() >= READ_AT_ONCE;
        let last = newly.last().cloned();
        for (at, due) in newly {
            if let Due::Order(name, algorithm) = due {
                self.add(state, &name, (at, algorithm), now);
            }
        }
        self.reached = match last {
            Some((at, due)) if more => Some((at, Some(due))),
            _ => self.reached.take().max(Some((now, None))),
        };
        more
    }

    fn has_reached(&self, (at, due): &(Timestamp, Due)) -> bool {
        match &self.reached {
            None => false,
            Some((to, None)) => at <= to,
            Some((to, Some(last))) => (at, due) <= (to, last),
        }
    }

    /// What is due at `now` and not in the queue yet, the first of it.
    fn unreached(&self, state: &State, now: Timestamp) -> Vec<(Timestamp, Due)> {
        let first = |dues: &mut dyn Iterator<Item = &(Timestamp, Due)>| {
            dues.take(READ_AT_ONCE).cloned().collect()
        };
        match &self.reached {
            None => first(&mut state.due(now)),
            Some((to, None)) => first(&mut state.due_between(*to, now)),
            Some((to, Some(last))) => {
                let last = (*to, last.clone());
                let after = (Bound::Excluded(last), Bound::Unbounded);
                let after = state.dues().range(after);
                first(&mut after.take_while(|(at, _)| *at <= now))
            }
        }
    }

    /// What is served may be revoked or asked to be replaced while its order is due.
    pub(super) fn follow_certificates(&mut self, state: &State, now: Timestamp) {
        let present = state.certificates_by_id();
        let before = std::mem::replace(&mut self.certificates, present.clone());
        if before.is_empty() {
            return;
        }
        for change in before.diff(present) {
            let (ordmap::DiffItem::Add(_, certificate)
            | ordmap::DiffItem::Update {
                new: (_, certificate),
                ..
            }) = change
            else {
                continue;
            };
            self.judge_again(state, &certificate.hostname, now);
        }
    }

    pub(super) fn follow_clock(&mut self, state: &State, now: Timestamp) {
        while let Some((at, _)) = self.rising.first()
            && *at <= now
            && let Some((_, name)) = self.rising.pop_first()
        {
            self.judge_again(state, &name, now);
        }
        while let Some((at, name)) = self.resting.first().cloned()
            && at <= now
        {
            self.put(&name, Place::Lane);
        }
    }
}
