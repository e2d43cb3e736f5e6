//! A queue that tenants share: each in its turn, whoever has how many.
//!
//! Every order costs one of whatever is short, so the deficits of a deficit round robin
//! would never be other than zero: turns are enough.

use std::collections::{BTreeSet, HashMap, VecDeque};

use state::{Hostname, Tenant, Timestamp};

/// Hostnames by tenant.
#[derive(Debug, Default)]
pub(super) struct Fair {
    waiting: HashMap<Tenant, BTreeSet<(Timestamp, Hostname)>>,
    /// Each key of `waiting` once. A tenant leaves when its turn comes and nothing of its
    /// is waiting.
    turns: VecDeque<Tenant>,
    len: usize,
}

impl Fair {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn insert(&mut self, tenant: &Tenant, rank: Timestamp, name: Hostname) {
        let waiting = match self.waiting.get_mut(tenant) {
            Some(waiting) => waiting,
            None => {
                self.turns.push_back(tenant.clone());
                self.waiting.entry(tenant.clone()).or_default()
            }
        };
        if waiting.insert((rank, name)) {
            self.len += 1;
        }
    }

    pub(super) fn remove(&mut self, tenant: &Tenant, rank: Timestamp, name: &Hostname) {
        let waiting = self.waiting.get_mut(tenant);
        if waiting.is_some_and(|waiting| waiting.remove(&(rank, name.clone()))) {
            self.len -= 1;
        }
    }

    /// The place of whoever is first, where nobody takes turns.
    pub(super) fn first(&self) -> Option<Timestamp> {
        let waiting = self.waiting.values().filter_map(BTreeSet::first);
        waiting.map(|(rank, _)| *rank).min()
    }

    /// Takes the first of the tenant whose turn it is.
    pub(super) fn pop(&mut self) -> Option<Hostname> {
        while let Some(tenant) = self.turns.pop_front() {
            let next = self.waiting.get_mut(&tenant).and_then(BTreeSet::pop_first);
            if let Some((_, name)) = next {
                self.turns.push_back(tenant);
                self.len -= 1;
                return Some(name);
            }
            self.waiting.remove(&tenant);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use state::testing::{START, host};

    #[test]
    fn tenants_take_turns_and_the_first_of_each_goes_first() {
        let mut fair = Fair::default();
        let tenant = |name: &str| name.parse::<Tenant>().unwrap();
        let at = |secs| START.plus(std::time::Duration::from_secs(secs));
        for number in 0..4 {
            fair.insert(
                &tenant("big"),
                at(9 - number),
                host(&format!("b{number}.example")),
            );
        }
        fair.insert(&tenant("small"), at(100), host("s.example"));
        fair.insert(&tenant("gone"), at(0), host("g.example"));
        fair.remove(&tenant("gone"), at(0), &host("g.example"));
        let order: Vec<String> =
            std::iter::from_fn(|| fair.pop().map(|name| name.to_string())).collect();
        assert_eq!(
            order,
            [
                "b3.example",
                "s.example",
                "b2.example",
                "b1.example",
                "b0.example"
            ]
        );
        assert_eq!(fair.len(), 0);
    }

    #[test]
    fn a_tenant_that_comes_back_has_one_turn_a_round() {
        let mut fair = Fair::default();
        let (a, b) = (Tenant::default(), "b".parse::<Tenant>().unwrap());
        for round in 0..3 {
            fair.insert(&a, START, host("a.example"));
            if round < 2 {
                fair.remove(&a, START, &host("a.example"));
            }
        }
        for number in 0..3 {
            fair.insert(&a, START, host(&format!("a{number}.example")));
            fair.insert(&b, START, host(&format!("b{number}.example")));
        }
        let first: Vec<String> = (0..4)
            .filter_map(|_| fair.pop())
            .map(|name| name.to_string())
            .collect();
        assert_eq!(
            first,
            ["a.example", "b0.example", "a0.example", "b1.example"]
        );
    }
}
