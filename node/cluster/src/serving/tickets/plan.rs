//! What a node does for its secret of session tickets. Pure: what it knows is an argument.
//!
//! Of all secrets of the present generation the first in order counts. Whoever hears of
//! one before its own asks for it. Whoever has none asks those that have one; where nobody
//! has, the member of the lowest id makes one. So members that hear each other end with the
//! same, whatever they had before.

use std::time::Duration;

use state::NodeId;

use super::{super::HEARD_WITHIN, lineage::Name};

/// A node that has waited so long for others to give or make a secret makes its own: they
/// may be cut off in one direction, or their clocks may be beyond its own.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(6);

/// What a node knows.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    pub(super) me: NodeId,
    /// Of the serving data key.
    pub(super) generation: u32,
    /// The secret that it has.
    pub(super) own: Option<Name>,
    /// How long it has had none of this generation.
    pub(super) without: Duration,
    /// The other members that were heard of lately, and what they have.
    pub(super) heard: Vec<(NodeId, Option<Name>)>,
    /// The other members.
    pub(super) others: usize,
    /// How often it has asked in vain.
    pub(super) attempts: usize,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Rest,
    Ask(NodeId),
    Make,
}

impl Sight {
    pub(super) fn step(&self) -> Step {
        let own = self.own.filter(|own| own.generation == self.generation);
        let mut better: Vec<_> = self
            .heard
            .iter()
            .filter_map(|(node, name)| Some(((*name)?, *node)))
            .filter(|(name, _)| name.generation == self.generation)
            .filter(|(name, _)| own.is_none_or(|own| *name < own))
            .collect();
        better.sort_unstable();
        if own.is_none() && (self.without >= WAIT_MAX || better.is_empty() && self.is_first()) {
            return Step::Make;
        }
        // The next one after an attempt in vain: the first may not be reached, or its clock
        // may be far from ours.
        match better.len() {
            0 => Step::Rest,
            count => Step::Ask(better[self.attempts % count].1),
        }
    }

