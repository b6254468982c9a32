//! A permutation that is computed, not stored: any of its places can be asked for at once.

use crate::draws::Draws;

/// Rounds of the Feistel network. Four are enough to look random to an attacker who may ask (Luby and Rackoff, 1988);
/// two more make up for the small halves of a small corpus.
const ROUNDS: usize = 6;

/// A permutation of `0..count`, drawn by a name.
pub(crate) struct Order {
    count: u64,
    half_bits: u32,
    keys: [u64; ROUNDS],
}

impl Order {
    /// The permutation of `0..count` named by `purpose`, `seed` and `identity`.
    pub fn new(purpose: &str, seed: u64, identity: &[u64], count: u64) -> Self {
        let mut draws = Draws::new(purpose, seed, identity);
        let bits = u64::BITS - count.saturating_sub(1).leading_zeros();
        Order { count, half_bits: bits.div_ceil(2).max(1), keys: std::array::from_fn(|_| draws.bits()) }
    }

    /// How many numbers are permuted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The number at place `index`, which is below `count`.
    ///
    /// The network permutes the next power of four; walking on until the value is below `count` makes it a permutation
    /// of exactly `0..count`, in fewer than four steps on average.
    pub fn at(&self, index: u64) -> u64 {
        debug_assert!(index < self.count);
        let mask = (1u64 << self.half_bits) - 1;
        let mut value = index;
        loop {
            let (mut left, mut right) = (value >> self.half_bits, value & mask);
            for key in self.keys {
                (left, right) = (right, left ^ (mix(right ^ key) & mask));
            }
            value = left << self.half_bits | right;
            if value < self.count {
                return value;
            }
        }
    }
}

/// The finaliser of SplitMix64: every bit of the input reaches every bit of the output.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_sample_once(seed: u64, epoch in 0u64..100, count in 1u64..3000) {
            let order = Order::new("order", seed, &[epoch], count);
            let mut seen: Vec<u64> = (0..count).map(|i| order.at(i)).collect();
            seen.sort_unstable();
            prop_assert!(seen.into_iter().eq(0..count));
        }
    }

    #[test]
    fn looks_shuffled_and_differs_by_epoch() {
        let count = 10_000;
        let order = |epoch| {
            let order = Order::new("order", 7, &[epoch], count);
            (0..count).map(|i| order.at(i)).collect::<Vec<_>>()
        };
        let (first, second) = (order(0), order(1));
        let fixed = |a: &[u64], b: &[u64]| a.iter().zip(b).filter(|(a, b)| a == b).count();
        // A random permutation has one fixed point on average; ten has a chance below one in a million.
        assert!(fixed(&first, &second) < 10 && fixed(&first, &(0..count).collect::<Vec<_>>()) < 10);
        // Neighbours end up far apart: a third of the length on average.
        let gap: u64 = first.windows(2).map(|pair| pair[0].abs_diff(pair[1])).sum::<u64>() / (count - 1);
        assert!((3_000..3_700).contains(&gap), "{gap}");
    }
}
