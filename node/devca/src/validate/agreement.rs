//! When several vantages look at one name: whose word counts.

use crate::problem::{Kind, Problem};

/// Which of the vantages must answer rightly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreement {
    /// All of them.
    Every,
    /// All that can be reached, and at least one; as a load balancer would leave out nodes
    /// that fail its health checks. A vantage that is silent past the timeout counts as
    /// not reached.
    EveryReachable,
    /// This many; the others may be down or wrong.
    AtLeast(usize),
}

/// Why one vantage did not confirm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Miss {
    /// Nobody was there.
    Unreachable(Problem),
    /// Somebody was there and answered wrongly.
    Wrong(Problem),
}

/// The outcomes so far.
#[derive(Debug)]
pub(crate) struct Tally {
    agreement: Agreement,
    total: usize,
    right: usize,
    wrong: Vec<Problem>,
    unreachable: Vec<Problem>,
}

impl Tally {
    pub(crate) fn new(agreement: Agreement, total: usize) -> Self {
        Self {
            agreement,
            total,
            right: 0,
            wrong: Vec::new(),
            unreachable: Vec::new(),
        }
    }

    pub(crate) fn count(&mut self, outcome: Result<(), Miss>) {
        match outcome {
            Ok(()) => self.right += 1,
            Err(Miss::Wrong(problem)) => self.wrong.push(problem),
            Err(Miss::Unreachable(problem)) => self.unreachable.push(problem),
        }
    }

    /// The verdict, as soon as no further outcome can change it.
    pub(crate) fn verdict(&self) -> Option<Result<(), Problem>> {
        let missed = self.wrong.len() + self.unreachable.len();
        let open = self.total.saturating_sub(self.right + missed);
        let (holds, lost) = match self.agreement {
            Agreement::Every => (self.right == self.total && self.total > 0, missed > 0),
            Agreement::EveryReachable => (
                open == 0 && self.right > 0 && self.wrong.is_empty(),
                !self.wrong.is_empty(),
            ),
            Agreement::AtLeast(wanted) => {
                let wanted = wanted.max(1);
                (self.right >= wanted, self.right + open < wanted)
            }
        };
        if holds {
            Some(Ok(()))
        } else if lost || open == 0 {
            Some(Err(self.failure()))
        } else {
            None
        }
    }

    /// What to tell the client: a wrong answer says more than no answer.
    pub(crate) fn failure(&self) -> Problem {
        let told = self.wrong.iter().chain(&self.unreachable).next();
        told.cloned().unwrap_or_else(|| {
            Problem::new(
                Kind::Connection,
                "this CA is configured with no vantage to look from",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outcomes as letters: `r`ight, `w`rong, `u`nreachable; then the verdict: `+` valid,
    /// `w` or `u` what is told, `?` still open.
    #[track_caller]
    fn check(agreement: Agreement, total: usize, outcomes: &str, expected: char) {
        let mut tally = Tally::new(agreement, total);
        for outcome in outcomes.chars() {
            tally.count(match outcome {
                'r' => Ok(()),
                'w' => Err(Miss::Wrong(Problem::new(Kind::IncorrectResponse, "w"))),
                _ => Err(Miss::Unreachable(Problem::new(Kind::Connection, "u"))),
            });
        }
        let found = match tally.verdict() {
            None => '?',
            Some(Ok(())) => '+',
            Some(Err(problem)) if problem.kind == Kind::IncorrectResponse => 'w',
            Some(Err(_)) => 'u',
        };
        assert_eq!(found, expected, "{agreement:?} of {total}: {outcomes:?}");
    }

    #[test]
    fn every_vantage_means_every_one() {
        check(Agreement::Every, 3, "rr", '?');
        check(Agreement::Every, 3, "rrr", '+');
        check(Agreement::Every, 3, "ru", 'u');
        check(Agreement::Every, 3, "w", 'w');
        check(Agreement::Every, 0, "", 'u');
    }

    #[test]
    fn the_unreachable_may_be_left_out() {
        check(Agreement::EveryReachable, 3, "rr", '?');
        check(Agreement::EveryReachable, 3, "rru", '+');
        check(Agreement::EveryReachable, 3, "ruu", '+');
        check(Agreement::EveryReachable, 3, "rrw", 'w');
        check(Agreement::EveryReachable, 3, "uuu", 'u');
        check(Agreement::EveryReachable, 0, "", 'u');
    }

    #[test]
    fn a_number_is_decided_as_soon_as_it_can_be() {
        check(Agreement::AtLeast(2), 3, "r", '?');
        check(Agreement::AtLeast(2), 3, "rr", '+');
        check(Agreement::AtLeast(2), 3, "rwr", '+');
        check(Agreement::AtLeast(2), 3, "uw", 'w');
        check(Agreement::AtLeast(4), 3, "", 'u');
        check(Agreement::AtLeast(0), 3, "", '?');
        check(Agreement::AtLeast(0), 0, "", 'u');
    }
}