    /// Nobody of a lower id is there to make one, as far as can be told by now.
    fn is_first(&self) -> bool {
        let all_heard = self.heard.len() >= self.others || self.without >= HEARD_WITHIN;
        all_heard && self.heard.iter().all(|(node, _)| self.me < *node)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use state::Timestamp;

    use super::*;
    use crate::{entropy::SystemEntropy, serving::tickets::lineage::Lineage};

    fn name(generation: u32, begun: u64) -> Name {
        Lineage::begin(generation, Timestamp(begun), &SystemEntropy).name
    }

    /// Node 2 of three, in generation 5.
    fn sight() -> Sight {
        Sight {
            me: NodeId(2),
            generation: 5,
            own: None,
            without: Duration::ZERO,
            heard: vec![(NodeId(1), None), (NodeId(3), None)],
            others: 2,
            attempts: 0,
        }
    }

    #[test]
    fn alone_it_makes_one_at_once() {
        let alone = Sight {
            heard: vec![],
            others: 0,
            ..sight()
        };
        assert_eq!(alone.step(), Step::Make);
    }

    #[test]
    fn the_lowest_makes_one_once_it_knows_that_nobody_has_any() {
        let first = Sight {
            me: NodeId(0),
            ..sight()
        };
        assert_eq!(first.step(), Step::Make);
        let heard = vec![(NodeId(3), None)];
        let early = Sight { heard, ..first };
        assert_eq!(early.step(), Step::Rest, "one was not heard yet");
        let without = HEARD_WITHIN;
        assert_eq!(Sight { without, ..early }.step(), Step::Make);
    }

    #[test]
    fn others_wait_for_the_lowest_but_not_for_ever() {
        assert_eq!(sight().step(), Step::Rest);
        let without = WAIT_MAX;
        let waited = Sight { without, ..sight() };
        assert_eq!(waited.step(), Step::Make);
    }

    #[test]
    fn who_has_none_asks_and_asks_the_next_if_that_was_in_vain() {
        let (first, second) = (name(5, 1000), name(5, 2000));
        let heard = vec![
            (NodeId(1), Some(second)),
            (NodeId(3), Some(first)),
            (NodeId(4), Some(first)),
        ];
        let asked = |attempts| {
            let heard = heard.clone();
            let sight = Sight {
                attempts,
                heard,
                ..sight()
            };
            sight.step()
        };
        assert_eq!(
            (0..4).map(asked).collect::<Vec<_>>(),
            [3, 4, 1, 3].map(|node| Step::Ask(NodeId(node)))
        );
    }

    #[test]
    fn only_the_present_generation_counts() {
        let old = Some(name(4, 1));
        let heard = vec![(NodeId(1), old), (NodeId(3), Some(name(6, 1)))];
        let behind = Sight {
            heard,
            own: old,
            ..sight()
        };
        assert_eq!(behind.step(), Step::Rest);
        let heard = vec![(NodeId(1), old), (NodeId(3), Some(name(5, 9)))];
        assert_eq!(Sight { heard, ..behind }.step(), Step::Ask(NodeId(3)));
    }

    #[test]
    fn whoever_has_the_first_rests() {
        let (first, second) = (name(5, 1000), name(5, 2000));
        let own = |own, theirs| {
            let heard = vec![(NodeId(1), Some(theirs)), (NodeId(3), None)];
            let own = Some(own);
            Sight {
                own,
                heard,
                ..sight()
            }
            .step()
        };
        assert_eq!(own(first, first), Step::Rest);
        assert_eq!(own(first, second), Step::Rest);
        assert_eq!(own(second, first), Step::Ask(NodeId(1)));
    }

    /// Some nodes, in rounds of a quarter of a second each: each hears those that it is not
    /// cut off from, as they were at the beginning of the round.
    struct Nodes {
        own: Vec<Option<Name>>,
        without: Vec<u32>,
        generation: u32,
        now: u64,
    }

    impl Nodes {
        const PAUSE: Duration = Duration::from_millis(250);

        fn round(&mut self, hears: impl Fn(usize, usize) -> bool) {
            let before = self.own.clone();
            self.now += 250;
            for me in 0..self.own.len() {
                let others = (0..self.own.len()).filter(|other| *other != me);
                let heard = others.filter(|other| hears(me, *other));
                let id = |place: usize| NodeId(place as u64 + 1);
                self.own[me] = self.own[me].filter(|own| own.generation == self.generation);
                let own = self.own[me];
                self.without[me] = if own.is_some() {
                    0
                } else {
                    self.without[me] + 1
                };
                let sight = Sight {
                    me: id(me),
                    generation: self.generation,
                    own,
                    without: Self::PAUSE * self.without[me],
                    heard: heard.map(|other| (id(other), before[other])).collect(),
                    others: self.own.len() - 1,
                    attempts: 0,
                };
                match sight.step() {
                    Step::Rest => {}
                    Step::Ask(node) => self.own[me] = before[node.0 as usize - 1],
                    Step::Make => self.own[me] = Some(name(self.generation, self.now)),
                }
            }
        }
    }

    proptest! {
        #[test]
        fn nodes_end_with_one_secret_after_any_partitions_restarts_and_rotations(
            count in 1_usize..8,
            cuts in prop::collection::vec((0_u8..128, 0_usize..8, 0_u8..6, 1_usize..40), 0..8),
        ) {
            let mut nodes = Nodes {
                own: vec![None; count],
                without: vec![0; count],
                generation: 1,
                now: 1_000_000,
            };
            for (side, restarted, rotated, rounds) in cuts {
                if let Some(own) = nodes.own.get_mut(restarted) {
                    *own = None;
                }
                nodes.generation += u32::from(rotated == 0);
                let of = |node: usize| side >> node & 1;
                for _ in 0..rounds {
                    nodes.round(|me, other| of(me) == of(other));
                }
            }
            // Two rounds for all to hear that nobody has any, one to make it, one to hear of
            // it, one to ask for it.
            for _ in 0..5 {
                nodes.round(|_, _| true);
            }
            prop_assert!(nodes.own[0].is_some());
            prop_assert!(nodes.own.iter().all(|own| *own == nodes.own[0]), "{:?}", nodes.own);
            let settled = nodes.own.clone();
            nodes.round(|_, _| true);
            prop_assert_eq!(nodes.own, settled, "and rest then");
        }
    }
}
