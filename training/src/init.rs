//! First values of weights: a function of the seed and the tensor's name, and of nothing else.
//!
//! Own generator instead of libtorch's, whose state is shared by all threads of the process and whose numbers differ
//! between devices: here a tensor gets the same values wherever and in whatever order the model is built.

use rayon::prelude::*;

/// How a tensor is filled before training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Init {
    /// The same value everywhere.
    Constant(f32),
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
    /// Uniform between minus and plus this bound.
    Uniform(f64),
}

impl Init {
    /// The frameworks' default for linear layers and convolutions: uniform, bound `1 / sqrt(fan_in)`.
    pub fn fan_in(inputs: i64) -> Self {
        Init::Uniform((inputs as f64).powf(-0.5))
    }

    /// Normal with standard deviation `n` to the power of -1/2.
    pub fn normal_over(n: i64) -> Self {
        Init::Normal((n as f64).powf(-0.5))
    }
}

/// Values are made in pieces of this many, each with its own generator, so that cores can share the work.
const PIECE: usize = 1 << 16;

/// `count` values for the tensor called `name`.
pub(crate) fn values(init: Init, seed: u64, name: &str, count: usize) -> Vec<f32> {
    let mut out = vec![0.0; count];
    match init {
        Init::Constant(value) => out.fill(value),
        Init::Normal(_) | Init::Uniform(_) => {
            out.par_chunks_mut(PIECE).enumerate().for_each(|(piece, out)| fill(init, &mut Generator::new(seed, name, piece), out));
        }
    }
    out
}

fn fill(init: Init, generator: &mut Generator, out: &mut [f32]) {
    match init {
        Init::Constant(value) => out.fill(value),
        Init::Uniform(bound) => out.iter_mut().for_each(|value| *value = ((generator.fraction() * 2.0 - 1.0) * bound) as f32),
        // Box-Muller: two uniform numbers give two normal ones.
        Init::Normal(deviation) => out.chunks_mut(2).for_each(|pair| {
            let radius = deviation * (-2.0 * (1.0 - generator.fraction()).ln()).sqrt();
            let (sine, cosine) = (std::f64::consts::TAU * generator.fraction()).sin_cos();
            pair[0] = (radius * cosine) as f32;
            if let Some(second) = pair.get_mut(1) {
                *second = (radius * sine) as f32;
            }
        }),
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014), started from a hash.
struct Generator(u64);

impl Generator {
    fn new(seed: u64, name: &str, piece: usize) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes()).update(&(piece as u64).to_le_bytes()).update(name.as_bytes());
        let mut start = [0; 8];
        start.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        Generator(u64::from_le_bytes(start))
    }

    /// Uniform in 0 <= x < 1, 53 bits.
    fn fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        (bits >> 11) as f64 * (-53f64).exp2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(values: &[f32]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        (mean, (values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n).sqrt())
    }

    #[test]
    fn moments_are_as_asked() {
        let (mean, deviation) = moments(&values(Init::Normal(0.02), 7, "a", 300_001));
        assert!(mean.abs() < 2e-4 && (deviation - 0.02).abs() < 1e-4, "{mean} {deviation}");
        let uniform = values(Init::Uniform(0.5), 7, "a", 300_001);
        let (mean, deviation) = moments(&uniform);
        assert!(mean.abs() < 4e-3 && (deviation - 1.0 / 12f64.sqrt()).abs() < 2e-3, "{mean} {deviation}");
        assert!(uniform.iter().all(|v| v.abs() <= 0.5));
        assert_eq!(values(Init::Constant(2.5), 7, "a", 3), [2.5; 3]);
    }

    #[test]
    fn values_depend_on_seed_and_name_only() {
        let of = |seed, name| values(Init::Normal(1.0), seed, name, 70_000);
        assert_eq!(of(1, "a"), of(1, "a"));
        assert_ne!(of(1, "a"), of(2, "a"));
        assert_ne!(of(1, "a"), of(1, "b"));
        // A piece is not a copy of the one before it.
        let long = of(1, "a");
        assert_ne!(long[..4], long[PIECE..PIECE + 4]);
    }
}
