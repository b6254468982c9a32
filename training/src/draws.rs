//! Random numbers that depend on names only: the same seed and identity give the same draws on every machine.
//!
//! Nothing here has state that could depend on threads or on the order of work.

use std::f64::consts::LN_2;

/// An endless stream of numbers for one purpose and one identity, from BLAKE3's extendable output.
pub struct Draws {
    reader: blake3::OutputReader,
    block: [u8; 64],
    used: usize,
}

impl Draws {
    /// The stream named by `purpose` (so that crops and captions do not share numbers), `seed` and `identity`.
    pub fn new(purpose: &str, seed: u64, identity: &[u64]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(purpose.len() as u64).to_le_bytes()).update(purpose.as_bytes()).update(&seed.to_le_bytes());
        for part in identity {
            hasher.update(&part.to_le_bytes());
        }
        Draws { reader: hasher.finalize_xof(), block: [0; 64], used: 64 }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        if self.used == self.block.len() {
            self.reader.fill(&mut self.block);
            self.used = 0;
        }
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.block[self.used..self.used + 8]);
        self.used += 8;
        u64::from_le_bytes(bytes)
    }

    /// Uniform in `0..n`, and 0 for `n` of 0. The bias is below n / 2^64.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }

    /// Uniform in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `[low, high)`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in the logarithm between `low` and `high`, as aspect ratios are drawn.
    pub fn between_logs(&mut self, low: f64, high: f64) -> f64 {
        (self.between(low.log2(), high.log2()) * LN_2).exp()
    }
}

/// The number by which a key takes part in an identity: the first 8 bytes of its BLAKE3.
pub(crate) fn name_of(key: &str) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&blake3::hash(key.as_bytes()).as_bytes()[..8]);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_streams_are_equal_and_others_differ() {
        let first = |purpose: &str, seed, identity: &[u64]| Draws::new(purpose, seed, identity).bits();
        assert_eq!(first("crop", 1, &[2, 3]), first("crop", 1, &[2, 3]));
        assert_ne!(first("crop", 1, &[2, 3]), first("crop", 1, &[3, 2]));
        assert_ne!(first("crop", 1, &[2, 3]), first("text", 1, &[2, 3]));
        assert_ne!(first("crop", 1, &[2]), first("crop", 2, &[2]));
    }

    #[test]
    fn spread_evenly() {
        let mut draws = Draws::new("test", 0, &[]);
        let mut counts = [0; 10];
        (0..10_000).for_each(|_| counts[draws.below(10) as usize] += 1);
        // Binomial with mean 1,000 and deviation 30: five deviations.
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
        let mean = (0..10_000).map(|_| draws.unit()).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.015, "{mean}");
        assert!((0..1000).map(|_| draws.between_logs(0.75, 4.0 / 3.0)).all(|ratio| (0.75..1.3334).contains(&ratio)));
    }
}
