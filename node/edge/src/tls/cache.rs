//! A map that never holds more than it was told to.

use std::{collections::HashMap, hash::Hash};

/// At most `capacity` entries; when full, the next entry that was not asked for
/// since the hand last passed gives way (CLOCK, second chance). A hit writes one
/// bit, so a hot entry costs no reordering.
#[derive(Debug)]
pub(crate) struct Bounded<K, V> {
    capacity: usize,
    places: HashMap<K, usize>,
    slots: Vec<Slot<K, V>>,
    hand: usize,
}

#[derive(Debug)]
struct Slot<K, V> {
    key: K,
    value: V,
    asked_for: bool,
}

impl<K: Copy + Eq + Hash, V: Clone> Bounded<K, V> {
    /// An empty one; a capacity of 0 is taken as 1.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            places: HashMap::new(),
            slots: Vec::new(),
            hand: 0,
        }
    }

    pub(crate) fn get(&mut self, key: &K) -> Option<V> {
        let slot = &mut self.slots[*self.places.get(key)?];
        slot.asked_for = true;
        Some(slot.value.clone())
    }

    /// Puts an entry in; true if another gave way for it.
    pub(crate) fn insert(&mut self, key: K, value: V) -> bool {
        let slot = Slot {
            key,
            value,
            asked_for: false,
        };
        if let Some(place) = self.places.get(&key) {
            self.slots[*place] = slot;
            return false;
        }
        if self.slots.len() < self.capacity {
            self.places.insert(key, self.slots.len());
            self.slots.push(slot);
            return false;
        }
        let place = self.give_way();
        self.places.remove(&self.slots[place].key);
        self.places.insert(key, place);
        self.slots[place] = slot;
        true
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Ends after at most two rounds: each step clears a bit or returns.
    fn give_way(&mut self) -> usize {
        loop {
            let place = self.hand;
            self.hand = (self.hand + 1) % self.slots.len();
            if !std::mem::take(&mut self.slots[place].asked_for) {
                return place;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_holds() {
        let mut cache = Bounded::new(3);
        for key in 0..100 {
            cache.insert(key, key);
            assert!(cache.len() <= 3);
            assert_eq!(cache.places.len(), cache.slots.len());
            assert_eq!(cache.get(&key), Some(key));
        }
    }

    #[test]
    fn what_is_asked_for_stays() {
        let mut cache = Bounded::new(3);
        for key in 0..3 {
            cache.insert(key, key);
        }
        for key in 3..50 {
            assert_eq!(cache.get(&0), Some(0), "before {key}");
            assert!(cache.insert(key, key));
        }
        assert_eq!(cache.get(&1), None);
    }

    #[test]
    fn an_entry_is_replaced_in_its_place() {
        let mut cache = Bounded::new(2);
        assert!(!cache.insert(1, "old"));
        assert!(!cache.insert(1, "new"));
        assert_eq!((cache.get(&1), cache.len()), (Some("new"), 1));
    }
}
