//! Whoever leads, the CA gets no more orders than it is said to allow (I12). Counted by the
//! CA's own ledger and clock, as Boulder counts: a bucket that refills steadily, and no
//! order of names that had a certificate before. By a clock that leaders count by, more may
//! have come back than by the CA's.

use std::collections::BTreeSet;

use super::Invariant;
use crate::deed::Deed;
use crate::events::{Event, What};
use crate::oracle::Oracle;
use crate::scenario::{Allowance, Plague};

/// A clock that is further off than this, in milliseconds, counts nothing of a CA's limit.
const COUNTED_BY: u64 = 60_000;

/// What is allowed, and until when it is spent, in milliseconds.
#[derive(Debug)]
pub(super) struct OrderBudget {
    allowed: Option<Allowance>,
    spent_until: u64,
    /// The most milliseconds that leaders can have counted too early.
    early: u64,
    certified: BTreeSet<Vec<String>>,
}

impl OrderBudget {
    pub(super) fn new(allowed: Option<Allowance>) -> Self {
        Self {
            allowed,
            spent_until: 0,
            early: 0,
            certified: BTreeSet::new(),
        }
    }
}

impl Invariant for OrderBudget {
    fn name(&self) -> &'static str {
        "orders stay within what the CA allows"
    }

    fn check(&mut self, event: &Event, _oracle: &Oracle) -> Result<(), String> {
        let Some(Allowance { burst, refill }) = self.allowed else {
            return Ok(());
        };
        let order = match &event.what {
            What::Ca(Deed::Ordered { order, names }) if !self.certified.contains(names) => order,
            What::Ca(Deed::Issued { names, .. }) => {
                self.certified.insert(names.clone());
                return Ok(());
            }
            What::Troubled {
                plague: Plague::Clock { off, .. },
                ..
            } => {
                // As far behind as another was ahead, or the same one before.
                let off = Some(off.unsigned_abs()).filter(|off| *off <= COUNTED_BY);
                self.early = self.early.max(2 * off.unwrap_or(0));
                return Ok(());
            }
            _ => return Ok(()),
        };
        self.spent_until = self.spent_until.max(event.tick) + refill;
        let ahead = self.spent_until - event.tick;
        let used = ahead.saturating_sub(self.early).div_ceil(refill);
        if used <= u64::from(burst) {
            return Ok(());
        }
        Err(format!(
            "with {order} {used} are used of {burst}, of which one comes back every {refill} ms"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::OrderBudget;
    use crate::deed::Deed;
    use crate::events::What;
    use crate::invariants::sample::{check, violates};
    use crate::scenario::{Allowance, Plague, Victim};

    fn ordered() -> What {
        What::Ca(Deed::Ordered {
            order: "order".into(),
            names: vec!["a.example".into()],
        })
    }

    fn issued() -> What {
        What::Ca(Deed::Issued {
            serial: "01".into(),
            order: "order".into(),
            names: vec!["a.example".into()],
            not_after: 0,
        })
    }

    #[test]
    fn one_order_too_many_is_seen_and_a_pause_allows_another() {
        let two = |refill| OrderBudget::new(Some(Allowance { burst: 2, refill }));
        let events = || vec![ordered(), ordered(), ordered()];
        violates(two(1000), events(), "3 are used of 2");
        check(two(1), events()).unwrap();
        check(OrderBudget::new(None), events()).unwrap();
        let renewed = vec![ordered(), issued(), ordered(), ordered()];
        check(two(1000), renewed).unwrap();
    }

    #[test]
    fn a_clock_that_is_counted_by_may_have_counted_early() {
        let two = |refill| OrderBudget::new(Some(Allowance { burst: 2, refill }));
        let events = |off| {
            let set = What::Troubled {
                number: 0,
                plague: Plague::Clock {
                    who: Victim::Leader,
                    off,
                },
                victims: Vec::new(),
            };
            vec![set, ordered(), ordered(), ordered()]
        };
        check(two(5_000), events(-4_000)).unwrap();
        violates(two(10_000), events(4_000), "3 are used of 2");
        check(two(100_000), events(60_000)).unwrap();
        violates(two(5_000), events(60_001), "3 are used of 2");
    }
}
