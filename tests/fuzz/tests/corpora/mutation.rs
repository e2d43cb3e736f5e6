//! Inputs that are nearly right: what libFuzzer's mutators do, without what it learns.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// An input does not grow beyond this.
const LONGEST: usize = 64 << 10;
/// Values at which lengths and counts go wrong.
const EDGES: [u8; 10] = [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xfe, 0xff, b'\n'];

pub(crate) struct Mutator {
    chance: ChaCha8Rng,
    corpus: Vec<Vec<u8>>,
}

impl Mutator {
    pub(crate) fn new(seed: u64, corpus: Vec<Vec<u8>>) -> Self {
        Self {
            chance: ChaCha8Rng::seed_from_u64(seed),
            corpus,
        }
    }

    pub(crate) fn next(&mut self) -> Vec<u8> {
        let mut input = self.any().to_vec();
        for _ in 0..self.chance.random_range(1..=4) {
            self.mutate(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let at = self.place(input.len());
        let (from, to) = self.piece(input.len());
        match self.chance.random_range(0..8) {
            0 => input.truncate(at),
            1 => drop(input.drain(from..to)),
            2 => {
                let piece = input[from..to].to_vec();
                input.splice(at..at, piece);
            }
            3 => {
                let other = self.any().to_vec();
                let (from, to) = self.piece(other.len());
                input.splice(at..at, other[from..to].iter().copied());
            }
            4 => {
                let other = self.any().to_vec();
                let from = self.place(other.len());
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            5 => {
                let edge = EDGES[self.chance.random_range(0..EDGES.len())];
                input.insert(at, edge);
            }
            6 if at < input.len() => {
                input[at] = EDGES[self.chance.random_range(0..EDGES.len())];
            }
            _ if at < input.len() => input[at] ^= 1 << self.chance.random_range(0..8),
            _ => input.push(self.chance.random()),
        }
    }

    fn any(&mut self) -> &[u8] {
        let place = self.chance.random_range(0..self.corpus.len());
        &self.corpus[place]
    }

    fn place(&mut self, length: usize) -> usize {
        self.chance.random_range(0..=length)
    }

    fn piece(&mut self, length: usize) -> (usize, usize) {
        let (one, other) = (self.place(length), self.place(length));
        let (from, to) = (one.min(other), one.max(other));
        (from, to.min(from + 256))
    }
}
