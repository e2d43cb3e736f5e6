//! Whoever asks after another was answered sees at least what that answer said: no
//! stale read, no write before what was acknowledged (I1, I19).

use state::ports::Applied;

use super::Invariant;
use crate::events::{Event, What};
use crate::operation::Answer;
use crate::oracle::Oracle;

/// See the module.
#[derive(Debug)]
pub(super) struct RealTime;

impl Invariant for RealTime {
    fn name(&self) -> &'static str {
        "answers keep the order of the calls"
    }

    fn check(&mut self, event: &Event, oracle: &Oracle) -> Result<(), String> {
        let What::Answered { op, answer, .. } = &event.what else {
            return Ok(());
        };
        let Some(promise) = oracle.promise(*op) else {
            return Err(format!("{op} was answered and not asked"));
        };
        let (told, stale) = match answer {
            Answer::Applied(Applied { index, .. }) => (*index, *index <= promise.known),
            Answer::Read(index, _) => (*index, *index < promise.known),
            Answer::NotProposed(_) | Answer::Unknown | Answer::Transferred(_) => return Ok(()),
        };
        if stale {
            return Err(format!(
                "{op} ({}) was answered at {told}, after {} was known",
                promise.operation, promise.known
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use state::Index;

    use super::RealTime;
    use crate::invariants::sample::{INVITE, answered, asked, check, done, read, violates};
    use crate::operation::Answer;

    #[test]
    fn calls_at_the_same_time_have_no_order() {
        let events = vec![
            asked(1, INVITE),
            asked(2, read("a.example")),
            done(1, 5),
            answered(2, Answer::Read(Index(4), None)),
        ];
        check(RealTime, events).unwrap();
    }

    #[test]
    fn a_stale_read_is_seen() {
        let events = vec![
            asked(1, INVITE),
            done(1, 5),
            asked(2, read("a.example")),
            answered(2, Answer::Read(Index(4), None)),
        ];
        violates(
            RealTime,
            events,
            "op-2 (read a.example) was answered at 4, after 5 was known",
        );
    }

    #[test]
    fn a_write_before_one_acknowledged_earlier_is_seen() {
        violates(
            RealTime,
            vec![asked(1, INVITE), done(1, 5), asked(2, INVITE), done(2, 5)],
            "after 5 was known",
        );
    }
}
