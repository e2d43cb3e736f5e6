//! Makes a scenario that violates an invariant as small as it can: fewer calls, fewer and
//! shorter troubles, an earlier end. What remains still violates the same invariant.

use std::io;

use crate::run::{Report, run};
use crate::scenario::Scenario;

/// What was found.
#[derive(Debug)]
pub struct Shrunk {
    /// The smallest.
    pub scenario: Scenario,
    /// What came of it.
    pub report: Report,
    /// How many runs it took.
    pub runs: u32,
}

/// Reduces `scenario` within so many `runs`; `None` if it violates nothing.
///
/// # Errors
///
/// As for [`run`].
pub fn shrink(scenario: Scenario, runs: u32) -> io::Result<Option<Shrunk>> {
    let report = run(&scenario)?;
    let Some(violation) = &report.violation else {
        return Ok(None);
    };
    let invariant = violation.invariant.clone();
    let mut search = Search {
        best: (scenario, report),
        left: runs.saturating_sub(1),
        judge: |scenario: &Scenario| {
            let report = run(scenario)?;
            let violation = report.violation.as_ref();
            let same = violation.is_some_and(|violation| violation.invariant == invariant);
            Ok(same.then_some(report))
        },
    };
    search.exhaust()?;
    let (scenario, report) = search.best;
    Ok(Some(Shrunk {
        scenario,
        report,
        runs: runs - search.left,
    }))
}

/// The smallest so far and what came of it, and who says what comes of another: nothing,
/// if it is not the same.
struct Search<T, F> {
    best: (Scenario, T),
    left: u32,
    judge: F,
}

impl<T, F: FnMut(&Scenario) -> io::Result<Option<T>>> Search<T, F> {
    /// Until nothing can be left out any more, or there are no more runs.
    fn exhaust(&mut self) -> io::Result<()> {
        loop {
            let before = self.best.0.clone();
            self.end_earlier()?;
            self.drop_troubles()?;
            self.drop_calls()?;
            self.shorten_troubles()?;
            if self.left == 0 || self.best.0 == before {
                return Ok(());
            }
        }
    }

    /// Takes what `edit` makes of the best if it still violates the invariant.
    fn try_to(&mut self, edit: impl FnOnce(&mut Scenario)) -> io::Result<bool> {
        let mut scenario = self.best.0.clone();
        edit(&mut scenario);
        if self.left == 0 || scenario == self.best.0 {
            return Ok(false);
        }
        self.left -= 1;
        let Some(outcome) = (self.judge)(&scenario)? else {
            return Ok(false);
        };
        self.best = (scenario, outcome);
        Ok(true)
    }

    fn end_earlier(&mut self) -> io::Result<()> {
        let halve = |scenario: &mut Scenario| {
            let steps = scenario.settings.steps / 2;
            scenario.settings.steps = steps;
            scenario.calls.retain(|call| call.at < steps);
            scenario.troubles.retain(|trouble| trouble.at < steps);
        };
        while self.try_to(halve)? {}
        Ok(())
    }

    fn drop_troubles(&mut self) -> io::Result<()> {
        let mut place = 0;
        while place < self.best.0.troubles.len() {
            let dropped = self.try_to(|scenario| drop(scenario.troubles.remove(place)))?;
            place += usize::from(!dropped);
        }
        Ok(())
    }

    /// Halves first, then quarters, and so on to single calls.
    fn drop_calls(&mut self) -> io::Result<()> {
        let mut size = self.best.0.calls.len();
        while size > 0 && self.left > 0 {
            let mut begin = 0;
            while begin < self.best.0.calls.len() && self.left > 0 {
                let end = (begin + size).min(self.best.0.calls.len());
                if !self.try_to(|scenario| drop(scenario.calls.drain(begin..end)))? {
                    begin += size;
                }
            }
            size /= 2;
        }
        Ok(())
    }

    fn shorten_troubles(&mut self) -> io::Result<()> {
        for place in 0..self.best.0.troubles.len() {
            let halve = |scenario: &mut Scenario| {
                if let Some(trouble) = scenario.troubles.get_mut(place) {
                    trouble.lasts = (trouble.lasts / 2).max(1);
                }
            };
            while self.try_to(halve)? {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Plague, Task};

    /// Fails if a hostname is authorized and something crashes for 20 ms or more.
    fn fails(scenario: &Scenario) -> bool {
        let calls = scenario.calls.iter();
        let mut tasks = calls.filter(|call| matches!(call.task, Task::Authorize(_)));
        let mut troubles = scenario.troubles.iter();
        tasks.next().is_some()
            && troubles.any(|it| matches!(it.plague, Plague::Crash { .. }) && it.lasts >= 20)
    }

    #[test]
    fn what_does_not_matter_is_left_out() {
        let mut tried = 0;
        let seeds = (0..200).map(|seed| Scenario::draw(seed, 2000));
        for scenario in seeds.filter(fails).take(10) {
            let mut search = Search {
                best: (scenario, ()),
                left: 10_000,
                judge: |scenario: &Scenario| Ok(fails(scenario).then_some(())),
            };
            search.exhaust().unwrap();
            let (best, ()) = search.best;
            assert_eq!((best.calls.len(), best.troubles.len()), (1, 1), "{best}");
            assert!(best.troubles[0].lasts < 40, "{best}");
            tried += 1;
        }
        assert_eq!(tried, 10);
    }

    #[test]
    fn runs_are_bounded() {
        let scenario = Scenario::draw(1, 2000);
        let mut runs = 0;
        let mut search = Search {
            best: (scenario, ()),
            left: 7,
            judge: |_: &Scenario| {
                runs += 1;
                Ok(None)
            },
        };
        search.exhaust().unwrap();
        assert_eq!(runs, 7);
    }
}
