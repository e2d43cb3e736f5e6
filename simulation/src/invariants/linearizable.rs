//! The authorization of each hostname is a linearizable register (I1): its calls can be put
//! into one order that keeps to real time, in which each answer is right. Judged by the
//! clients' history alone, whatever the cluster says of indexes, when the run ends.
//!
//! A call whose outcome is unknown may take effect at any time after it was asked, or
//! never. The search is that of Wing and Gong with Lowe's memory of what was tried.

use std::collections::HashSet;

use state::ports::Applied;
use state::{Outcome, Refusal};

use super::Invariant;
use crate::events::{Event, What};
use crate::operation::{Answer, Op, Operation};
use crate::oracle::{Oracle, Promise};

/// See the module.
#[derive(Debug)]
pub(super) struct Linearizable;

impl Invariant for Linearizable {
    fn name(&self) -> &'static str {
        "authorizations are linearizable"
    }

    fn check(&mut self, event: &Event, oracle: &Oracle) -> Result<(), String> {
        if !matches!(event.what, What::Converged { .. }) {
            return Ok(());
        }
        for (hostname, calls) in oracle.hostnames() {
            let history: Vec<Entry> = calls.into_iter().filter_map(entry).collect();
            if !linearizes(&history) {
                return Err(format!("no order explains what was answered of {hostname}"));
            }
        }
        Ok(())
    }
}

/// What a call did, by what it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// The call took the name, which was free.
    Take(Op),
    /// It found the name taken.
    FoundTaken,
    /// It freed the name, which was taken.
    Free,
    /// It found the name free, or held by that call.
    Found(Option<Op>),
    /// It may have taken the name, if that was free.
    MayTake(Op),
    /// It may have freed it.
    MayFree,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    begin: u64,
    /// `None`: at any time later, or never.
    end: Option<u64>,
    effect: Effect,
}

fn entry((op, promise): (Op, &Promise)) -> Option<Entry> {
    let answer = promise.answer.as_ref();
    let outcome = match answer {
        Some(Answer::Applied(Applied { outcome, .. })) => Some(outcome),
        Some(Answer::NotProposed(_) | Answer::Transferred(_)) => return None,
        Some(Answer::Read(..) | Answer::Unknown) | None => None,
    };
    let effect = match (&promise.operation, outcome, answer) {
        (Operation::Authorize(_), Some(Outcome::Done(_)), _) => Effect::Take(op),
        (Operation::Authorize(_), Some(Outcome::Refused(Refusal::AlreadyExists(_))), _) => {
            Effect::FoundTaken
        }
        (Operation::Authorize(_), None, _) => Effect::MayTake(op),
        (Operation::Remove(_), Some(Outcome::Done(_)), _) => Effect::Free,
        (Operation::Remove(_), Some(Outcome::Refused(Refusal::NotFound(_))), _) => {
            Effect::Found(None)
        }
        (Operation::Remove(_), None, _) => Effect::MayFree,
        (Operation::Read(_), _, Some(Answer::Read(_, by))) => Effect::Found(*by),
        // A read that failed says nothing, nor does a refusal for another reason.
        _ => return None,
    };
    let known = !matches!(effect, Effect::MayTake(_) | Effect::MayFree);
    Some(Entry {
        begin: promise.asked,
        end: promise.answered.filter(|_| known),
        effect,
    })
}

/// What the register holds after `effect`, if that can be.
fn after(held: Option<Op>, effect: Effect) -> Option<Option<Op>> {
    match (effect, held) {
        (Effect::Take(op), None) => Some(Some(op)),
        (Effect::Free, Some(_)) => Some(None),
        (Effect::FoundTaken, Some(_)) => Some(held),
        (Effect::Found(by), _) if by == held => Some(held),
        (Effect::MayTake(op), None) => Some(Some(op)),
        (Effect::MayTake(_), Some(_)) => Some(held),
        (Effect::MayFree, _) => Some(None),
        _ => None,
    }
}

/// Whether there is an order.
fn linearizes(history: &[Entry]) -> bool {
    let mut search = Search {
        history,
        done: vec![false; history.len()],
        tried: HashSet::new(),
    };
    search.from(None)
}

struct Search<'a> {
    history: &'a [Entry],
    done: Vec<bool>,
    tried: HashSet<(Vec<bool>, Option<Op>)>,
}

impl Search<'_> {
    fn from(&mut self, held: Option<Op>) -> bool {
        let open = || {
            self.history
                .iter()
                .zip(&self.done)
                .filter(|(_, done)| !**done)
        };
        let left = open().any(|(entry, _)| entry.end.is_some());
        if !left {
            return true;
        }
        // Whoever is next began before any that is open was answered.
        let first_end = open().filter_map(|(entry, _)| entry.end).min();
        let first_end = first_end.unwrap_or(u64::MAX);
        if !self.tried.insert((self.done.clone(), held)) {
            return false;
        }
        for (place, entry) in self.history.iter().enumerate() {
            let may = self.done.get(place) == Some(&false) && entry.begin <= first_end;
            if let Some(next) = after(held, entry.effect).filter(|_| may) {
                self.mark(place, true);
                if self.from(next) {
                    return true;
                }
                self.mark(place, false);
            }
        }
        false
    }

    fn mark(&mut self, place: usize, done: bool) {
        if let Some(mark) = self.done.get_mut(place) {
            *mark = done;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(begin: u64, end: u64, effect: Effect) -> Entry {
        Entry {
            begin,
            end: Some(end),
            effect,
        }
    }

    fn unknown(begin: u64, effect: Effect) -> Entry {
        Entry {
            begin,
            end: None,
            effect,
        }
    }

    const ONE: Op = Op(1);
    const TWO: Op = Op(2);

    #[track_caller]
    fn check(history: &[Entry], expected: bool) {
        assert_eq!(linearizes(history), expected, "{history:?}");
    }

    #[test]
    fn calls_at_the_same_time_go_in_any_order() {
        let taken = call(0, 10, Effect::Take(ONE));
        check(&[taken, call(5, 15, Effect::Found(None))], true);
        check(&[taken, call(5, 15, Effect::Found(Some(ONE)))], true);
        check(&[taken, call(11, 15, Effect::Found(None))], false);
        check(&[taken, call(11, 15, Effect::Found(Some(TWO)))], false);
    }

    #[test]
    fn a_name_is_taken_once_and_freed_once() {
        let (one, two) = (Effect::Take(ONE), Effect::Take(TWO));
        check(&[call(0, 9, one), call(0, 9, two)], false);
        let freed = call(0, 9, Effect::Free);
        check(&[call(0, 9, one), freed, call(0, 9, two)], true);
        check(&[freed], false);
        check(&[call(0, 9, one), freed, freed], false);
    }

    #[test]
    fn an_unknown_call_takes_effect_late_or_never() {
        let maybe = unknown(0, Effect::MayTake(ONE));
        check(&[maybe, call(5, 6, Effect::Found(None))], true);
        let (free, held) = (Effect::Found(None), Effect::Found(Some(ONE)));
        check(&[maybe, call(5, 6, free), call(90, 91, held)], true);
        check(&[maybe, call(5, 6, held), call(90, 91, free)], false);
        let freed = unknown(20, Effect::MayFree);
        check(&[maybe, call(5, 6, held), freed, call(90, 91, free)], true);
    }

    #[test]
    fn what_a_stale_read_says_cannot_be() {
        let history = [
            call(0, 1, Effect::Take(ONE)),
            call(2, 3, Effect::Free),
            call(4, 5, Effect::Take(TWO)),
            call(6, 7, Effect::Found(Some(ONE))),
        ];
        check(&history, false);
    }
}
