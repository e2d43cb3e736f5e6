//! How many of a kind are at work, in all and for each operator.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use state::OperatorId;

/// Counts what is at work and refuses more than its bounds.
#[derive(Debug)]
pub(crate) struct Budget {
    most: usize,
    most_each: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    each: HashMap<OperatorId, usize>,
}

/// A place in a budget, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    budget: Arc<Budget>,
    operator: OperatorId,
}

impl Budget {
    pub(crate) fn new(most: usize, most_each: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_each,
            taken: Mutex::default(),
        })
    }

    /// A place for one more of `operator`'s, if there is room.
    pub(crate) fn take(self: &Arc<Self>, operator: OperatorId) -> Option<Place> {
        let mut taken = self.taken();
        if taken.all >= self.most {
            return None;
        }
        let own = taken.each.entry(operator).or_insert(0);
        if *own >= self.most_each {
            return None;
        }
        *own += 1;
        taken.all += 1;
        Some(Place {
            budget: self.clone(),
            operator,
        })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.budget.taken();
        taken.all = taken.all.saturating_sub(1);
        if let Some(own) = taken.each.get_mut(&self.operator) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.each.remove(&self.operator);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_operator_leaves_room_for_the_others() {
        let budget = Budget::new(3, 2);
        let (alice, bob) = (OperatorId(1), OperatorId(2));
        let first = budget.take(alice);
        let _second = budget.take(alice);
        assert!(budget.take(alice).is_none(), "alice has her share");
        let _third = budget.take(bob);
        assert!(budget.take(bob).is_none(), "all places are taken");
        drop(first);
        assert!(budget.take(bob).is_some(), "a place came back");
        assert!(
            budget.taken().each.len() <= 2,
            "nobody is remembered in vain"
        );
    }
}
