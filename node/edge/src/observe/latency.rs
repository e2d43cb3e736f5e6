//! How long requests took, in a fixed number of buckets: whatever comes takes the same
//! room, any two can be added up, and a quantile is off by a ninth of itself at most.

use std::time::Duration;

/// Latencies below are not told apart: 64 us.
const FIRST_BITS: u32 = 6;
/// Doublings that are told apart, each in four steps: up to 134 s.
const OCTAVES: usize = 21;
/// How many buckets there are; the last is for all beyond.
pub(super) const BUCKETS: usize = 2 + 4 * OCTAVES;

/// The bucket of a latency in microseconds.
pub(super) const fn bucket(micros: u64) -> usize {
    if micros < 1 << FIRST_BITS {
        return 0;
    }
    let bits = micros.ilog2();
    let octave = (bits - FIRST_BITS) as usize;
    // The two bits after the first.
    let step = ((micros >> (bits - 2)) & 3) as usize;
    let place = 1 + 4 * octave + step;
    if place < BUCKETS { place } else { BUCKETS - 1 }
}

/// From how many microseconds on a bucket counts.
const fn lower(bucket: usize) -> u64 {
    match bucket {
        0 => 0,
        _ => (4 + (bucket as u64 - 1) % 4) << (FIRST_BITS - 2 + (bucket as u32 - 1) / 4),
    }
}

/// How often requests took how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latency(pub(super) Box<[u64; BUCKETS]>);

/// Requests that took about as long as each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// At least so many microseconds.
    pub from: u64,
    /// Less than so many; absent: there is no bound.
    pub below: Option<u64>,
    /// How many requests.
    pub requests: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self(Box::new([0; BUCKETS]))
    }
}

impl Latency {
    /// What so many of a thousand requests were as fast as, or faster; exact to a ninth of
    /// itself between 64 us and 134 s. Absent if there were none.
    pub fn quantile(&self, per_mille: u64) -> Option<Duration> {
        let count: u64 = self.0.iter().sum();
        let rank = (u128::from(count) * u128::from(per_mille.min(1000)))
            .div_ceil(1000)
            .max(1);
        let mut seen = 0;
        for (bucket, held) in self.0.iter().enumerate() {
            seen += u128::from(*held);
            if *held > 0 && seen >= rank {
                return Some(Duration::from_micros(between(bucket)));
            }
        }
        None
    }

    /// The buckets that hold something.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket> {
        let held = self.0.iter().enumerate().filter(|(_, held)| **held > 0);
        held.map(|(bucket, held)| Bucket {
            from: lower(bucket),
            below: (bucket < BUCKETS - 1).then(|| lower(bucket + 1)),
            requests: *held,
        })
    }
}

/// The latency that is off least from all of its bucket, in proportion.
const fn between(bucket: usize) -> u64 {
    match bucket {
        0 => 1 << FIRST_BITS,
        _ if bucket == BUCKETS - 1 => lower(bucket),
        _ => {
            let (low, high) = (lower(bucket), lower(bucket + 1));
            2 * low * high / (low + high)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(micros: impl IntoIterator<Item = u64>) -> Latency {
        let mut latency = Latency::default();
        for each in micros {
            latency.0[bucket(each)] += 1;
        }
        latency
    }

    #[test]
    fn every_latency_is_in_the_bucket_that_holds_it() {
        let edges = (6..27).flat_map(|bits| [(1 << bits) - 1, 1 << bits, (1 << bits) + 1]);
        for micros in edges.chain([0, 63, 100, 12_345, 1_000_000, 99_999_999]) {
            let at = bucket(micros);
            assert!(lower(at) <= micros && micros < lower(at + 1), "{micros}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert_eq!(bucket((1 << 27) - 1), BUCKETS - 2);
    }

    #[test]
    fn a_quantile_is_off_by_a_ninth_at_most() {
        let mut micros = 64_u64;
        while micros < 1 << 27 {
            let told = of([micros]).quantile(500).unwrap().as_micros();
            let off = told.abs_diff(u128::from(micros)) * 9;
            // Rounding to whole microseconds may add one.
            assert!(off <= u128::from(micros) + 9, "{micros}: {told}");
            micros += 1 + micros / 97;
        }
    }

    #[test]
    fn quantiles_count_from_the_fastest() {
        let many = of((0..990).map(|_| 1_000).chain((0..10).map(|_| 1_000_000)));
        let close = |per_mille, wanted: u128| {
            let told = many.quantile(per_mille).unwrap().as_micros();
            assert!(told.abs_diff(wanted) * 9 <= wanted, "{per_mille}: {told}");
        };
        close(0, 1_000);
        close(500, 1_000);
        close(990, 1_000);
        close(991, 1_000_000);
        close(1000, 1_000_000);
        assert_eq!(Latency::default().quantile(500), None);
    }

    #[test]
    fn buckets_name_their_bounds() {
        let told = of([1, 64, 70, u64::MAX]);
        let told: Vec<_> = told
            .buckets()
            .map(|it| (it.from, it.below, it.requests))
            .collect();
        let beyond = 1 << 27;
        assert_eq!(
            told,
            [(0, Some(64), 1), (64, Some(80), 2), (beyond, None, 1)]
        );
    }
}
