//! Every call at a node that is up is answered within 3 s, with "unknown" if need be
//! (I19): no quorum is no reason to be silent.

use super::Invariant;
use crate::events::{Event, What};
use crate::operation::Operation;
use crate::oracle::Oracle;

/// What callers are promised, in milliseconds.
pub(crate) const WITHIN: u64 = 3000;

/// See the module.
#[derive(Debug)]
pub(super) struct AnsweredInTime;

impl Invariant for AnsweredInTime {
    fn name(&self) -> &'static str {
        "calls are answered in time"
    }

    fn check(&mut self, event: &Event, oracle: &Oracle) -> Result<(), String> {
        let What::Answered { op, node, .. } = &event.what else {
            return Ok(());
        };
        let Some(promise) = oracle.promise(*op) else {
            return Ok(());
        };
        let within = match promise.operation {
            // A proposal after another.
            Operation::Join(_) => 2 * WITHIN,
            // Not until another leads.
            Operation::Transfer(_) => return Ok(()),
            _ => WITHIN,
        };
        let took = event.tick.saturating_sub(promise.asked);
        if took > within {
            return Err(format!(
                "node {node} took {took} ms to answer {op} ({})",
                promise.operation
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{AnsweredInTime, WITHIN};
    use crate::events::What;
    use crate::invariants::sample::{INVITE, asked, check, done, violates};

    fn after(ticks: u64) -> Vec<What> {
        let waiting = std::iter::repeat_n(
            What::Over { number: 0 },
            usize::try_from(ticks - 1).unwrap(),
        );
        [asked(1, INVITE)]
            .into_iter()
            .chain(waiting)
            .chain([done(1, 5)])
            .collect()
    }

    #[test]
    fn a_late_answer_is_seen() {
        check(AnsweredInTime, after(WITHIN)).unwrap();
        violates(
            AnsweredInTime,
            after(WITHIN + 1),
            "node 1 took 3001 ms to answer op-1 (invite viewer)",
        );
    }
}
