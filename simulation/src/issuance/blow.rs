//! When the leader loses power, drawn from the seed.

use crate::chance::Chance;

/// The stages of an order at which a crash may wait for one: its key is committed, the CA
/// is about to hear of the challenge, and of the request to finalize.
const STAGES: [&str; 4] = ["admitted", "prepared", "ready-intent", "finalize-intent"];

/// A crash waits so many milliseconds, at most, for the stage it is drawn for: an order
/// may pass it between two looks.
const AWAIT_STAGE: u64 = 3000;

/// And so many for the leader to write, so that something is lost.
const AWAIT_WRITE: u64 = 100;

/// The moment of the crash. All in milliseconds after the authorization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blow {
    /// Only once an order is seen at that stage.
    stage: Option<&'static str>,
    /// So long after that, or after the authorization.
    delay: u64,
    amid_write: bool,
    /// From then on it is due.
    from: Option<u64>,
}

impl Blow {
    /// For a network on which a message takes `latency`, and a CA that takes `processing`
    /// to issue.
    pub(super) fn draw(chance: &mut Chance, latency: u64, processing: u64) -> Self {
        let stage = STAGES.get(usize::try_from(chance.between(0, 7)).unwrap_or_default());
        let delay = match stage {
            // Around one exchange with the CA.
            Some(_) => chance.between(0, 3 * latency),
            // About what an undisturbed issuance takes.
            None => chance.between(0, 15 * latency + processing),
        };
        Self {
            stage: stage.copied(),
            delay,
            amid_write: chance.one_in(2),
            from: None,
        }
    }

    /// Whether it falls now, at `after`, given the orders' stages and whether the leader's
    /// disk holds what it would lose.
    pub(super) fn falls<'a>(
        &mut self,
        after: u64,
        mut stages: impl Iterator<Item = &'a str>,
        writes: bool,
    ) -> bool {
        let seen = self
            .stage
            .is_none_or(|awaited| after >= AWAIT_STAGE || stages.any(|stage| stage == awaited));
        if self.from.is_none() && seen {
            let begin = self.stage.map_or(0, |_| after);
            self.from = Some(begin + self.delay);
        }
        self.from.is_some_and(|from| {
            after >= from && (!self.amid_write || writes || after >= from + AWAIT_WRITE)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blow(stage: Option<&'static str>, amid_write: bool) -> Blow {
        Blow {
            stage,
            delay: 10,
            amid_write,
            from: None,
        }
    }

    /// When it falls, if an order is prepared at 50 to 59 and all is written at 75.
    #[track_caller]
    fn check(mut blow: Blow, expected: u64) {
        let fallen = (0..10_000).find(|after| {
            let prepared = (50..60).contains(after).then_some("prepared");
            blow.falls(*after, prepared.into_iter(), *after == 75)
        });
        assert_eq!(fallen, Some(expected));
    }

    #[test]
    fn it_falls_by_time_by_stage_and_amid_a_write_and_always_in_the_end() {
        check(blow(None, false), 10);
        check(blow(None, true), 75);
        check(blow(Some("prepared"), false), 60);
        check(blow(Some("prepared"), true), 75);
        check(blow(Some("admitted"), false), 3010);
        check(blow(Some("admitted"), true), 3110);
    }
}
